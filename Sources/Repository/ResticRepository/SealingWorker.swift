import BackupCore
import BlockingThread
import ResticFormat
import Synchronization

/// One thread that compresses, seals, proves and packs blobs.
///
/// Each worker fills packs of its own, so nothing is copied between threads and a file's blobs,
/// given to the workers at random, scatter over as many open packs as there are workers, which
/// hides their lengths' order from whoever sees the packs.
final class SealingWorker: Sendable {
    private let thread: DedicatedThread
    /// Used by jobs on `thread` alone, so nobody ever waits for it.
    private let state: Mutex<SealingState>

    /// Starts worker `number`.
    init(number: Int, key: MasterKey, packByteCount: Int, buffers: BufferPool) {
        thread = DedicatedThread(name: "seal-\(number)")
        state = Mutex(SealingState(key: key, packByteCount: packByteCount, buffers: buffers))
    }

    /// Queues a batch; `done` is called on the worker's thread.
    func start(_ batch: SealingBatch, done: @escaping @Sendable (SealingOutcome) -> Void) {
        thread.start { [self] in done(state.withLock { $0.seal(batch.take()) }) }
    }

    /// Waits for all batches before, and takes the packs that are not full.
    func takeOpenPacks() async -> [BlobKind: OpenPack] {
        await thread.run { [self] in state.withLock { $0.takeOpenPacks() } }
    }

    /// Waits for all batches before, and ends the packs that are not full, together with
    /// `others` as far as they fit.
    func finish(with others: [BlobKind: OpenPack]) async -> [FinishedPack] {
        await thread.run { [self] in state.withLock { $0.finish(with: others) } }
    }
}

/// Blobs handed from the cutter to a worker. A box, so that the worker becomes the only owner of
/// the buffers and can reuse them.
final class SealingBatch: Sendable {
    private let blobs: Mutex<[PendingBlob]>

    init(_ blobs: [PendingBlob]) { self.blobs = Mutex(blobs) }

    /// The blobs, once.
    func take() -> [PendingBlob] {
        blobs.withLock { blobs in
            defer { blobs = [] }
            return blobs
        }
    }
}

/// What became of one batch.
struct SealingOutcome: Sendable {
    var full: [FinishedPack] = []
    /// Why a blob could not be proved; the rest of the batch was not sealed.
    var failure: RepositoryError?
}

/// The parts of a worker that only its thread touches.
private final class SealingState {
    private let parts: SealingParts
    private let packByteCount: Int
    private let buffers: BufferPool
    private var packs: [BlobKind: OpenPack] = [:]

    init(key: MasterKey, packByteCount: Int, buffers: BufferPool) {
        parts = SealingParts(sealer: Sealer(key))
        self.packByteCount = packByteCount
        self.buffers = buffers
    }

    func seal(_ batch: consuming [PendingBlob]) -> SealingOutcome {
        var outcome = SealingOutcome()
        for position in batch.indices {
            do throws(RepositoryError) {
                if let full = try seal(batch[position]) { outcome.full.append(full) }
            } catch {
                outcome.failure = error
                break
            }
            var used: [UInt8] = []
            swap(&used, &batch[position].bytes)
            buffers.give(used)
        }
        return outcome
    }

    /// Seals one blob and gives the pack that is full with it.
    private func seal(_ blob: PendingBlob) throws(RepositoryError) -> FinishedPack? {
        // Taken out of the dictionary while it changes: two owners would mean copying 16 MiB.
        var pack = packs.removeValue(forKey: blob.key.kind) ?? OpenPack()
        // Nine packs of ten end within this; the others grow once.
        let capacity = packByteCount + (3 << 20)
        // The array lends its storage, and the codec the frame, for the call.
        let (range, isCompressed) = unsafe blob.bytes.withUnsafeBytes { plain in
            unsafe parts.codec.withFrameIfSmaller(of: plain) { frame in
                let range = unsafe pack.append(
                    blob.key, plain: frame ?? plain,
                    uncompressedLength: frame == nil ? nil : UInt32(plain.count),
                    sealer: parts.sealer, capacity: capacity)
                return unsafe (range, frame != nil)
            }
        }
        // Opens what was just sealed and hashes it again: the last moment at which a flipped bit
        // in memory or a fault of zstd can be noticed with the content at hand (restic does so
        // since 0.16.4, after both had happened).
        do throws(FormatError) {
            try unsafe pack.withSealed(range) { sealed throws(FormatError) in
                // The pack lends the bytes for the call.
                try unsafe parts.prove(
                    sealed, is: blob.key.id, plainLength: blob.bytes.count,
                    isCompressed: isCompressed)
            }
        } catch {
            throw RepositoryError(
                .damaged,
                "a piece of a file changed in this computer's memory while it was being stored "
                    + "(\(error.detail)); nothing of it was kept")
        }
        guard pack.byteCount >= packByteCount else {
            packs[blob.key.kind] = pack
            return nil
        }
        return pack.finish(sealer: parts.sealer)
    }

    func takeOpenPacks() -> [BlobKind: OpenPack] {
        defer { packs = [:] }
        return packs
    }

    func finish(with others: [BlobKind: OpenPack]) -> [FinishedPack] {
        var finished: [FinishedPack] = []
        for kind in BlobKind.allCases {
            var own = packs.removeValue(forKey: kind) ?? OpenPack()
            if var other = others[kind] {
                if own.byteCount + other.byteCount <= packByteCount {
                    own.append(other)
                } else {
                    finished.append(other.finish(sealer: parts.sealer))
                }
            }
            if !own.isEmpty { finished.append(own.finish(sealer: parts.sealer)) }
        }
        return finished
    }
}
