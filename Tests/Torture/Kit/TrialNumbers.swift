/// Random numbers that a seed and a trial's number repeat.
struct TrialNumbers: RandomNumberGenerator, Sendable {
    private var state: UInt64

    /// The numbers of a trial; `stream` tells several uses within one trial apart.
    init(seed: UInt64, trial: Int, stream: UInt64 = 0) {
        state =
            seed &* 0x9E37_79B9_7F4A_7C15 ^ UInt64(trial + 1) &* 0xD134_2543_DE82_EF95
            ^ stream &* 0xBF58_476D_1CE4_E5B9
        _ = next()
    }

    mutating func next() -> UInt64 {
        // SplitMix64, of the public domain (prng.di.unimi.it).
        state &+= 0x9E37_79B9_7F4A_7C15
        var mixed = state
        mixed = (mixed ^ (mixed >> 30)) &* 0xBF58_476D_1CE4_E5B9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
        return mixed ^ (mixed >> 31)
    }

    /// A number from 0 to `bound - 1`.
    mutating func below(_ bound: Int) -> Int { Int(next() % UInt64(max(1, bound))) }

    mutating func chance(_ percent: Int) -> Bool { below(100) < percent }

    /// One of `items`, which is not empty.
    mutating func pick<Item>(_ items: [Item]) -> Item { items[below(items.count)] }

    /// Up to `count` different ones of `items`.
    mutating func pick<Item>(_ count: Int, of items: [Item]) -> [Item] {
        Array(items.shuffled(using: &self).prefix(count))
    }

    /// Bytes that do not compress.
    mutating func bytes(_ count: Int) -> [UInt8] {
        var result: [UInt8] = []
        result.reserveCapacity(count + 8)
        while result.count < count {
            var word = next()
            for _ in 0..<8 {
                result.append(UInt8(truncatingIfNeeded: word))
                word >>= 8
            }
        }
        result.removeLast(result.count - count)
        return result
    }
}
