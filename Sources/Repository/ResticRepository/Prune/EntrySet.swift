/// A set of an index's entries: one bit each.
struct EntrySet: Sendable {
    private var words: [UInt64]

    /// The empty set over `count` entries.
    init(count: Int) { words = Array(repeating: 0, count: count / 64 + 1) }

    func contains(_ entry: Int) -> Bool { words[entry / 64] & (1 << UInt64(entry % 64)) != 0 }

    /// Adds an entry; false when it was there.
    @discardableResult
    mutating func insert(_ entry: Int) -> Bool {
        let bit: UInt64 = 1 << UInt64(entry % 64)
        guard words[entry / 64] & bit == 0 else { return false }
        words[entry / 64] |= bit
        return true
    }
}
