/// Bytes that are pulled piece by piece, so that the reader's pace bounds the memory.
///
/// `next` gives a piece of 1 byte to ``maximumPiece`` bytes, nil at the end, and throws when the
/// content cannot be had; after nil or an error it is not called again. `close` is called exactly
/// once, also after an error or half way; it never fails.
package struct ByteSource<Failure: Error>: Sendable {
    /// The largest piece a source gives: 1 MiB.
    package static var maximumPiece: Int { 1 << 20 }

    private let pull: @Sendable () async throws(Failure) -> [UInt8]?
    private let finish: @Sendable () async -> Void

    /// A source that pulls with `next` and gives up its resources with `close`.
    package init(
        next: @escaping @Sendable () async throws(Failure) -> [UInt8]?,
        close: @escaping @Sendable () async -> Void = {}
    ) {
        pull = next
        finish = close
    }

    /// The next piece, or nil at the end.
    package func next() async throws(Failure) -> [UInt8]? { try await pull() }

    /// Ends the reading; to be called once.
    package func close() async { await finish() }
}
