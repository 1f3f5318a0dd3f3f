internal import BackupCore

/// Go's `strconv.Quote` without the quotation marks, the first of the two escapings of names in
/// trees (the second is JSON's).
///
/// Source: https://pkg.go.dev/strconv#Quote; restic's design document, "Trees and Data".
enum GoQuoting {
    /// `name` with a backslash escape for everything that is not printable.
    static func quoted(_ name: [UInt8]) -> [UInt8] {
        if name.allSatisfy(isOrdinary) { return name }
        var result: [UInt8] = []
        result.reserveCapacity(name.count + 16)
        var runs = UTF8Runs(bytes: name)
        while let run = runs.next() {
            switch run {
            case .invalid(let byte): appendHex("x", UInt32(byte), digits: 2, to: &result)
            case .scalar(let scalar): append(scalar, to: &result)
            }
        }
        return result
    }

    private static func isOrdinary(_ byte: UInt8) -> Bool {
        (0x20..<0x7F).contains(byte) && byte != UInt8(ascii: "\\") && byte != UInt8(ascii: "\"")
    }

    /// The escapes of one letter, of `quoted` and `unquoted` alike.
    private static let letters: [(letter: UInt8, byte: UInt8)] = [
        (UInt8(ascii: "a"), 0x07), (UInt8(ascii: "b"), 0x08), (UInt8(ascii: "f"), 0x0C),
        (UInt8(ascii: "n"), 0x0A), (UInt8(ascii: "r"), 0x0D), (UInt8(ascii: "t"), 0x09),
        (UInt8(ascii: "v"), 0x0B), (UInt8(ascii: "\\"), UInt8(ascii: "\\")),
        (UInt8(ascii: "\""), UInt8(ascii: "\"")),
    ]

    private static func append(_ scalar: Unicode.Scalar, to result: inout [UInt8]) {
        let value = scalar.value
        if let escape = letters.first(where: { UInt32($0.byte) == value }) {
            result.append(UInt8(ascii: "\\"))
            result.append(escape.letter)
        } else if PrintableCharacters.contains(scalar) {
            result.append(contentsOf: UTF8.encode(scalar).map(Array.init) ?? [])
        } else if value < 0x20 || value == 0x7F {
            appendHex("x", value, digits: 2, to: &result)
        } else if value < 0x10000 {
            appendHex("u", value, digits: 4, to: &result)
        } else {
            appendHex("U", value, digits: 8, to: &result)
        }
    }

    private static func appendHex(
        _ letter: Unicode.Scalar, _ value: UInt32, digits: Int, to result: inout [UInt8]
    ) {
        result.append(UInt8(ascii: "\\"))
        result.append(UInt8(ascii: letter))
        for position in stride(from: digits - 1, through: 0, by: -1) {
            result.append(lowerHexDigit(UInt8(truncatingIfNeeded: value >> UInt32(4 * position))))
        }
    }

    /// The bytes that a quoted name stands for; `malformed` when an escape is not Go's.
    static func unquoted(_ text: [UInt8]) throws(FormatError) -> [UInt8] {
        guard text.contains(UInt8(ascii: "\\")) else { return text }
        var result: [UInt8] = []
        result.reserveCapacity(text.count)
        var rest = text[...]
        while let byte = rest.popFirst() {
            if byte == UInt8(ascii: "\\") {
                try appendUnescaped(&rest, to: &result)
            } else {
                result.append(byte)
            }
        }
        return result
    }

    private static func appendUnescaped(
        _ rest: inout ArraySlice<UInt8>, to result: inout [UInt8]
    ) throws(FormatError) {
        guard let letter = rest.popFirst() else { throw .malformed("a name ends in an escape") }
        if let escape = letters.first(where: { $0.letter == letter }) {
            result.append(escape.byte)
            return
        }
        switch letter {
        case UInt8(ascii: "x"):
            result.append(UInt8(truncatingIfNeeded: try number(&rest, digits: 2, radix: 16)))
        case UInt8(ascii: "u"): try appendScalar(number(&rest, digits: 4, radix: 16), to: &result)
        case UInt8(ascii: "U"): try appendScalar(number(&rest, digits: 8, radix: 16), to: &result)
        case UInt8(ascii: "0")...UInt8(ascii: "3"):
            let high = UInt32(letter - UInt8(ascii: "0")) << 6
            let value = high | (try number(&rest, digits: 2, radix: 8))
            result.append(UInt8(truncatingIfNeeded: value))
        default: throw .malformed("a name has an unknown escape")
        }
    }

    private static func appendScalar(
        _ value: UInt32, to result: inout [UInt8]
    ) throws(FormatError) {
        guard let scalar = Unicode.Scalar(value), let units = UTF8.encode(scalar) else {
            throw .malformed("a name escapes what is no character")
        }
        result.append(contentsOf: units)
    }

    private static func number(
        _ rest: inout ArraySlice<UInt8>, digits: Int, radix: UInt32
    ) throws(FormatError) -> UInt32 {
        var value: UInt32 = 0
        for _ in 0..<digits {
            guard let byte = rest.popFirst(), let digit = hexDigitValue(byte), digit < radix else {
                throw .malformed("a name has an unfinished escape")
            }
            value = value &* radix &+ UInt32(digit)
        }
        return value
    }
}
