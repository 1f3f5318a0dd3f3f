import BackupCore
import Foundation
import ResticFormat
import ResticRepository
import Testing

/// restic judges what we write, and we read what restic writes.
@Suite(.enabled(if: Restic.isInstalled))
struct ResticOracleTests {
    private static let options = RepositoryOptions(.writing, clock: ManualClock())

    /// Files of all sizes that matter: none, tiny, one chunk, several chunks.
    private static func files(seed: UInt64) -> [(name: String, bytes: [UInt8])] {
        var generator = SeededGenerator(seed: seed)
        var files: [(name: String, bytes: [UInt8])] = [
            ("empty", []), ("notes.txt", generator.text(40_000)),
            ("IMG_1.jpg", generator.bytes(3_500_000)), ("VID_1.mp4", generator.bytes(12_000_000)),
            ("e\u{301} – 名.jpg", generator.bytes(700)),
        ]
        for number in 0..<200 {
            files.append(("small-\(number)", generator.bytes(Int(generator.next() % 9000))))
        }
        return files
    }

    @Test func resticAcceptsAndRestoresWhatWeWriteAndAddsNothing() async throws {
        let folder = try TemporaryFolder()
        let restic = Restic(repository: folder.url.appendingPathComponent("repository"))
        let backend = try DirectoryBackend(restic.repository)
        let key = try await makeRepository(on: backend).masterKey
        var generator = SeededGenerator(seed: 20)
        let files = Self.files(seed: 21)
        let database = generator.database(500_000)
        let repository = try await ResticSnapshotRepository.open(
            backend: backend, masterKey: key, options: Self.options)
        let committed = try await repository.commit(
            files: files + [("msgstore.db", database)])
        await repository.close()

        let check = try restic.run("check", "--read-data")
        #expect(check.status == 0, "\(check.output)")
        let restored = folder.url.appendingPathComponent("restored")
        let restore = try restic.run("restore", "latest", "--target", restored.path)
        #expect(restore.status == 0, "\(restore.output)")
        for file in files + [("msgstore.db", database)] {
            let bytes = try Data(contentsOf: restored.appendingPathComponent(file.name))
            #expect(Array(bytes) == file.bytes, "\(file.name)")
        }
        // restic cuts databases by content, we do not: all else must be known to it.
        try FileManager.default.removeItem(at: restored.appendingPathComponent("msgstore.db"))
        let backup = try restic.run("backup", "-v", restored.path)
        #expect(backup.status == 0)
        #expect(backup.output.contains("Data Blobs:      0 new"), "\(backup.output)")

        // And back: restic's snapshot among ours, its files by our reader.
        let reader = try await ResticSnapshotRepository.open(
            backend: backend, masterKey: key, options: Self.options)
        #expect(try await reader.snapshots().contains(committed.snapshot))
        #expect(try await reader.snapshots().count == 2)
        let report = try await StructureCheck(
            backend: backend, masterKey: key, readData: true
        ).run()
        #expect(report.findings == [])
    }

    @Test func repositoryThatResticMadeIsUnlockedReadAndContinued() async throws {
        let folder = try TemporaryFolder()
        let restic = Restic(repository: folder.url.appendingPathComponent("repository"))
        #expect(try restic.run("init").status == 0)
        let original = folder.url.appendingPathComponent("phone")
        try FileManager.default.createDirectory(
            at: original, withIntermediateDirectories: true)
        let files = Self.files(seed: 22)
        for file in files {
            try Data(file.bytes).write(to: original.appendingPathComponent(file.name))
        }
        #expect(try restic.run("backup", original.path).status == 0)

        let backend = try DirectoryBackend(restic.repository)
        let key = try await ResticSnapshotRepository.unlock(backend: backend, password: "secret")
        let repository = try await ResticSnapshotRepository.open(
            backend: backend, masterKey: key, options: Self.options)
        #expect(repository.openingReport == OpeningReport())
        let snapshot = try #require(try await repository.snapshots().first)
        var nodes = try await repository.tree(snapshot.tree)
        while nodes.count == 1, let subtree = nodes[0].subtree {
            nodes = try await repository.tree(subtree)
        }
        #expect(nodes.count == files.count)
        for node in nodes {
            let expected = files.first { EntryName($0.name) == node.name }?.bytes
            #expect(try await repository.read(node.content) == expected)
        }
        // The same content is known already, chunk by chunk.
        let committed = try await repository.commit(files: files)
        #expect(committed.snapshot.id != snapshot.id)
        #expect(await repository.statistics().dataBlobs == 0)
        let check = try restic.run("check", "--read-data")
        #expect(check.status == 0, "\(check.output)")
    }

    @Test func packsLeftByAKilledRunAreIndexedByTheNext() async throws {
        let folder = try TemporaryFolder()
        let restic = Restic(repository: folder.url.appendingPathComponent("repository"))
        let backend = try DirectoryBackend(restic.repository)
        let key = try await makeRepository(on: backend).masterKey
        var generator = SeededGenerator(seed: 23)
        var options = Self.options
        options.packByteCount = 1 << 20
        let killed = try await ResticSnapshotRepository.open(
            backend: backend, masterKey: key, options: options)
        let bytes = generator.bytes(30_000_000)
        let saved = try await killed.save(source(bytes))
        // Neither closed nor committed: its full packs are there, no index is.
        let packs = try await backend.list(.data)
        #expect(packs.count > 3)
        #expect(try restic.run("check").status == 0)

        let next = try await ResticSnapshotRepository.open(
            backend: backend, masterKey: key, options: options)
        #expect(next.openingReport.adoptedPacks.count == packs.count)
        let again = try await next.save(source(bytes))
        #expect(again.content == saved.content)
        #expect(again.addedBytes < UInt64(bytes.count) / 2)
        try await next.checkpoint()
        let check = try restic.run("check", "--read-data")
        #expect(check.status == 0, "\(check.output)")
        #expect(!check.output.contains("not referenced"), "\(check.output)")
    }
}
