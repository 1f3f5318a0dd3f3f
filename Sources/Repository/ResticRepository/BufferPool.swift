import Synchronization

/// Large buffers that go round between the cutter and the sealing threads.
///
/// Each new megabyte costs 256 page faults; the ones that come back are reused instead.
final class BufferPool: Sendable {
    private static let keptCount = 4
    /// Smaller ones (single pieces of a source) would have to grow at the next use.
    private static let leastCapacity = ContentBuffer.usualCapacity
    /// One chunk of the largest size and a piece of the source.
    private static let mostCapacity = 10 << 20

    private let buffers = Mutex<[[UInt8]]>([])

    /// An empty buffer, perhaps with room already.
    func take() -> [UInt8] {
        buffers.withLock { $0.popLast() } ?? []
    }

    /// Takes back a buffer whose content is of no use any more, from its only owner.
    func give(_ buffer: consuming [UInt8]) {
        guard buffer.capacity >= Self.leastCapacity, buffer.capacity <= Self.mostCapacity else {
            return
        }
        var emptied = buffer
        emptied.removeAll(keepingCapacity: true)
        let kept = emptied
        buffers.withLock { buffers in
            if buffers.count < Self.keptCount { buffers.append(kept) }
        }
    }
}
