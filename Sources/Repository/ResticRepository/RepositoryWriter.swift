import BackupCore
import ResticFormat
import Synchronization

/// Stores blobs that are not known yet, in packs, and writes the indexes of them.
///
/// After a failure nothing more can be saved: content that was promised is lost, and a snapshot
/// that refers to it must not come to be. Reading goes on; a repository opened anew can save.
final class RepositoryWriter: Sendable {
    private struct State {
        var pipeline: SavePipeline?
        var failure: RepositoryError?
        var statistics = RepositoryStatistics()
        /// Since when there is a blob that no index names.
        var pendingSince: Duration?
        /// Whether files were handed to the backend since its last flush.
        var isUnflushed = false
        var isClosed = false
    }

    let buffers = BufferPool()
    private let backend: any RepositoryBackend
    private let key: MasterKey
    private let options: RepositoryOptions
    private let ledger: BlobLedger
    private let sealer: FileSealer
    /// Packs and indexes are written by one saver at a time.
    private let turn = AsyncTurn()
    private let state: Mutex<State>

    init(
        backend: any RepositoryBackend, key: MasterKey, options: RepositoryOptions,
        ledger: BlobLedger, sealer: FileSealer
    ) {
        self.backend = backend
        self.key = key
        self.options = options
        self.ledger = ledger
        self.sealer = sealer
        state = Mutex(State())
    }

    var statistics: RepositoryStatistics { state.withLock { $0.statistics } }

    /// Stores a blob unless it is known; gives the number of bytes that were new.
    func store(_ key: BlobKey, _ bytes: consuming [UInt8]) async throws(RepositoryError) -> Int {
        try checkUsable()
        guard ledger.blobs.withLock({ $0.claim(key) }) else {
            buffers.give(bytes)
            return 0
        }
        let count = bytes.count
        let now = options.clock.elapsed()
        state.withLock { state in
            state.pendingSince = state.pendingSince ?? now
            state.statistics.addedBytes += UInt64(count)
            if key.kind == .data {
                state.statistics.dataBlobs += 1
            } else {
                state.statistics.treeBlobs += 1
            }
        }
        let pipeline = pipeline
        await pipeline.add(PendingBlob(key: key, bytes: bytes))
        try await writeFullPacks(pipeline)
        return count
    }

    /// Makes everything stored so far durable and writes the index of it. With nothing new it
    /// writes nothing.
    func checkpoint() async throws(RepositoryError) {
        try checkUsable()
        try await turn.take { () async throws(RepositoryError) in try await checkpointInTurn() }
    }

    /// Stores the snapshot, last, and makes it durable; gives its file's name.
    func writeSnapshot(json: [UInt8]) async throws(RepositoryError) -> ContentID {
        try await checkpoint()
        let file = sealer.seal(json: json)
        try await turn.take { () async throws(RepositoryError) in
            await options.willPublish()
            try await write(FileName(.snapshot, file.id), file.bytes)
            try await flush()
        }
        return file.id
    }

    /// Brings everything stored so far to where the backend can read it.
    func settle() async throws(RepositoryError) {
        try checkUsable()
        try await turn.take { () async throws(RepositoryError) in try await settleInTurn() }
    }

    /// Brings the packs that the backend has taken to where it can read them.
    func settleWritten() async throws(RepositoryError) {
        guard state.withLock({ $0.isUnflushed && $0.failure == nil }) else { return }
        try await turn.take { () async throws(RepositoryError) in try await flush() }
    }

    /// Ends saving: what is not in a checkpoint is given up and stays as packs without an index.
    func close() async {
        let pipeline = state.withLock { state in
            state.isClosed = true
            defer { state.pipeline = nil }
            return state.pipeline
        }
        // The threads end with the pipeline; waiting here means that none outlives the call.
        await pipeline?.finishPacks()
    }

    // MARK: - In turn

    private func checkpointInTurn() async throws(RepositoryError) {
        // What another saver stores from now on may miss this checkpoint.
        state.withLock { $0.pendingSince = nil }
        try await settleInTurn()
        try await writeIndexes()
    }

    private func settleInTurn() async throws(RepositoryError) {
        if let pipeline = state.withLock({ $0.pipeline }) {
            await pipeline.finishPacks()
            try await writeReadyPacks(pipeline)
        }
        try await flush()
    }

    /// Writes packs that are complete, and an index when many are without one. The open packs
    /// end early only when a blob in them has waited for long: a slow phone fills no pack in hours.
    private func writeFullPacks(_ pipeline: SavePipeline) async throws(RepositoryError) {
        try await turn.take { () async throws(RepositoryError) in
            try await writeReadyPacks(pipeline)
            if isCheckpointOverdue { return try await checkpointInTurn() }
            guard isIndexFull else { return }
            try await flush()
            try await writeIndexes()
        }
    }

    private func writeReadyPacks(_ pipeline: SavePipeline) async throws(RepositoryError) {
        while let finished = pipeline.takeReady() {
            try await write(FileName(.data, finished.pack.id), finished.bytes)
            ledger.blobs.withLock { $0.add(written: finished.pack) }
            state.withLock { $0.statistics.packs += 1 }
        }
        if let failure = pipeline.failure { throw fail(failure) }
    }

    private var isCheckpointOverdue: Bool {
        guard let since = state.withLock({ $0.pendingSince }) else { return false }
        return options.clock.elapsed() - since >= options.checkpointInterval
    }

    private var isIndexFull: Bool {
        let (packs, blobs) = ledger.blobs.withLock { ($0.unindexed.count, $0.unindexedBlobCount) }
        return packs >= options.checkpointPackCount || blobs >= RepositoryLimits.blobsPerIndex
    }

    /// Writes index files of all packs that are durable and not indexed. All blobs of a pack
    /// stand in one file.
    private func writeIndexes() async throws(RepositoryError) {
        let packs = ledger.blobs.withLock { $0.unindexed }
        guard !packs.isEmpty else { return }
        await options.willPublish()
        var group: [IndexedPack] = []
        var blobCount = 0
        for pack in packs {
            if !group.isEmpty, blobCount + pack.blobs.count > RepositoryLimits.blobsPerIndex {
                try await writeIndex(group)
                group = []
                blobCount = 0
            }
            group.append(pack)
            blobCount += pack.blobs.count
        }
        try await writeIndex(group)
        try await flush()
        ledger.blobs.withLock { $0.markIndexed(packs.count) }
    }

    private func writeIndex(_ packs: [IndexedPack]) async throws(RepositoryError) {
        let file = sealer.seal(json: IndexCodec.encode(packs))
        try await write(FileName(.index, file.id), file.bytes)
    }

    // MARK: - Backend

    private func write(_ name: FileName, _ bytes: [UInt8]) async throws(RepositoryError) {
        do throws(BackendError) {
            state.withLock { $0.isUnflushed = true }
            try await backend.write(name, bytes)
            state.withLock { $0.statistics.storedBytes += UInt64(bytes.count) }
        } catch {
            throw fail(RepositoryError(error))
        }
    }

    private func flush() async throws(RepositoryError) {
        guard state.withLock({ $0.isUnflushed }) else { return }
        do throws(BackendError) {
            try await backend.flush()
            state.withLock { $0.isUnflushed = false }
        } catch {
            throw fail(RepositoryError(error))
        }
    }

    private var pipeline: SavePipeline {
        state.withLock { state in
            if let pipeline = state.pipeline { return pipeline }
            let pipeline = SavePipeline(key: key, options: options, buffers: buffers)
            state.pipeline = pipeline
            return pipeline
        }
    }

    private func checkUsable() throws(RepositoryError) {
        let (failure, isClosed) = state.withLock { ($0.failure, $0.isClosed) }
        if let failure { throw failure }
        guard !isClosed else {
            throw RepositoryError(
                .cancelled, "the repository was closed while it was being saved to")
        }
    }

    /// Ends saving with `error` and makes everything unknown that may not have reached a drive.
    private func fail(_ error: RepositoryError) -> RepositoryError {
        let first = state.withLock { state in
            let first = state.failure ?? error
            state.failure = first
            // Its threads end; what they still seal is of no use.
            state.pipeline = nil
            return first
        }
        ledger.blobs.withLock { $0.forgetFresh() }
        return first
    }
}
