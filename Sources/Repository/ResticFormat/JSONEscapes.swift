/// The escapes in JSON strings (RFC 8259, section 7).
enum JSONEscapes {
    /// The bytes that the inside of a string stands for. A lone surrogate becomes U+FFFD, as Go
    /// reads it.
    static func unescaped(_ text: ArraySlice<UInt8>) throws(FormatError) -> [UInt8] {
        var result: [UInt8] = []
        result.reserveCapacity(text.count)
        var rest = text
        while let byte = rest.popFirst() {
            if byte == UInt8(ascii: "\\") {
                try appendEscape(&rest, to: &result)
            } else {
                result.append(byte)
            }
        }
        return result
    }

    private static func appendEscape(
        _ rest: inout ArraySlice<UInt8>, to result: inout [UInt8]
    ) throws(FormatError) {
        switch rest.popFirst() {
        case UInt8(ascii: "\""): result.append(UInt8(ascii: "\""))
        case UInt8(ascii: "\\"): result.append(UInt8(ascii: "\\"))
        case UInt8(ascii: "/"): result.append(UInt8(ascii: "/"))
        case UInt8(ascii: "b"): result.append(0x08)
        case UInt8(ascii: "f"): result.append(0x0C)
        case UInt8(ascii: "n"): result.append(0x0A)
        case UInt8(ascii: "r"): result.append(0x0D)
        case UInt8(ascii: "t"): result.append(0x09)
        case UInt8(ascii: "u"): try appendScalar(&rest, to: &result)
        default: throw .malformed("a JSON string has an unknown escape")
        }
    }

    /// Reads `XXXX`, and the low half `\uXXXX` when that is the high half of a pair.
    private static func appendScalar(
        _ rest: inout ArraySlice<UInt8>, to result: inout [UInt8]
    ) throws(FormatError) {
        guard let unit = hexUnit(rest) else {
            throw .malformed("a JSON string has an unfinished escape")
        }
        rest.removeFirst(4)
        var value = unit
        let pair = rest.prefix(2)
        if (0xD800..<0xDC00).contains(unit), pair.elementsEqual("\\u".utf8),
            let low = hexUnit(rest.dropFirst(2)), (0xDC00..<0xE000).contains(low)
        {
            rest.removeFirst(6)
            value = 0x10000 + (unit - 0xD800) << 10 + (low - 0xDC00)
        }
        let scalar = Unicode.Scalar(value) ?? "\u{FFFD}"
        result.append(contentsOf: UTF8.encode(scalar).map(Array.init) ?? [])
    }

    private static func hexUnit(_ text: ArraySlice<UInt8>) -> UInt32? {
        let digits = text.prefix(4)
        guard digits.count == 4 else { return nil }
        var value: UInt32 = 0
        for byte in digits {
            guard let digit = hexDigitValue(byte) else { return nil }
            value = value << 4 | UInt32(digit)
        }
        return value
    }
}
