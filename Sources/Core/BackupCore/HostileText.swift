/// Makes text from a phone, a drive or a file harmless for terminals, logs and JSON.
///
/// Escaped as `\u{hex}`: control characters, line and paragraph separators, bidirectional
/// controls and other invisible format characters, the backslash itself as `\\`; a byte that is
/// not UTF-8 as `\xhh`. Everything else stays readable in its own script.
package enum HostileText {
    /// The escaped form of `bytes`, cut to `limit` characters of output (an ellipsis tells).
    package static func escaped(_ bytes: some Sequence<UInt8>, limit: Int = 1024) -> String {
        var output = ""
        var length = 0
        var decoder = UTF8Runs(bytes: Array(bytes))
        while let run = decoder.next() {
            let piece: String
            switch run {
            case .scalar(let scalar): piece = escapedScalar(scalar)
            case .invalid(let byte): piece = "\\x" + hex(UInt32(byte), width: 2)
            }
            length += piece.unicodeScalars.count
            guard length <= limit else { return output + "…" }
            output += piece
        }
        return output
    }

    /// The escaped form of `text`.
    package static func escaped(_ text: String, limit: Int = 1024) -> String {
        escaped(text.utf8, limit: limit)
    }

    private static func escapedScalar(_ scalar: Unicode.Scalar) -> String {
        if scalar == "\\" { return "\\\\" }
        guard isHarmless(scalar) else { return "\\u{" + hex(scalar.value, width: 1) + "}" }
        return String(scalar)
    }

    private static func isHarmless(_ scalar: Unicode.Scalar) -> Bool {
        switch scalar.properties.generalCategory {
        case .control, .format, .surrogate, .privateUse, .unassigned, .lineSeparator,
            .paragraphSeparator:
            // U+200D joins emoji and is harmless; everything else invisible is shown as a number.
            scalar.value == 0x200D
        default: true
        }
    }

    private static func hex(_ value: UInt32, width: Int) -> String {
        let digits = String(value, radix: 16)
        return String(repeating: "0", count: max(0, width - digits.count)) + digits
    }
}

/// Splits bytes into Unicode scalars and single invalid bytes, losing nothing.
package struct UTF8Runs: Sequence, IteratorProtocol {
    /// One step: a well-formed scalar, or one byte that is not part of any.
    package enum Run: Equatable, Sendable {
        case scalar(Unicode.Scalar)
        case invalid(UInt8)
    }

    private let bytes: [UInt8]
    private var position = 0

    /// Reads `bytes` from the start.
    package init(bytes: [UInt8]) { self.bytes = bytes }

    package mutating func next() -> Run? {
        guard position < bytes.count else { return nil }
        let first = bytes[position]
        let length: Int
        switch first {
        case 0..<0x80: length = 1
        case 0xC2..<0xE0: length = 2
        case 0xE0..<0xF0: length = 3
        case 0xF0..<0xF5: length = 4
        default: length = 0
        }
        if length > 0, position + length <= bytes.count,
            let scalar = Self.decode(bytes[position..<position + length])
        {
            position += length
            return .scalar(scalar)
        }
        position += 1
        return .invalid(first)
    }

    private static func decode(_ slice: ArraySlice<UInt8>) -> Unicode.Scalar? {
        guard let first = slice.first else { return nil }
        if slice.count == 1 { return Unicode.Scalar(first) }
        var value = UInt32(first) & (0x7F >> UInt32(slice.count))
        for byte in slice.dropFirst() {
            guard byte & 0xC0 == 0x80 else { return nil }
            value = value << 6 | UInt32(byte & 0x3F)
        }
        let least: [UInt32] = [0, 0, 0x80, 0x800, 0x10000]
        guard value >= least[slice.count] else { return nil }
        return Unicode.Scalar(value)
    }
}
