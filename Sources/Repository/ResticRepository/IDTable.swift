import BackupCore

/// Finds the numbers of things that are kept elsewhere by their ids: an open-addressing table of
/// four bytes a slot, where a dictionary takes forty for the ids alone.
struct IDTable: Sendable {
    /// Numbers plus one; 0 is a free slot. Its size is a power of two.
    private var slots: [UInt32]
    private var count = 0
    /// Ids can be chosen so that all lie at one place of a table that is known.
    private let seed = (UInt64.random(in: 0...UInt64.max), UInt64.random(in: 0...UInt64.max))

    /// A table with room for `count` numbers; it grows beyond.
    init(expectedCount count: Int) {
        var size = 1024
        while size * 3 < count * 4 { size *= 2 }
        slots = Array(repeating: 0, count: size)
    }

    /// Where the search for `id` begins.
    func firstSlot(_ id: ContentID) -> Int {
        let words = id.words
        let front = (words.0 ^ seed.0).multipliedFullWidth(by: words.1 ^ seed.1)
        let back = (words.2 ^ seed.1).multipliedFullWidth(by: words.3 ^ seed.0)
        return slot(Int(truncatingIfNeeded: front.high ^ front.low ^ back.high ^ back.low))
    }

    /// Where it goes on.
    func slot(after slot: Int) -> Int { self.slot(slot + 1) }

    /// The number in a slot; nil ends the search.
    func number(at slot: Int) -> Int? {
        let value = slots[slot]
        return value == 0 ? nil : Int(value) - 1
    }

    /// Adds `number`, the next one after all that were added, for `id`. `idOf` gives the ids of
    /// earlier numbers. `isWanted` is asked once when the search for a place is unusually long.
    mutating func add(
        _ number: Int, _ id: ContentID, idOf: (Int) -> ContentID,
        isWanted: (IDTable) -> Bool = { _ in true }
    ) {
        count += 1
        if count * 4 > slots.count * 3 {
            slots = Array(repeating: 0, count: slots.count * 2)
            for earlier in 0..<number { link(earlier, idOf(earlier), isWanted: isWanted) }
        }
        link(number, id, isWanted: isWanted)
    }

    private func slot(_ value: Int) -> Int { value & (slots.count - 1) }

    private mutating func link(_ number: Int, _ id: ContentID, isWanted: (IDTable) -> Bool) {
        var slot = firstSlot(id)
        var steps = 0
        while slots[slot] != 0 {
            slot = self.slot(after: slot)
            steps += 1
            if steps == 64, !isWanted(self) { return }
        }
        slots[slot] = UInt32(number + 1)
    }
}
