import Synchronization

/// Bytes that are handed out piece by piece.
final class TrialPieces: Sendable {
    private let rest: Mutex<ArraySlice<UInt8>>
    private let pieceByteCount: Int

    init(_ bytes: [UInt8], pieceByteCount: Int) {
        rest = Mutex(bytes[...])
        self.pieceByteCount = pieceByteCount
    }

    func next() -> [UInt8]? {
        rest.withLock { rest in
            guard !rest.isEmpty else { return nil }
            defer { rest = rest.dropFirst(pieceByteCount) }
            return Array(rest.prefix(pieceByteCount))
        }
    }
}
