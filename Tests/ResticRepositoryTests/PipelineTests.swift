import BackupCore
import ResticFormat
import Synchronization
import Testing

@testable import ResticRepository

/// The parts behind `save`, where the port cannot reach.
@Suite struct PipelineTests {
    private let backend = MemoryBackend(copyCount: 2)

    private func makeWriter(_ key: MasterKey) -> (RepositoryWriter, BlobLedger) {
        let ledger = BlobLedger(BlobIndex())
        let writer = RepositoryWriter(
            backend: backend, key: key,
            options: RepositoryOptions(.writing, clock: ManualClock()), ledger: ledger,
            sealer: FileSealer(key))
        return (writer, ledger)
    }

    @Test func blobThatChangedInMemoryNeverReachesADrive() async throws {
        let (writer, ledger) = makeWriter(.random())
        var bytes: [UInt8] = Array(repeating: 7, count: 5000)
        let key = BlobKey(.data, ContentID.sha256(of: bytes))
        // A bit flips between hashing and sealing.
        bytes[1234] ^= 8
        _ = try await writer.store(key, bytes)
        do throws(RepositoryError) {
            try await writer.checkpoint()
            Issue.record("a wrong blob was stored")
        } catch {
            #expect(error.code == .damaged)
        }
        #expect(backend.paths.isEmpty)
        #expect(!ledger.blobs.withLock { $0.holds(key) })
    }

    @Test func indexFilesAreBoundedAndKeepPacksTogether() async throws {
        let key = MasterKey.random()
        let ledger = BlobLedger(BlobIndex())
        var options = RepositoryOptions(.writing, clock: ManualClock())
        options.packByteCount = 1 << 20
        options.checkpointPackCount = .max
        let writer = RepositoryWriter(
            backend: backend, key: key, options: options, ledger: ledger, sealer: FileSealer(key))
        let count = 70_000
        for number in 0..<count {
            let bytes = Array("blob \(number)".utf8)
            _ = try await writer.store(BlobKey(.data, ContentID.sha256(of: bytes)), bytes)
        }
        try await writer.checkpoint()

        let sealer = FileSealer(key)
        var seen: Set<ContentID> = []
        var total = 0
        for name in backend.names(.index) {
            let file = try #require(backend.state.withLock { $0.copies[0][name] })
            let packs = try IndexCodec.decode(sealer.openJSON(file, .index))
            let blobs = packs.reduce(0) { $0 + $1.blobs.count }
            #expect(blobs <= 50_000)
            total += blobs
            for pack in packs { #expect(seen.insert(pack.id).inserted) }
        }
        #expect(total == count && backend.names(.index).count >= 2)
    }

    /// Every write fails once, the first, the second, … until none does.
    @Test(arguments: 0..<14) func failureOfAnyWriteLeavesASoundRepository(step: Int) async throws {
        let seed: UInt64 = 60
        var generator = SeededGenerator(seed: seed)
        let key = try await makeRepository(on: backend).masterKey
        let old = generator.bytes(400_000)
        let first = try await openMemoryRepository(backend, key)
        let kept = try await first.commit(files: [("old", old)])
        let files = (0..<8).map { ("file-\($0)", generator.bytes(300_000)) }

        backend.state.withLock { $0.writesLeft = step }
        let failing = try await openMemoryRepository(backend, key) {
            $0.packByteCount = 500_000
            $0.checkpointPackCount = 2
        }
        var isDone = false
        do {
            _ = try await failing.commit(files: files)
            isDone = true
        } catch let error as RepositoryError {
            #expect(error.code == .noDrive, "step \(step), seed \(seed)")
        } catch SaveError.repository(let error) {
            #expect(error.code == .noDrive, "step \(step), seed \(seed)")
        }
        backend.state.withLock { $0.writesLeft = nil }
        let after = try await StructureCheck(
            backend: backend, masterKey: key, readData: true
        ).run()
        #expect(after.isSound && after.snapshotCount == (isDone ? 2 : 1), "\(after.findings)")

        let next = try await openMemoryRepository(backend, key)
        #expect(try await next.snapshots().contains(kept.snapshot))
        let again = try await next.commit(files: files)
        for node in try await next.tree(again.snapshot.tree) {
            let expected = files.first { EntryName($0.0) == node.name }?.1
            #expect(try await next.read(node.content) == expected)
        }
    }

    @Test func threadsEndWithTheRepository() async throws {
        let key = try await makeRepository(on: backend).masterKey
        weak var gone: SavePipeline?
        do {
            let buffers = BufferPool()
            let pipeline = SavePipeline(
                key: key, options: RepositoryOptions(.writing, clock: ManualClock()),
                buffers: buffers)
            gone = pipeline
            let bytes: [UInt8] = [1, 2, 3]
            await pipeline.add(PendingBlob(key: BlobKey(.data, .sha256(of: bytes)), bytes: bytes))
            await pipeline.finishPacks()
            #expect(pipeline.takeReady() != nil)
        }
        // The last job may still be returning on its thread; it holds the pipeline no longer than
        // that.
        while gone != nil { await Task.yield() }
    }

    @Test func resticsChunksComeOutOfAnyPieces() {
        var generator = SeededGenerator(seed: 61)
        let bytes = generator.bytes(7_000_000)
        let chunker = Chunker(polynomial: .random())
        var lengths: Set<[Int]> = []
        for piece in [1 << 20, 777_777, 100_003] {
            var buffer = ContentBuffer(cutter: FileCutter(chunker: chunker), pool: BufferPool())
            var chunks: [[UInt8]] = []
            for start in stride(from: 0, to: bytes.count, by: piece) {
                buffer.append(Array(bytes[start..<min(bytes.count, start + piece)]))
                while let chunk = buffer.nextChunk() { chunks.append(chunk) }
            }
            if let rest = buffer.rest() { chunks.append(rest) }
            #expect(Array(chunks.joined()) == bytes)
            lengths.insert(chunks.map(\.count))
        }
        #expect(lengths.count == 1)
    }
}
