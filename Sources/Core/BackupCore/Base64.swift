/// Base64 with padding (RFC 4648, section 4), as Go's JSON and property lists have bytes.
package enum Base64 {
    private static let alphabet = Array(
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/".utf8)

    /// The text of `bytes` in ASCII, without line breaks.
    package static func encode(_ bytes: [UInt8]) -> [UInt8] {
        var text: [UInt8] = []
        text.reserveCapacity((bytes.count + 2) / 3 * 4)
        for start in stride(from: 0, to: bytes.count, by: 3) {
            let group = bytes[start..<min(start + 3, bytes.count)]
            var bits: UInt32 = 0
            for position in 0..<3 {
                let byte = position < group.count ? group[start + position] : 0
                bits = bits << 8 | UInt32(byte)
            }
            for position in 0..<4 {
                let digit = Int(bits >> UInt32(18 - 6 * position)) & 63
                text.append(position <= group.count ? alphabet[digit] : UInt8(ascii: "="))
            }
        }
        return text
    }

    /// The bytes, nil when `text` is not padded base64.
    package static func decode(_ text: [UInt8]) -> [UInt8]? {
        guard text.count % 4 == 0 else { return nil }
        let padding = text.suffix(2).count { $0 == UInt8(ascii: "=") }
        var bytes: [UInt8] = []
        bytes.reserveCapacity(text.count / 4 * 3)
        var bits: UInt32 = 0
        for (position, byte) in text.enumerated() {
            let isPadding = position >= text.count - padding
            guard let digit = isPadding && byte == UInt8(ascii: "=") ? 0 : value(byte) else {
                return nil
            }
            bits = bits << 6 | UInt32(digit)
            if position % 4 == 3 {
                for shift: UInt32 in [16, 8, 0] {
                    bytes.append(UInt8(truncatingIfNeeded: bits >> shift))
                }
            }
        }
        bytes.removeLast(padding)
        return bytes
    }

    private static func value(_ byte: UInt8) -> UInt8? {
        switch byte {
        case UInt8(ascii: "A")...UInt8(ascii: "Z"): byte - UInt8(ascii: "A")
        case UInt8(ascii: "a")...UInt8(ascii: "z"): byte - UInt8(ascii: "a") + 26
        case UInt8(ascii: "0")...UInt8(ascii: "9"): byte - UInt8(ascii: "0") + 52
        case UInt8(ascii: "+"): 62
        case UInt8(ascii: "/"): 63
        default: nil
        }
    }
}
