import BackupCore
import ResticFormat
import ResticRepository
import Synchronization
import Testing

@Suite struct OpeningTests {
    private let backend = MemoryBackend(copyCount: 2)

    @Test func anyPasswordOfTheRepositoryUnlocksIt() async throws {
        let new = try await makeRepository(on: backend, passwords: ["one", "two words"])
        for password in ["one", "two words"] {
            #expect(
                try await ResticSnapshotRepository.unlock(backend: backend, password: password)
                    == new.masterKey)
        }
        await expect(.wrongPassword) {
            _ = try await ResticSnapshotRepository.unlock(backend: backend, password: "three")
        }
    }

    @Test func damagedKeyFileDoesNotHideTheOthers() async throws {
        let new = try await makeRepository(on: backend, passwords: ["one", "two"])
        for copy in [0, 1] {
            backend.change(FileName(.key, new.keys[0].id), copy: copy) { $0?.removeLast() }
        }
        #expect(
            try await ResticSnapshotRepository.unlock(backend: backend, password: "two")
                == new.masterKey)
        await expect(.wrongPassword) {
            _ = try await ResticSnapshotRepository.unlock(backend: backend, password: "three")
        }
    }

    @Test func drivesThatFailAreNotAWrongPassword() async throws {
        _ = try await makeRepository(on: backend)
        backend.state.withLock { $0.failing = [0, 1] }
        await expect(.noDrive) {
            _ = try await ResticSnapshotRepository.unlock(backend: backend, password: "secret")
        }
    }

    @Test func repositoryWithoutKeysIsNotAWrongPassword() async throws {
        _ = try await makeRepository(on: backend)
        for name in backend.names(.key) {
            for copy in [0, 1] { backend.change(name, copy: copy) { $0 = [1, 2, 3] } }
        }
        await expect(.damaged) {
            _ = try await ResticSnapshotRepository.unlock(backend: backend, password: "secret")
        }
        for name in backend.names(.key) {
            for copy in [0, 1] { backend.change(name, copy: copy) { $0 = nil } }
        }
        await expect(.missing) {
            _ = try await ResticSnapshotRepository.unlock(backend: backend, password: "secret")
        }
    }

    @Test(arguments: [
        (
            #"{"version":3,"id":"ID","chunker_polynomial":"POLYNOMIAL"}"#,
            RepositoryError.Code.unsupported
        ),
        (#"{"version":2,"id":"ID","chunker_polynomial":"7"}"#, .damaged),
        (#"{"version":2"#, .damaged),
        ("", .damaged),
    ])
    func unusableConfigIsRefused(json: String, code: RepositoryError.Code) async throws {
        let key = try await makeRepository(on: backend).masterKey
        let config = RepositoryConfig.random()
        let text = json.replacing("ID", with: config.id.hex)
            .replacing("POLYNOMIAL", with: config.polynomial.hex)
        try await backend.write(.config, Sealer(key).seal(Array(text.utf8)))
        await expect(code) {
            _ = try await openMemoryRepository(backend, key)
        }
    }

    @Test func packsOfAKilledRunAreTakenOverWhenWritingOnly() async throws {
        var generator = SeededGenerator(seed: 40)
        let key = try await makeRepository(on: backend).masterKey
        let bytes = generator.bytes(8_000_000)
        let killed = try await openMemoryRepository(backend, key) { $0.packByteCount = 1 << 20 }
        let saved = try await killed.save(source(bytes))
        await killed.close()
        let packs = backend.names(.data)
        #expect(!packs.isEmpty && backend.names(.index).isEmpty)

        let reading = try await openMemoryRepository(backend, key) { $0.purpose = .reading }
        #expect(reading.openingReport.adoptedPacks.isEmpty)
        let writing = try await openMemoryRepository(backend, key)
        #expect(writing.openingReport.adoptedPacks == packs)
        let again = try await writing.save(source(bytes))
        #expect(again.content == saved.content && again.addedBytes < saved.addedBytes)
        // They are readable before and after the index names them.
        #expect(try await writing.read(again.content) == bytes)
        try await writing.checkpoint()
        #expect(try await writing.read(again.content) == bytes)
        let third = try await openMemoryRepository(backend, key)
        #expect(third.openingReport == OpeningReport())
        #expect(try await third.read(again.content) == bytes)
    }

    @Test func damagedPackWithoutAnIndexIsReportedAndLeftAlone() async throws {
        var generator = SeededGenerator(seed: 41)
        let key = try await makeRepository(on: backend).masterKey
        let garbage = generator.bytes(5000)
        let honest = FileName(.data, ContentID.sha256(of: garbage))
        let lying = FileName(.data, ContentID.sha256(of: [1]))
        try await backend.write(honest, garbage)
        try await backend.write(lying, garbage)
        let repository = try await openMemoryRepository(backend, key)
        #expect(Set(repository.openingReport.ignoredPacks) == [honest, lying])
        _ = try await repository.commit(files: [("a", generator.bytes(10))])
        let report = try await StructureCheck(
            backend: backend, masterKey: key, readData: true
        ).run()
        #expect(report.isSound && report.unindexedPackCount == 2)
    }

    /// restic may be at work on one drive alone, also while a run of ours begins.
    @Test(arguments: [true, false]) func whatOneDriveAloneHasIsStoredAgain(
        isIndexed: Bool
    ) async throws {
        var generator = SeededGenerator(seed: 45)
        let key = try await makeRepository(on: backend).masterKey
        let files = [("a", generator.bytes(100_000))]
        let neighbour = try await openMemoryRepository(backend, key)
        _ = try await neighbour.commit(files: files)
        for kind in [FileKind.data, .index, .snapshot] where isIndexed || kind == .data {
            for name in backend.names(kind) { backend.change(name, copy: 1) { $0 = nil } }
        }
        if !isIndexed {
            for name in backend.names(.index) + backend.names(.snapshot) {
                for copy in [0, 1] { backend.change(name, copy: copy) { $0 = nil } }
            }
        }

        let ours = try await openMemoryRepository(backend, key)
        let committed = try await ours.commit(files: files)
        let alone = MemoryBackend()
        let held = backend.state.withLock { $0.copies[1] }
        alone.state.withLock { $0.copies = [held] }
        let reading = try await openMemoryRepository(alone, key) { $0.purpose = .reading }
        let nodes = try await reading.tree(committed.snapshot.tree)
        #expect(try await reading.read(try #require(nodes.first).content) == files[0].1)
        #expect(try await StructureCheck(backend: alone, masterKey: key).run().isSound)
    }

    @Test func packMissingEverywhereIsStoredAgain() async throws {
        var generator = SeededGenerator(seed: 42)
        let key = try await makeRepository(on: backend).masterKey
        let files = [("a", generator.bytes(100_000))]
        let first = try await openMemoryRepository(backend, key)
        let committed = try await first.commit(files: files)
        let content = try #require(try await first.tree(committed.snapshot.tree).first).content
        let pack = try #require(
            backend.names(.data).first { name in
                backend.state.withLock { ($0.copies[0][name]?.count ?? 0) > 100_000 }
            })
        // Gone on one copy, cut short on the other.
        backend.change(pack, copy: 0) { $0 = nil }
        backend.change(pack, copy: 1) { $0?.removeLast() }

        let second = try await openMemoryRepository(backend, key)
        #expect(second.openingReport.missingPacks == [pack])
        #expect(await second.holds(content) == false)
        let again = try await second.commit(files: files)
        #expect(again.snapshot.tree == committed.snapshot.tree)
        #expect(await second.statistics().dataBlobs == 1)
        let third = try await openMemoryRepository(backend, key)
        #expect(await third.holds(content))
        #expect(try await third.read(content) == files[0].1)
    }

    @Test func indexDamagedEverywhereIsRebuiltFromThePacks() async throws {
        var generator = SeededGenerator(seed: 43)
        let key = try await makeRepository(on: backend).masterKey
        let files = [("a", generator.bytes(100_000))]
        let first = try await openMemoryRepository(backend, key)
        let committed = try await first.commit(files: files)
        let index = try #require(backend.names(.index).first)
        for copy in [0, 1] { backend.change(index, copy: copy) { $0?[30] ^= 4 } }

        let second = try await openMemoryRepository(backend, key)
        #expect(second.openingReport.unreadableIndexes == [index])
        #expect(second.openingReport.adoptedPacks.count == 2)
        let again = try await second.commit(files: files)
        #expect(again.snapshot.tree == committed.snapshot.tree)
        #expect(await second.statistics().packs == 0)
    }

    private func expect(
        _ code: RepositoryError.Code, _ body: () async throws -> Void,
        sourceLocation: SourceLocation = #_sourceLocation
    ) async {
        do {
            try await body()
            Issue.record("nothing was thrown", sourceLocation: sourceLocation)
        } catch let error as RepositoryError {
            #expect(error.code == code, "\(error)", sourceLocation: sourceLocation)
        } catch {
            Issue.record(error, sourceLocation: sourceLocation)
        }
    }
}
