import BackupCore
import ResticFormat
import Synchronization

/// Between whoever cuts and hashes and the sealing threads: gathers small blobs to batches, holds
/// the cutter back while too much is queued, and collects full packs.
///
/// Writing the packs is the saver's: it awaits the drives anyway, and their pace then holds back
/// the reading without a task of the pipeline's own.
final class SavePipeline: Sendable {
    /// A batch is handed over at this size: enough that the hand-over costs nothing per small
    /// file, and a chunk of usual length goes alone.
    private static let batchByteCount = 1 << 20
    private static let batchBlobCount = 256
    /// Plain bytes that may wait for the sealing threads.
    private static let queueByteCount = 6 << 20

    private struct State {
        var data: [PendingBlob] = []
        var dataByteCount = 0
        var trees: [PendingBlob] = []
        var treeByteCount = 0
        var queuedByteCount = 0
        var ready: [FinishedPack] = []
        var failure: RepositoryError?
        var waiting: [CheckedContinuation<Void, Never>] = []
    }

    private let state = Mutex(State())
    private let workers: [SealingWorker]

    /// Starts the threads.
    init(key: MasterKey, options: RepositoryOptions, buffers: BufferPool) {
        workers = (0..<max(1, options.workerCount)).map {
            SealingWorker(
                number: $0, key: key, packByteCount: options.packByteCount, buffers: buffers)
        }
    }

    /// Why a blob could not be sealed; the pipeline gives no complete packs from then on.
    var failure: RepositoryError? { state.withLock { $0.failure } }

    /// Queues a blob; waits while too many bytes are queued.
    func add(_ blob: PendingBlob) async {
        let (batch, isCrowded) = state.withLock { state in
            let batch =
                blob.key.kind == .data
                ? Self.gather(blob, &state.data, &state.dataByteCount)
                : Self.gather(blob, &state.trees, &state.treeByteCount)
            if let batch { state.queuedByteCount += batch.byteCount }
            return (batch, state.queuedByteCount > Self.queueByteCount)
        }
        if let batch { start(batch) }
        if isCrowded { await waitForRoom() }
    }

    /// A pack that is complete and not yet written.
    func takeReady() -> FinishedPack? {
        state.withLock { $0.ready.isEmpty ? nil : $0.ready.removeFirst() }
    }

    /// Seals what was gathered and ends the open packs; all of them are ready then.
    func finishPacks() async {
        let rest = state.withLock { state in
            let batches = [
                Self.emptied(&state.data, &state.dataByteCount),
                Self.emptied(&state.trees, &state.treeByteCount),
            ].compactMap(\.self)
            state.queuedByteCount += batches.reduce(0) { $0 + $1.byteCount }
            return batches
        }
        for batch in rest { start(batch) }
        for worker in workers.dropFirst() {
            // One worker's rest joins the first one's, so that a small run makes one small pack.
            let finished = await workers[0].finish(with: worker.takeOpenPacks())
            keep(finished)
        }
        if workers.count == 1 { keep(await workers[0].finish(with: [:])) }
    }

    private func keep(_ packs: [FinishedPack]) {
        state.withLock { $0.ready += packs }
    }

    // MARK: - Batches

    private struct Batch {
        let blobs: SealingBatch
        let kind: BlobKind
        let byteCount: Int
    }

    private static func gather(
        _ blob: PendingBlob, _ blobs: inout [PendingBlob], _ byteCount: inout Int
    ) -> Batch? {
        blobs.append(blob)
        byteCount += blob.bytes.count
        guard byteCount >= batchByteCount || blobs.count >= batchBlobCount else { return nil }
        return emptied(&blobs, &byteCount)
    }

    private static func emptied(
        _ blobs: inout [PendingBlob], _ byteCount: inout Int
    ) -> Batch? {
        guard let first = blobs.first else { return nil }
        defer {
            blobs = []
            byteCount = 0
        }
        return Batch(blobs: SealingBatch(blobs), kind: first.key.kind, byteCount: byteCount)
    }

    /// Trees go to one worker, so that there is one pack of them; data goes anywhere.
    private func start(_ batch: Batch) {
        let number = batch.kind == .tree ? 0 : Int.random(in: workers.indices)
        workers[number].start(batch.blobs) { [self] outcome in
            let waiting = state.withLock { state in
                state.ready += outcome.full
                state.failure = state.failure ?? outcome.failure
                state.queuedByteCount -= batch.byteCount
                guard state.queuedByteCount <= Self.queueByteCount else {
                    return [CheckedContinuation<Void, Never>]()
                }
                defer { state.waiting = [] }
                return state.waiting
            }
            for continuation in waiting { continuation.resume() }
        }
    }

    /// Not ended by cancellation: the threads always go on, so the wait is short.
    private func waitForRoom() async {
        await withCheckedContinuation { continuation in
            let mustWait = state.withLock { state in
                guard state.queuedByteCount > Self.queueByteCount else { return false }
                state.waiting.append(continuation)
                return true
            }
            if !mustWait { continuation.resume() }
        }
    }
}
