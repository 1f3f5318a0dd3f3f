/// The SHA-256 of some bytes: the name of a blob, a pack, an index, a key or a snapshot.
///
/// Source: restic's design document, "Repository Layout". Which kind of thing an id names is
/// told by where it stands.
package struct ContentID: Hashable, Sendable, Comparable, CustomStringConvertible {
    // Four words instead of an array: an index holds millions of these.
    private let a: UInt64
    private let b: UInt64
    private let c: UInt64
    private let d: UInt64

    /// The number of bytes in an id.
    package static let byteCount = 32

    /// An id from exactly 32 bytes, else nil.
    package init?(bytes: some Collection<UInt8>) {
        guard bytes.count == Self.byteCount else { return nil }
        var words: (UInt64, UInt64, UInt64, UInt64) = (0, 0, 0, 0)
        for (position, byte) in bytes.enumerated() {
            switch position / 8 {
            case 0: words.0 = words.0 << 8 | UInt64(byte)
            case 1: words.1 = words.1 << 8 | UInt64(byte)
            case 2: words.2 = words.2 << 8 | UInt64(byte)
            default: words.3 = words.3 << 8 | UInt64(byte)
            }
        }
        (a, b, c, d) = words
    }

    /// An id from four words, each the big-endian value of eight of its bytes.
    package init(words: (UInt64, UInt64, UInt64, UInt64)) {
        (a, b, c, d) = words
    }

    /// An id from exactly 64 lower-case hexadecimal digits, else nil.
    package init?(hex: some StringProtocol) { self.init(hexDigits: Array(hex.utf8)) }

    /// An id from exactly 64 lower-case hexadecimal digits as ASCII bytes, else nil.
    package init?(hexDigits digits: [UInt8]) {
        guard digits.count == 2 * Self.byteCount else { return nil }
        func word(_ start: Int) -> UInt64? {
            var value: UInt64 = 0
            for digit in digits[start..<start + 16] {
                switch digit {
                case UInt8(ascii: "0")...UInt8(ascii: "9"):
                    value = value << 4 | UInt64(digit - UInt8(ascii: "0"))
                case UInt8(ascii: "a")...UInt8(ascii: "f"):
                    value = value << 4 | UInt64(digit - UInt8(ascii: "a") + 10)
                default: return nil
                }
            }
            return value
        }
        guard let a = word(0), let b = word(16), let c = word(32), let d = word(48) else {
            return nil
        }
        self.init(words: (a, b, c, d))
    }

    /// The four words that `init(words:)` takes.
    package var words: (UInt64, UInt64, UInt64, UInt64) { (a, b, c, d) }

    /// The 32 bytes.
    package var bytes: [UInt8] {
        var result: [UInt8] = []
        result.reserveCapacity(Self.byteCount)
        for word in [a, b, c, d] {
            for shift in stride(from: UInt64(56), through: 0, by: -8) {
                result.append(UInt8(truncatingIfNeeded: word >> shift))
            }
        }
        return result
    }

    /// The 64 lower-case hexadecimal digits, as file names and JSON have them.
    package var hex: String { String(decoding: hexDigits, as: UTF8.self) }

    /// ``hex`` as ASCII bytes.
    package var hexDigits: [UInt8] {
        var result: [UInt8] = []
        result.reserveCapacity(2 * Self.byteCount)
        for byte in bytes {
            result.append(Self.digit(byte >> 4))
            result.append(Self.digit(byte & 15))
        }
        return result
    }

    /// The first eight digits, as restic prints ids for people.
    package var short: String { String(hex.prefix(8)) }

    package var description: String { hex }

    private static func digit(_ nibble: UInt8) -> UInt8 {
        nibble < 10 ? UInt8(ascii: "0") + nibble : UInt8(ascii: "a") + nibble - 10
    }

    package static func < (left: ContentID, right: ContentID) -> Bool {
        if left.a != right.a { return left.a < right.a }
        if left.b != right.b { return left.b < right.b }
        if left.c != right.c { return left.c < right.c }
        return left.d < right.d
    }
}
