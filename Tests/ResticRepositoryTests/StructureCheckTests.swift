import BackupCore
import ResticFormat
import ResticRepository
import Synchronization
import Testing

@Suite struct StructureCheckTests {
    private let backend = MemoryBackend()

    /// A repository with two snapshots and one folder in a folder.
    private func fill(seed: UInt64) async throws -> MasterKey {
        var generator = SeededGenerator(seed: seed)
        let key = try await makeRepository(on: backend).masterKey
        let repository = try await openMemoryRepository(backend, key) {
            $0.packByteCount = 200_000
        }
        var camera: [TreeNode] = []
        for number in 0..<6 {
            let saved = try await repository.save(source(generator.bytes(150_000)))
            camera.append(
                .file(
                    EntryName("IMG_\(number).jpg"), modified: .zero, byteCount: saved.byteCount,
                    content: saved.content))
        }
        let folder = try await repository.save(tree: camera)
        for second in [1, 2] as [Int64] {
            let root = try await repository.save(tree: [
                .directory("DCIM", modified: Timestamp(seconds: second), subtree: folder)
            ])
            _ = try await repository.commit(draft(root, seconds: second))
        }
        return key
    }

    private func check(_ key: MasterKey, readData: Bool = false) async throws -> StructureReport {
        try await StructureCheck(backend: backend, masterKey: key, readData: readData).run()
    }

    @Test(arguments: [false, true])
    func soundRepositoryGivesNoFinding(readData: Bool) async throws {
        let key = try await fill(seed: 50)
        let report = try await check(key, readData: readData)
        #expect(report.findings == [])
        #expect(report.snapshotCount == 2)
        #expect(report.treeCount == 3)
        #expect(report.packCount == backend.names(.data).count)
        let packBytes = backend.state.withLock { state in
            state.copies[0].filter { $0.key.kind == .data }.reduce(0) { $0 + $1.value.count }
        }
        #expect(report.bytesRead == (readData ? UInt64(packBytes) : 0))
    }

    @Test(arguments: [FileKind.config, .key, .index, .data, .snapshot])
    func everyFlippedBitIsFound(kind: FileKind) async throws {
        let seed = UInt64(51)
        var generator = SeededGenerator(seed: seed)
        let key = try await fill(seed: 51)
        for name in kind == .config ? [.config] : backend.names(kind) {
            let intact = backend.state.withLock { $0.copies }
            let position = generator.next()
            backend.change(name, copy: 0) { bytes in
                guard let count = bytes?.count else { return }
                bytes?[Int(position % UInt64(count))] ^= 1 << UInt8(position >> 61)
            }
            let report = try await check(key, readData: true)
            #expect(report.damagedFiles.contains(name), "seed \(seed), \(report.findings)")
            backend.state.withLock { $0.copies = intact }
        }
    }

    @Test func missingPackNamesTheFilesThatNeedIt() async throws {
        let key = try await fill(seed: 52)
        var named: Set<EntryPath> = []
        for name in backend.names(.data) {
            let intact = backend.state.withLock { $0.copies }
            backend.change(name, copy: 0) { $0 = nil }
            let report = try await check(key)
            #expect(report.findings.contains(.missing(name)))
            #expect(!report.isSound)
            for case .lostBlob(let blob) in report.findings { named.formUnion(blob.paths) }
            backend.state.withLock { $0.copies = intact }
        }
        // Every pack holds something, and every file stands in some pack.
        for number in 0..<6 {
            #expect(named.contains(EntryPath(text: "DCIM/IMG_\(number).jpg")))
        }
        #expect(named.contains(EntryPath(text: "DCIM")) && named.contains(.root))
    }

    @Test func damageWithinAPackIsLostOnlyWhereItLies() async throws {
        let key = try await fill(seed: 53)
        let name = try #require(
            backend.names(.data).first { name in
                backend.state.withLock { ($0.copies[0][name]?.count ?? 0) > 250_000 }
            })
        backend.change(name, copy: 0) { $0?[100] ^= 1 }
        let quick = try await check(key)
        #expect(quick.findings == [], "only reading the data can tell")
        let report = try await check(key, readData: true)
        #expect(report.damagedFiles == [name])
        let lost = report.findings.compactMap { finding -> LostBlob? in
            if case .lostBlob(let blob) = finding { blob } else { nil }
        }
        #expect(lost.count == 1 && lost.first?.paths.count == 1)
    }

    @Test func shorterPackIsFoundWithoutReadingIt() async throws {
        let key = try await fill(seed: 54)
        for name in backend.names(.data) {
            backend.change(name, copy: 0) { $0?.append(0) }
        }
        let report = try await check(key)
        #expect(Set(report.damagedFiles) == Set(backend.names(.data)))
    }

    @Test func driveThatVanishesIsAnErrorAndNotDamage() async throws {
        let key = try await fill(seed: 55)
        await #expect(throws: BackendError.self) {
            _ = try await StructureCheck(
                backend: AbsentAfterListing(inner: backend), masterKey: key, readData: true
            ).run()
        }
    }

    @Test func progressEndsAtTheTotal() async throws {
        let key = try await fill(seed: 56)
        let last = Mutex((UInt64(0), UInt64(1)))
        let report = try await StructureCheck(
            backend: backend, masterKey: key, readData: true,
            progress: { done, total in last.withLock { $0 = (done, total) } }
        ).run()
        #expect(last.withLock { $0.0 == $0.1 })
        #expect(report.bytesRead == last.withLock { $0.1 })
    }
}

/// Lists packs, and is gone when they are read.
private struct AbsentAfterListing: RepositoryBackend {
    let inner: MemoryBackend

    var copyCount: Int { 1 }
    func list(_ kind: FileKind) async throws(BackendError) -> [StoredFile] {
        try await inner.list(kind)
    }
    func read(
        _ file: FileName, range: Range<UInt64>?, copy: Int
    ) async throws(BackendError) -> [UInt8] {
        guard file.kind != .data else { throw BackendError(.absent, "the drive was taken out") }
        return try await inner.read(file, range: range, copy: copy)
    }
    func write(_ file: FileName, _ bytes: [UInt8]) async throws(BackendError) {}
    func flush() async throws(BackendError) {}
    func remove(_ file: FileName) async throws(BackendError) {}
    func receipts() async -> [CopyReceipt] { [] }
    func freeBytes() async -> UInt64 { 0 }
}
