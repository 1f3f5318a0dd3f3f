internal import BackupCore
internal import Synchronization

/// A file's content out of a repository, as a source of bounded pieces.
enum BlobSource {
    /// The blobs of `content` one after the other, read when they are needed.
    static func inOrder(
        _ content: [ContentID], from repository: any SnapshotRepository
    ) -> ByteSource<RepositoryError> {
        let pending = PendingBlobs(content)
        return ByteSource(next: { () async throws(RepositoryError) in
            while true {
                if let piece = pending.piece() { return piece }
                guard let id = pending.nextBlob() else { return nil }
                pending.give(try await repository.blob(id))
            }
        })
    }

    /// The blobs that `queue` is fed with, the next one being read while this one is used.
    static func queued(_ queue: BlobQueue) -> ByteSource<RepositoryError> {
        let pending = PendingBlobs([])
        return ByteSource(
            next: { () async throws(RepositoryError) in
                while true {
                    if let piece = pending.piece() { return piece }
                    switch await queue.take() {
                    case .blob(let bytes): pending.give(bytes)
                    case .failed(let error): throw error
                    case .end: return nil
                    }
                }
            },
            close: { await queue.close() })
    }
}

/// The blob in hand, cut into pieces, and the ids still to come.
private final class PendingBlobs: Sendable {
    private struct State {
        var ids: ArraySlice<ContentID>
        var bytes: ArraySlice<UInt8> = []
    }

    private let state: Mutex<State>

    init(_ ids: [ContentID]) { state = Mutex(State(ids: ids[...])) }

    func piece() -> [UInt8]? {
        state.withLock { state in
            guard !state.bytes.isEmpty else { return nil }
            let piece = state.bytes.prefix(ByteSource<RepositoryError>.maximumPiece)
            state.bytes = state.bytes.dropFirst(piece.count)
            return Array(piece)
        }
    }

    func nextBlob() -> ContentID? { state.withLock { $0.ids.popFirst() } }

    func give(_ bytes: [UInt8]) { state.withLock { $0.bytes = bytes[...] } }
}

/// One place for a blob between the task that reads the drives and the task that writes the
/// target: reading is never more than one blob ahead.
actor BlobQueue {
    /// What the reader hands over.
    enum Item {
        case blob([UInt8])
        case failed(RepositoryError)
        case end
    }

    private var slot: Item?
    private var isClosed = false
    private var reader: CheckedContinuation<Void, Never>?
    private var writer: CheckedContinuation<Void, Never>?

    /// Reads `content` into the queue until its end, a failure, or the queue's closing.
    func fill(_ content: [ContentID], from repository: any SnapshotRepository) async {
        for id in content {
            guard !isClosed else { return }
            do {
                await offer(.blob(try await repository.blob(id)))
            } catch {
                return await offer(.failed(error))
            }
        }
        await offer(.end)
    }

    /// The next item; it waits for one. After `failed` or `end` it is not called again.
    func take() async -> Item {
        while slot == nil, !isClosed {
            await withCheckedContinuation { writer = $0 }
        }
        let item = slot ?? .end
        slot = nil
        resume(&reader)
        return item
    }

    /// Nobody takes any more: the reader stops.
    func close() {
        isClosed = true
        slot = nil
        resume(&reader)
        resume(&writer)
    }

    private func offer(_ item: Item) async {
        while slot != nil, !isClosed {
            await withCheckedContinuation { reader = $0 }
        }
        guard !isClosed else { return }
        slot = item
        resume(&writer)
    }

    private func resume(_ waiting: inout CheckedContinuation<Void, Never>?) {
        waiting?.resume()
        waiting = nil
    }
}

/// Bytes in memory, handed out in pieces.
final class RemainingBytes: Sendable {
    private let rest: Mutex<ArraySlice<UInt8>>

    init(_ bytes: [UInt8]) { rest = Mutex(bytes[...]) }

    /// The next piece, nil at the end.
    func next() -> [UInt8]? {
        rest.withLock { rest in
            guard !rest.isEmpty else { return nil }
            let piece = Array(rest.prefix(ByteSource<DeviceError>.maximumPiece))
            rest = rest.dropFirst(piece.count)
            return piece
        }
    }
}
