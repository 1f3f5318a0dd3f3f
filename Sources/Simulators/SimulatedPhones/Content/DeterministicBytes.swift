/// A small generator with a seed (SplitMix64, Steele, Lea and Flood 2014).
package struct SeededGenerator: RandomNumberGenerator, Sendable {
    private var state: UInt64

    /// The same seed gives the same sequence for ever.
    package init(seed: UInt64) {
        state = seed
    }

    package mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        return Self.mixed(state)
    }

    /// The step that turns a counter into noise.
    static func mixed(_ counter: UInt64) -> UInt64 {
        var value = counter
        value = (value ^ (value >> 30)) &* 0xBF58_476D_1CE4_E5B9
        value = (value ^ (value >> 27)) &* 0x94D0_49BB_1331_11EB
        return value ^ (value >> 31)
    }
}

/// File content that follows from a seed alone and can be read at any place, so that a tree of
/// any size needs no room.
package struct DeterministicBytes: Sendable, Equatable {
    /// What the bytes are like.
    package enum Texture: Sendable, Equatable {
        /// Like a photo: nothing to compress.
        case noise
        /// Like notes and logs: about half its size compressed.
        case text
        /// An SQLite file of 4,096-byte pages, each half empty.
        case database
    }

    /// Chooses the bytes.
    package var seed: UInt64
    /// What they are like.
    package var texture: Texture
    /// How many there are.
    package var byteCount: UInt64
    /// Bytes that stand at the start instead, as of a real file format.
    package var magic: [UInt8]

    /// Content with a seed of its own.
    package init(seed: UInt64, texture: Texture, byteCount: UInt64, magic: [UInt8] = []) {
        self.seed = seed
        self.texture = texture
        self.byteCount = byteCount
        self.magic = texture == .database ? Self.databaseHead(byteCount) : magic
    }

    /// The 100-byte head of an SQLite file (sqlite.org/fileformat2.html, 1.3).
    private static func databaseHead(_ byteCount: UInt64) -> [UInt8] {
        var writer = ByteWriter()
        writer.put(raw: Array("SQLite format 3\0".utf8))
        writer.putBig(UInt16(4096))
        writer.put(raw: [1, 1, 0, 64, 32, 32])
        writer.putBig(UInt32(7))
        writer.putBig(UInt32(clamping: byteCount / 4096))
        writer.put(raw: repeatElement(0, count: 8))
        for value: UInt32 in [1, 4, 0, 0, 1, 0, 0, 0] { writer.putBig(value) }
        writer.put(raw: repeatElement(0, count: 16))
        writer.putBig(UInt32(7))
        writer.putBig(UInt32(3_045_000))
        return writer.bytes
    }

    /// The eight bytes at `index * 8`, the first one least significant.
    private func word(_ index: UInt64) -> UInt64 {
        let noise = SeededGenerator.mixed(seed &+ index &* 0x9E37_79B9_7F4A_7C15)
        switch texture {
        case .noise: return noise
        case .text: return Self.letters(noise)
        case .database:
            // 512 words a page: a b-tree leaf's head, free space, then cells.
            let place = index % 512
            if place == 0 { return 0x0800_0C00_0000_000D }
            return place < 256 ? 0 : Self.letters(noise)
        }
    }

    /// Maps each byte to one of sixteen printable ones: "`" to "o".
    private static func letters(_ noise: UInt64) -> UInt64 {
        (noise & 0x0F0F_0F0F_0F0F_0F0F) | 0x6060_6060_6060_6060
    }

    /// Writes `count` bytes from `offset` on into the buffer from `index` on.
    package func fill(_ buffer: inout [UInt8], at index: Int, count: Int, from offset: UInt64) {
        var place = offset
        var target = index
        let end = index + count
        while target < end {
            let inWord = Int(place % 8)
            if inWord == 0, end - target >= 64 {
                let words = (end - target) / 8
                fillWords(&buffer, at: target, count: words, first: place / 8)
                target += words * 8
                place += UInt64(words * 8)
            } else {
                buffer[target] = UInt8(
                    truncatingIfNeeded: word(place / 8) >> UInt64(inWord * 8))
                target += 1
                place += 1
            }
        }
        guard offset < UInt64(magic.count) else { return }
        for at in Int(offset)..<min(magic.count, Int(offset) + count) {
            buffer[index + at - Int(offset)] = magic[at]
        }
    }

    private func fillWords(_ buffer: inout [UInt8], at index: Int, count: Int, first: UInt64) {
        // Sound: index + count * 8 lies within the buffer, as `fill` computed it.
        unsafe buffer.withUnsafeMutableBytes { bytes in
            for step in 0..<count {
                unsafe bytes.storeBytes(
                    of: word(first &+ UInt64(step)).littleEndian, toByteOffset: index + step * 8,
                    as: UInt64.self)
            }
        }
    }
}

/// Reads generated content.
package final class GeneratedReader: ContentReader {
    private let content: DeterministicBytes
    package var byteCount: UInt64 { content.byteCount }

    /// Reads `content`.
    package init(_ content: DeterministicBytes) {
        self.content = content
    }

    package func read(
        at offset: UInt64, count: Int, into buffer: inout [UInt8], at index: Int
    ) -> Bool {
        guard offset + UInt64(count) <= content.byteCount else { return false }
        content.fill(&buffer, at: index, count: count, from: offset)
        return true
    }
}
