import ResticFormat

/// Collects the pieces of one file and gives them back as chunks, copying little: a file of one
/// piece and one chunk is not copied at all.
struct ContentBuffer {
    /// Room for a chunk of usual length and a piece.
    static let usualCapacity = 3 << 20

    private var cutter: FileCutter
    private let pool: BufferPool
    private var bytes: [UInt8] = []
    /// Where the next chunk begins.
    private var start = 0

    /// A buffer for one file.
    init(cutter: FileCutter, pool: BufferPool) {
        self.cutter = cutter
        self.pool = pool
    }

    private var available: Int { bytes.count - start }

    /// Takes the next piece.
    mutating func append(_ piece: consuming [UInt8]) {
        if available == 0 {
            releaseBytes()
            bytes = piece
        } else if start == 0, bytes.capacity >= bytes.count + piece.count {
            bytes.append(contentsOf: piece)
        } else {
            var larger = pool.take()
            larger.reserveCapacity(max(available + piece.count, Self.usualCapacity))
            larger.append(contentsOf: bytes[start...])
            larger.append(contentsOf: piece)
            releaseBytes()
            bytes = larger
        }
        start = 0
    }

    /// Gives the storage back to the pool, as its only owner.
    private mutating func releaseBytes() {
        var used: [UInt8] = []
        swap(&used, &bytes)
        pool.give(used)
    }

    /// The next chunk, nil when more pieces are needed.
    mutating func nextChunk() -> [UInt8]? {
        // The array lends its storage for the call; `start` never passes its end.
        let cut = unsafe bytes.withUnsafeBytes { all in
            unsafe cutter.nextCut(in: UnsafeRawBufferPointer(rebasing: all[start...]))
        }
        return cut.map { take($0) }
    }

    /// What is left at the end of the file, nil when nothing is.
    mutating func rest() -> [UInt8]? { available == 0 ? nil : take(available) }

    private mutating func take(_ length: Int) -> [UInt8] {
        let end = start + length
        if 2 * length < available || start > 0 {
            // The chunk is the smaller part (a database's page run): copy it out.
            defer { start = end }
            return Array(bytes[start..<end])
        }
        var next: [UInt8] = []
        if end < bytes.count {
            next = pool.take()
            next.append(contentsOf: bytes[end...])
            bytes.removeLast(bytes.count - end)
        }
        swap(&next, &bytes)
        return next
    }
}
