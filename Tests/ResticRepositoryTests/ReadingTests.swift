import BackupCore
import ResticFormat
import ResticRepository
import Synchronization
import Testing

/// Two copies, one of which is damaged in every way that a drive can damage it.
@Suite struct ReadingTests {
    private let backend = MemoryBackend(copyCount: 2)

    /// What happens to a file on one copy.
    enum Damage: String, CaseIterable, Sendable {
        case flippedBit, truncated, deleted, emptied, swapped

        func apply(
            to file: FileName, copy: Int, of backend: MemoryBackend,
            _ generator: inout SeededGenerator
        ) {
            let other = backend.names(file.kind, copy: copy).last { $0 != file }
            let foreign = other.flatMap { other in
                backend.state.withLock { $0.copies[copy][other] }
            }
            let position = generator.next()
            backend.change(file, copy: copy) { bytes in
                guard let count = bytes?.count, count > 0 else { return }
                switch self {
                case .flippedBit:
                    bytes?[Int(position % UInt64(count))] ^= 1 << UInt8(position >> 61)
                case .truncated: bytes?.removeLast(1 + Int(position % UInt64(count)))
                case .deleted: bytes = nil
                case .emptied: bytes = []
                case .swapped: bytes = foreign ?? []
                }
            }
        }
    }

    @Test(arguments: Damage.allCases, [FileKind.config, .key, .index, .data, .snapshot])
    func damagedCopyIsReplacedByTheOtherOne(damage: Damage, kind: FileKind) async throws {
        let seed = UInt64(30 + kind.rawValue.count)
        var generator = SeededGenerator(seed: seed)
        let key = try await makeRepository(on: backend).masterKey
        let writer = try await openMemoryRepository(backend, key) { $0.packByteCount = 200_000 }
        let bytes = generator.bytes(900_000)
        let committed = try await writer.commit(files: [("a", bytes), ("b", generator.bytes(10))])

        for copy in [0, 1] {
            let names = kind == .config ? [.config] : backend.names(kind)
            let intact = backend.state.withLock { $0.copies }
            for name in names { damage.apply(to: name, copy: copy, of: backend, &generator) }
            let unlocked = try await ResticSnapshotRepository.unlock(
                backend: backend, password: "secret")
            #expect(unlocked == key, "seed \(seed)")
            let reader = try await openMemoryRepository(backend, unlocked) {
                $0.purpose = .reading
            }
            #expect(reader.openingReport == OpeningReport(), "seed \(seed)")
            #expect(try await reader.snapshots() == [committed.snapshot], "seed \(seed)")
            let node = try #require(try await reader.tree(committed.snapshot.tree).first)
            #expect(try await reader.read(node.content) == bytes, "seed \(seed)")
            #expect(await reader.holds(node.content))
            backend.state.withLock { $0.copies = intact }
        }
    }

    @Test func blobThatNoCopyHasGoodIsAnErrorThatNamesTheFile() async throws {
        var generator = SeededGenerator(seed: 31)
        let key = try await makeRepository(on: backend).masterKey
        let writer = try await openMemoryRepository(backend, key)
        let committed = try await writer.commit(files: [("a", generator.bytes(100_000))])
        let node = try #require(try await writer.tree(committed.snapshot.tree).first)
        for copy in [0, 1] {
            for pack in backend.names(.data) {
                backend.change(pack, copy: copy) { $0?[50] ^= 1 }
            }
        }
        let reader = try await openMemoryRepository(backend, key)
        do throws(RepositoryError) {
            _ = try await reader.blob(node.content[0])
            Issue.record("a damaged blob was read")
        } catch {
            #expect(error.code == .damaged)
            #expect(error.detail.contains("data/"), "\(error.detail)")
        }
    }

    @Test func copiesDamagedInDifferentPlacesReadWholeTogether() async throws {
        var generator = SeededGenerator(seed: 32)
        let key = try await makeRepository(on: backend).masterKey
        let writer = try await openMemoryRepository(backend, key)
        let files = (0..<40).map { ("file-\($0)", generator.bytes(60_000)) }
        let committed = try await writer.commit(files: files)
        // Half of each pack is bad on one copy, the other half on the other.
        for pack in backend.names(.data) {
            for copy in [0, 1] {
                backend.change(pack, copy: copy) { bytes in
                    guard let count = bytes?.count, count > 1_000_000 else { return }
                    for position in stride(
                        from: copy * count / 2, to: (copy + 1) * count / 2, by: 999)
                    {
                        bytes?[position] ^= 0x40
                    }
                }
            }
        }
        // A blob across the middle may be lost on both; every other one must read.
        let reader = try await openMemoryRepository(backend, key) { $0.purpose = .reading }
        var lost = 0
        for node in try await reader.tree(committed.snapshot.tree) {
            let expected = files.first { EntryName($0.0) == node.name }?.1
            do throws(RepositoryError) {
                let bytes = try await reader.blob(node.content[0])
                #expect(bytes == expected)
            } catch {
                #expect(error.code == .damaged)
                lost += 1
            }
        }
        #expect(lost <= 2)
    }

    @Test func failingDriveIsNotAskedFirstAgain() async throws {
        var generator = SeededGenerator(seed: 33)
        let key = try await makeRepository(on: backend).masterKey
        let writer = try await openMemoryRepository(backend, key)
        let committed = try await writer.commit(
            files: (0..<5).map { ("file-\($0)", generator.bytes(1_000_000)) })
        let reader = try await openMemoryRepository(backend, key) { $0.purpose = .reading }
        let nodes = try await reader.tree(committed.snapshot.tree)
        backend.state.withLock { state in
            state.failing = [0]
            state.reads = 0
        }
        for node in nodes { _ = try await reader.read(node.content) }
        let reads = backend.state.withLock { $0.reads }
        let blobs = nodes.reduce(0) { $0 + $1.content.count }
        // One read found out that copy 0 fails; the rest went to copy 1 at once.
        #expect(reads <= blobs + 1)
    }

    @Test func blobsInOrderAreReadAhead() async throws {
        var generator = SeededGenerator(seed: 34)
        let key = try await makeRepository(on: backend).masterKey
        let writer = try await openMemoryRepository(backend, key)
        let files = (0..<400).map { ("file-\($0)", generator.bytes(4000)) }
        let committed = try await writer.commit(files: files)
        let reader = try await openMemoryRepository(backend, key) { $0.purpose = .reading }
        var nodes = try await reader.tree(committed.snapshot.tree)
        nodes.sort { $0.name.bytes.count < $1.name.bytes.count }
        backend.state.withLock { $0.reads = 0 }
        for node in nodes {
            let expected = files.first { EntryName($0.0) == node.name }?.1
            #expect(try await reader.read(node.content) == expected)
        }
        #expect(backend.state.withLock { $0.reads } < 40)
    }

    @Test func unreadableSnapshotIsAnErrorAndNotLeftOut() async throws {
        var generator = SeededGenerator(seed: 35)
        let key = try await makeRepository(on: backend).masterKey
        let writer = try await openMemoryRepository(backend, key)
        _ = try await writer.commit(files: [("a", generator.bytes(10))])
        let name = try #require(backend.names(.snapshot).first)
        for copy in [0, 1] { backend.change(name, copy: copy) { $0?[20] ^= 1 } }
        let reader = try await openMemoryRepository(backend, key)
        do throws(RepositoryError) {
            _ = try await reader.snapshots()
            Issue.record("a damaged snapshot was left out")
        } catch {
            #expect(error.detail.contains(name.id.hex))
        }
    }
}
