import BackupCore
import ResticFormat
import Synchronization
import Testing

@testable import ResticRepository

/// What a repository that lies does: it is refused by name, in bounded memory, and stays as it is.
@Suite struct HostileRepositoryTests {
    private let backend = MemoryBackend(copyCount: 2)

    private func fill(seed: UInt64) async throws -> (key: MasterKey, committed: CommittedSnapshot) {
        var generator = SeededGenerator(seed: seed)
        let key = try await makeRepository(on: backend).masterKey
        let repository = try await openMemoryRepository(backend, key)
        let committed = try await repository.commit(
            files: (0..<5).map { ("IMG_\($0).jpg", generator.bytes(100_000)) })
        await repository.close()
        return (key, committed)
    }

    @Test func wrongKeyIsToldAndChangesNothing() async throws {
        _ = try await fill(seed: 70)
        let before = backend.state.withLock { $0.copies }
        let error = await failure { _ = try await openMemoryRepository(backend, .random()) }
        #expect(error?.code == .damaged)
        #expect(error?.detail.contains("config") == true)
        #expect(backend.state.withLock { $0.copies } == before)
    }

    @Test func snapshotThatPointsNowhereIsNamed() async throws {
        let (key, _) = try await fill(seed: 71)
        let nowhere = ContentID.sha256(of: [1])
        let json = SnapshotCodec.encode(draft(nowhere), program: "p")
        try await write(.snapshot, json, key)
        let repository = try await openMemoryRepository(backend, key)
        #expect(try await repository.snapshots().count == 2)
        let error = await failure { _ = try await repository.tree(nowhere) }
        #expect(error?.code == .missing && error?.detail.contains(nowhere.short) == true)
        let report = try await StructureCheck(backend: backend, masterKey: key).run()
        let lost = report.findings.compactMap { finding -> LostBlob? in
            if case .lostBlob(let blob) = finding { blob } else { nil }
        }
        #expect(lost.map(\.key) == [BlobKey(.tree, nowhere)] && lost.first?.paths == [.root])
    }

    enum Lie: String, CaseIterable {
        case shifted, twoInOnePlace, beyondThePack, swappedLengths, fourGiB, fourGiBPlain
    }

    /// An index that lies about a pack hides nothing: what it names counts as unknown and is
    /// stored again, or shows when it is read.
    @Test(arguments: Lie.allCases)
    func indexThatLiesIsFound(lie: Lie) async throws {
        let (key, committed) = try await fill(seed: 72)
        let honest = try await openMemoryRepository(backend, key)
        let content = try await honest.tree(committed.snapshot.tree).flatMap(\.content)
        let index = try #require(backend.names(.index).first)
        let bytes = try #require(backend.state.withLock { $0.copies[0][index] })
        let sealer = FileSealer(key)
        let packs = try IndexCodec.decode(sealer.openJSON(bytes, .index))
        let lying = packs.map {
            IndexedPack(id: $0.id, blobs: $0.blobs.count > 1 ? lied(lie, $0.blobs) : $0.blobs)
        }
        for copy in [0, 1] { backend.change(index, copy: copy) { $0 = nil } }
        let name = try await write(.index, IndexCodec.encode(lying), key)

        let repository = try await openMemoryRepository(backend, key)
        let report = try await StructureCheck(
            backend: backend, masterKey: key, readData: true
        ).run()
        #expect(!report.isSound)
        if lie == .fourGiBPlain {
            // The places are right, so only reading shows it.
            var codes: [RepositoryError.Code?] = []
            for id in content {
                codes.append(await failure { _ = try await repository.blob(id) }?.code)
            }
            #expect(codes.contains(.limitExceeded))
        } else {
            #expect(await repository.holds(content) == false)
            #expect(repository.openingReport.missingPacks.count == 1)
            if lie != .fourGiB { #expect(report.damagedFiles.contains(name), "\(report.findings)") }
        }
    }

    private func lied(_ lie: Lie, _ blobs: [PackedBlob]) -> [PackedBlob] {
        func changed(
            _ number: Int, offset: UInt32? = nil, length: UInt32? = nil, plain: UInt32? = nil
        ) -> PackedBlob {
            let blob = blobs[number]
            return PackedBlob(
                key: blob.key, offset: offset ?? blob.offset, length: length ?? blob.length,
                uncompressedLength: plain ?? blob.uncompressedLength)
        }
        let last = blobs.count - 1
        switch lie {
        case .shifted:
            return blobs.indices.map { changed($0, offset: blobs[$0].offset + 1) }
        case .twoInOnePlace: return [blobs[0], changed(1, offset: 0)] + blobs[2...]
        case .beyondThePack: return blobs[..<last] + [changed(last, offset: .max - 40)]
        case .swappedLengths:
            return [
                changed(0, length: blobs[0].length - 10), changed(1, length: blobs[1].length + 10),
            ] + blobs[2...]
        case .fourGiB: return blobs[..<last] + [changed(last, length: .max)]
        case .fourGiBPlain: return [changed(0, plain: .max)] + blobs[1...]
        }
    }

    @Test(arguments: [FileKind.snapshot, .index])
    func fileThatInflatesTooFarIsRefusedByName(kind: FileKind) async throws {
        let (key, _) = try await fill(seed: 73)
        let limit = RepositoryLimits.jsonByteCount(of: kind)
        let json = Array("{}".utf8) + Array(repeating: 0x20, count: limit)
        let name = try await write(kind, json, key)
        let before = backend.state.withLock { $0.copies }
        let error = await failure {
            let repository = try await openMemoryRepository(backend, key)
            _ = try await repository.snapshots()
        }
        #expect(error?.code == .limitExceeded)
        #expect(error?.detail.contains(name.relativePath) == true)
        let report = try await StructureCheck(backend: backend, masterKey: key).run()
        #expect(report.damagedFiles == [name])
        #expect(backend.state.withLock { $0.copies } == before)
    }

    @Test func moreBlobsThanFitIntoMemoryAreRefused() {
        #expect(throws: RepositoryError.self) {
            try RepositoryLimits.check(blobCount: RepositoryLimits.blobCount + 1)
        }
        #expect(throws: Never.self) {
            try RepositoryLimits.check(blobCount: RepositoryLimits.blobCount)
        }
    }

    /// Each look-up of a blob walks over its places; so many of them would be a trap.
    @Test func blobInAHundredThousandPlacesIsLookedUpInAFew() {
        let key = BlobKey(.data, ContentID.sha256(of: [1]))
        var index = BlobIndex()
        var generator = SeededGenerator(seed: 74)
        for _ in 0..<100 {
            let pack = ContentID(
                words: (generator.next(), generator.next(), generator.next(), generator.next()))
            let blobs = (0..<1000).map {
                PackedBlob(
                    key: key, offset: UInt32($0) * 40, length: 40, uncompressedLength: nil)
            }
            index.add(pack: pack, blobs: blobs, isPresent: true)
        }
        #expect(index.count == 100_000)
        #expect((1...100).contains(index.matches(key).count))
        #expect(index.holds(key))
    }

    @discardableResult
    private func write(
        _ kind: FileKind, _ json: [UInt8], _ key: MasterKey
    ) async throws -> FileName {
        let file = FileSealer(key).seal(json: json)
        try await backend.write(FileName(kind, file.id), file.bytes)
        return FileName(kind, file.id)
    }

    private func failure(_ body: () async throws -> Void) async -> RepositoryError? {
        do {
            try await body()
            return nil
        } catch {
            return error as? RepositoryError
        }
    }
}
