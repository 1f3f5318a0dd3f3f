internal import Synchronization

/// Bytes handed out piece by piece.
package final class Rest: Sendable {
    private let rest: Mutex<ArraySlice<UInt8>>

    /// All of `bytes`.
    package init(_ bytes: [UInt8]) { rest = Mutex(bytes[...]) }

    /// The next piece of at most `count` bytes, nil at the end.
    package func next(_ count: Int) -> [UInt8]? {
        rest.withLock { rest in
            guard !rest.isEmpty else { return nil }
            defer { rest = rest.dropFirst(count) }
            return Array(rest.prefix(count))
        }
    }
}

/// Something that happened or did not.
package final class Flag: Sendable {
    private let state = Mutex(false)

    /// Not raised.
    package init() {}

    /// Raises it.
    package func raise() { state.withLock { $0 = true } }

    /// Whether it was raised.
    package var isRaised: Bool { state.withLock { $0 } }
}
