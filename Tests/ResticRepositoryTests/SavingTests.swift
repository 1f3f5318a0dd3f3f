import BackupCore
import ResticFormat
import ResticRepository
import Synchronization
import Testing

@Suite struct SavingTests {
    private let backend = MemoryBackend(copyCount: 2)

    @Test(arguments: [
        0, 1, 15, 16, 4096, 65_536, 512 << 10, (512 << 10) + 1, 1 << 20, 3_000_001, 20_000_000,
    ])
    func savedContentReadsBack(count: Int) async throws {
        var generator = SeededGenerator(seed: UInt64(count))
        let key = try await makeRepository(on: backend).masterKey
        let repository = try await openMemoryRepository(backend, key)
        let bytes = generator.bytes(count)

        let saved = try await repository.save(source(bytes, pieceLength: 300_007))

        #expect(saved.byteCount == UInt64(count))
        #expect(saved.addedBytes == UInt64(count))
        #expect(await repository.holds(saved.content))
        #expect(try await repository.read(saved.content) == bytes)
        try await repository.checkpoint()
        #expect(try await repository.read(saved.content) == bytes)
        let reopened = try await openMemoryRepository(backend, key)
        #expect(try await reopened.read(saved.content) == bytes)
    }

    @Test func theCallerLooksBeforeIndexesAndSnapshotsAreWritten() async throws {
        let backend = MemoryBackend()
        let key = try await makeRepository(on: backend).masterKey
        let repository = try await openMemoryRepository(backend, key) { options in
            options.willPublish = { backend.state.withLock { $0.log.append("look") } }
        }
        _ = try await repository.commit(files: [("a", [1, 2, 3])])
        let log = backend.state.withLock { $0.log }
        for kind in ["index", "snapshots"] {
            let place = try #require(log.firstIndex(of: "write \(kind)"))
            #expect(log[place - 1] == "look")
        }
    }

    @Test func chunksDoNotDependOnThePiecesOfTheSource() async throws {
        var generator = SeededGenerator(seed: 3)
        let key = try await makeRepository(on: backend).masterKey
        let repository = try await openMemoryRepository(backend, key)
        for bytes in [generator.bytes(9_000_000), generator.database(1_000_000)] {
            var contents: Set<[ContentID]> = []
            for length in [1 << 20, 65_536, 99_991, 4001] {
                let saved = try await repository.save(source(bytes, pieceLength: length))
                contents.insert(saved.content)
            }
            #expect(contents.count == 1)
        }
    }

    @Test func databasesAreCutEvery64KiB() async throws {
        var generator = SeededGenerator(seed: 4)
        let key = try await makeRepository(on: backend).masterKey
        let repository = try await openMemoryRepository(backend, key)
        let bytes = generator.database(10 * 65_536 + 100)
        let saved = try await repository.save(source(bytes))
        #expect(saved.content.count == 11)
        #expect(try await repository.read(saved.content) == bytes)
    }

    @Test func secondSaveOfTheSameDataWritesNoPackAndNoIndex() async throws {
        var generator = SeededGenerator(seed: 5)
        let files = (0..<20).map { ("file-\($0)", generator.bytes(5000 * ($0 + 1))) }
        let key = try await makeRepository(on: backend).masterKey
        let first = try await openMemoryRepository(backend, key)
        let one = try await first.commit(files: files)
        let before = backend.paths

        let second = try await openMemoryRepository(backend, key)
        let two = try await second.commit(files: files)

        #expect(one.snapshot.tree == two.snapshot.tree)
        let new = backend.paths.subtracting(before)
        #expect(new.allSatisfy { $0.hasPrefix("snapshots/") }, "\(new)")
        let statistics = await second.statistics()
        #expect(statistics.packs == 0 && statistics.addedBytes == 0)
    }

    @Test func statisticsCountWhatIsNew() async throws {
        var generator = SeededGenerator(seed: 6)
        let key = try await makeRepository(on: backend).masterKey
        let repository = try await openMemoryRepository(backend, key)
        let bytes = generator.bytes(100_000)
        let before = backend.state.withLock { $0.copies[0].values.reduce(0) { $0 + $1.count } }
        let committed = try await repository.commit(files: [("a", bytes), ("b", bytes)])
        let after = backend.state.withLock { $0.copies[0].values.reduce(0) { $0 + $1.count } }

        let statistics = await repository.statistics()
        #expect(statistics.dataBlobs == 1)
        #expect(statistics.treeBlobs == 1)
        #expect(statistics.packs == 2)
        #expect(statistics.addedBytes > 100_000 && statistics.addedBytes < 102_000)
        #expect(statistics.storedBytes == UInt64(after - before))
        #expect(committed.copies.count == 2)
        #expect(try await repository.snapshots() == [committed.snapshot])
    }

    @Test func packsAreDurableBeforeTheirIndexAndTheIndexBeforeTheSnapshot() async throws {
        var generator = SeededGenerator(seed: 7)
        let key = try await makeRepository(on: backend).masterKey
        let repository = try await openMemoryRepository(backend, key)
        backend.state.withLock { $0.log = [] }
        _ = try await repository.commit(files: [("a", generator.bytes(1000))])
        #expect(
            backend.state.withLock { $0.log } == [
                "write data", "write data", "flush", "write index", "flush", "write snapshots",
                "flush",
            ])
    }

    @Test func compressibleContentIsStoredSmaller() async throws {
        var generator = SeededGenerator(seed: 8)
        let key = try await makeRepository(on: backend).masterKey
        let repository = try await openMemoryRepository(backend, key)
        let text = generator.text(3_000_000)
        let saved = try await repository.save(source(text))
        try await repository.checkpoint()
        let statistics = await repository.statistics()
        #expect(statistics.storedBytes < 1_500_000)
        #expect(try await repository.read(saved.content) == text)
    }

    @Test func longRunsWriteIndexesInBetween() async throws {
        var generator = SeededGenerator(seed: 9)
        let key = try await makeRepository(on: backend).masterKey
        let clock = ManualClock()
        let repository = try await openMemoryRepository(backend, key, clock: clock) {
            $0.packByteCount = 100_000
            $0.checkpointPackCount = 1000
        }
        for _ in 0..<20 { _ = try await repository.save(source(generator.bytes(600_000))) }
        #expect(backend.names(.index).isEmpty)
        clock.advance(.seconds(301))
        for _ in 0..<20 { _ = try await repository.save(source(generator.bytes(600_000))) }
        #expect(!backend.names(.index).isEmpty)
        let before = backend.names(.data).count
        try await repository.checkpoint()
        let reopened = try await openMemoryRepository(backend, key) { $0.purpose = .reading }
        #expect(reopened.openingReport == OpeningReport())
        #expect(before > 0)
    }

    /// An index of packs that a power cut takes away would have restic and us trust what is not there.
    @Test func packsAreFlushedBeforeTheirIndex() async throws {
        var generator = SeededGenerator(seed: 17)
        let key = try await makeRepository(on: backend).masterKey
        let repository = try await openMemoryRepository(backend, key) {
            $0.packByteCount = 100_000
            $0.checkpointPackCount = 2
        }
        // The threads that seal may lag behind; sooner or later there are packs enough.
        for _ in 0..<400 where backend.indexesWritten.all == 0 {
            _ = try await repository.save(source(generator.bytes(600_000)))
        }
        let early = backend.indexesWritten
        #expect(early.all > 0 && early.tooEarly == 0)
        try await repository.checkpoint()
        let indexes = backend.indexesWritten
        #expect(indexes.all > early.all && indexes.tooEarly == 0)
    }

    @Test func slowPhoneIsIndexedInTimeAlthoughItFillsNoPack() async throws {
        var generator = SeededGenerator(seed: 16)
        let key = try await makeRepository(on: backend).masterKey
        let clock = ManualClock()
        let repository = try await openMemoryRepository(backend, key, clock: clock)
        let first = try await repository.save(source(generator.bytes(30_000)))
        clock.advance(.seconds(299))
        _ = try await repository.save(source(generator.bytes(30_000)))
        #expect(backend.names(.index).isEmpty)
        clock.advance(.seconds(2))
        _ = try await repository.save(source(generator.bytes(30_000)))
        let reopened = try await openMemoryRepository(backend, key)
        #expect(reopened.openingReport == OpeningReport())
        #expect(await reopened.holds(first.content), "a kill now loses nothing of it")
        // The next one is due five minutes after the first blob that is not in an index.
        clock.advance(.seconds(400))
        _ = try await repository.save(source(generator.bytes(30_000)))
        #expect(backend.names(.index).count == 1)
    }

    @Test func blobsOfAFileThatWasNeverReadWholeAreKnownAfterAKill() async throws {
        var generator = SeededGenerator(seed: 17)
        let key = try await makeRepository(on: backend).masterKey
        let clock = ManualClock()
        let killed = try await openMemoryRepository(backend, key, clock: clock)
        let film = generator.bytes(12_000_000)
        let pieces = Counter()
        // Six seconds a piece; the phone's end stands for the kill, after which nothing is called.
        let slow = ByteSource<DeviceError>(next: { () async throws(DeviceError) in
            guard pieces.count < 110 else { throw DeviceError(.gone, "killed") }
            let start = pieces.count * 100_000
            pieces.add()
            clock.advance(.seconds(6))
            // The threads that seal have their part of the time, as they do beside a real phone.
            try? await Task.sleep(for: .milliseconds(10))
            return Array(film[start..<start + 100_000])
        })
        await #expect(throws: SaveError.self) { _ = try await killed.save(slow) }
        #expect(!backend.names(.index).isEmpty)
        let next = try await openMemoryRepository(backend, key)
        #expect(next.openingReport.adoptedPacks.isEmpty)
        let again = try await next.save(source(film))
        #expect(again.addedBytes < 8_000_000, "\(again.addedBytes) of 12,000,000 were new")
        #expect(try await next.read(again.content) == film)
    }

    @Test func blobSavedByManyTasksIsStoredOnce() async throws {
        var generator = SeededGenerator(seed: 10)
        let key = try await makeRepository(on: backend).masterKey
        let repository = try await openMemoryRepository(backend, key)
        let shared = generator.bytes(2_000_000)
        let own = (0..<6).map { _ in generator.bytes(700_000) }
        let contents = try await withThrowingTaskGroup(of: [ContentID].self) { group in
            for bytes in own {
                group.addTask { try await repository.save(source(shared + bytes)).content }
                group.addTask { try await repository.save(source(shared)).content }
            }
            return try await group.reduce(into: []) { $0.append($1) }
        }
        try await repository.checkpoint()
        let added = await repository.statistics().addedBytes
        // The chunk at the seam belongs to one file each, everything before is shared.
        #expect(added < UInt64(shared.count + 6 * (700_000 + (8 << 20))))
        for content in contents { #expect(try await repository.read(content).starts(with: shared)) }
        let report = try await StructureCheck(
            backend: backend, masterKey: key, readData: true
        ).run()
        #expect(report.findings == [])
    }

    @Test func sourceIsClosedOnceAlsoWhenItFails() async throws {
        var generator = SeededGenerator(seed: 11)
        let key = try await makeRepository(on: backend).masterKey
        let repository = try await openMemoryRepository(backend, key)
        let good = Counter()
        _ = try await repository.save(source(generator.bytes(10), closed: good))
        #expect(good.count == 1)

        let bad = Counter()
        let failure = DeviceError(.gone, "the phone was unplugged")
        await #expect(throws: SaveError.self) {
            _ = try await repository.save(
                source(
                    generator.bytes(5_000_000), closed: bad, failure: failure,
                    failingAt: 3_000_000))
        }
        #expect(bad.count == 1)
        // The repository is none the worse for it.
        _ = try await repository.commit(files: [("a", generator.bytes(10))])
    }

    @Test func cancelledSavingLeavesOnlyValidPacksAndCanStillCommit() async throws {
        let key = try await makeRepository(on: backend).masterKey
        let repository = try await openMemoryRepository(backend, key) {
            $0.packByteCount = 1 << 20
        }
        let started = Counter()
        let task = Task {
            var generator = SeededGenerator(seed: 12)
            do throws(SaveError) {
                while true {
                    _ = try await repository.save(source(generator.bytes(900_000)))
                    started.add()
                }
            } catch {
                guard case .repository(let cause) = error, cause.code == .cancelled else {
                    Issue.record("\(error)")
                    return nil as ContentID?
                }
            }
            // What was saved becomes a partial snapshot, in the same cancelled task.
            return try await repository.commit(
                draft(try await repository.save(tree: []))
            ).snapshot.id
        }
        while started.count < 5 { await Task.yield() }
        task.cancel()
        let id = try await task.value
        #expect(id != nil)
        let report = try await StructureCheck(
            backend: backend, masterKey: key, readData: true
        ).run()
        #expect(report.findings == [] && report.snapshotCount == 1)
    }

    @Test func failedBackendEndsSavingAndMakesItsBlobsUnknown() async throws {
        var generator = SeededGenerator(seed: 13)
        let key = try await makeRepository(on: backend).masterKey
        let kept = generator.bytes(200_000)
        let lost = generator.bytes(300_000)
        let first = try await openMemoryRepository(backend, key)
        let good = try await first.commit(files: [("kept", kept)])
        backend.state.withLock { $0.writesLeft = 0 }

        let saved = try await first.save(source(lost))
        #expect(await first.holds(saved.content))
        await #expect(throws: RepositoryError.self) { try await first.checkpoint() }
        #expect(await first.holds(saved.content) == false)
        // What was promised is lost, so nothing may be built on it, even when space is back.
        backend.state.withLock { $0.writesLeft = nil }
        await #expect(throws: SaveError.self) { _ = try await first.save(source(lost)) }
        await #expect(throws: RepositoryError.self) {
            _ = try await first.commit(draft(good.snapshot.tree))
        }
        #expect(try await first.tree(good.snapshot.tree).count == 1)

        let again = try await openMemoryRepository(backend, key)
        #expect(await again.holds(saved.content) == false)
        _ = try await again.commit(files: [("kept", kept), ("lost", lost)])
        #expect(try await again.read(saved.content) == lost)
    }

    @Test func failedFlushLeavesNoIndexBehind() async throws {
        var generator = SeededGenerator(seed: 14)
        let key = try await makeRepository(on: backend).masterKey
        let repository = try await openMemoryRepository(backend, key)
        backend.state.withLock { $0.flushFails = true }
        await #expect(throws: RepositoryError.self) {
            _ = try await repository.commit(files: [("a", generator.bytes(1000))])
        }
        #expect(backend.names(.index).isEmpty)
        #expect(backend.names(.snapshot).isEmpty)
    }

    @Test func snapshotOfAnUnknownFolderIsRefused() async throws {
        let key = try await makeRepository(on: backend).masterKey
        let repository = try await openMemoryRepository(backend, key)
        await #expect(throws: RepositoryError.self) {
            _ = try await repository.commit(draft(ContentID.sha256(of: [1, 2, 3])))
        }
        #expect(backend.names(.snapshot).isEmpty)
    }

    @Test func closedRepositoryReadsAndNoLongerSaves() async throws {
        var generator = SeededGenerator(seed: 15)
        let key = try await makeRepository(on: backend).masterKey
        let repository = try await openMemoryRepository(backend, key)
        let committed = try await repository.commit(files: [("a", generator.bytes(1000))])
        await repository.close()
        #expect(try await repository.tree(committed.snapshot.tree).count == 1)
        await #expect(throws: SaveError.self) {
            _ = try await repository.save(source(generator.bytes(10)))
        }
    }
}
