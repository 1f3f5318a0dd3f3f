/// Reads JSON (RFC 8259) from front to back without building values.
///
/// Written by hand because trees and indexes come in megabytes, because names must stay bytes, and
/// because the text is hostile: every step is bounded, nothing traps, and nesting beyond
/// ``maximumDepth`` is refused.
struct JSONScanner {
    /// How deep arrays and objects may nest; what restic and rustic write has seven levels.
    static var maximumDepth: Int { 64 }

    /// A member's key where it stands in the text, without quotes.
    struct Key {
        fileprivate let range: Range<Int>
    }

    private let bytes: [UInt8]
    private var position = 0
    private var depth = 0

    init(_ bytes: [UInt8]) { self.bytes = bytes }

    /// Whether `key` is `text`. A key that is written with escapes equals nothing: nobody writes
    /// such keys, and unknown members are skipped.
    func matches(_ key: Key, _ text: StaticString) -> Bool {
        guard key.range.count == text.utf8CodeUnitCount else { return false }
        // A static string has its code units at this address for ever.
        let start = unsafe text.utf8Start
        for (index, position) in key.range.enumerated()
        where unsafe bytes[position] != start[index] {
            return false
        }
        return true
    }

    /// Reads an object, giving each key to `member`, which must read or ``skipValue()`` its value.
    mutating func readObject(
        _ member: (inout JSONScanner, Key) throws(FormatError) -> Void
    ) throws(FormatError) {
        try open(UInt8(ascii: "{"))
        if try closes(UInt8(ascii: "}")) { return }
        repeat {
            skipSpace()
            let key = try stringRange()
            try expect(UInt8(ascii: ":"))
            skipSpace()
            try member(&self, Key(range: key.range))
        } while try continues(until: UInt8(ascii: "}"))
    }

    /// Reads an array (or null, as an empty one), calling `element`, which must read or skip one
    /// value, for each.
    mutating func readArray(
        _ element: (inout JSONScanner) throws(FormatError) -> Void
    ) throws(FormatError) {
        if try skipNull() { return }
        try open(UInt8(ascii: "["))
        if try closes(UInt8(ascii: "]")) { return }
        repeat {
            skipSpace()
            try element(&self)
        } while try continues(until: UInt8(ascii: "]"))
    }

    /// Nothing but white space may follow.
    mutating func finish() throws(FormatError) {
        skipSpace()
        guard position == bytes.count else { throw broken("text after the end") }
    }

    /// Skips `null` if it is next.
    mutating func skipNull() throws(FormatError) -> Bool {
        skipSpace()
        guard peek() == UInt8(ascii: "n") else { return false }
        try literal("null")
        return true
    }

    /// Skips one value of any kind.
    mutating func skipValue() throws(FormatError) {
        skipSpace()
        switch peek() {
        case UInt8(ascii: "\""): _ = try stringRange()
        case UInt8(ascii: "{"):
            try readObject { scanner, _ throws(FormatError) in try scanner.skipValue() }
        case UInt8(ascii: "["):
            try readArray { scanner throws(FormatError) in try scanner.skipValue() }
        case UInt8(ascii: "t"): try literal("true")
        case UInt8(ascii: "f"): try literal("false")
        case UInt8(ascii: "n"): try literal("null")
        default: _ = try numberRange()
        }
    }

    /// Reads `true` or `false`.
    mutating func readBool() throws(FormatError) -> Bool {
        skipSpace()
        let value = peek() == UInt8(ascii: "t")
        try literal(value ? "true" : "false")
        return value
    }

    /// Reads a whole number of at least 0.
    mutating func readUnsigned() throws(FormatError) -> UInt64 {
        skipSpace()
        let start = position
        var value: UInt64 = 0
        while let digit = peek(), digit &- UInt8(ascii: "0") < 10 {
            let (tens, overflow) = value.multipliedReportingOverflow(by: 10)
            let (sum, carry) = tens.addingReportingOverflow(UInt64(digit - UInt8(ascii: "0")))
            guard !overflow, !carry else { throw broken("a number is too large") }
            value = sum
            position += 1
        }
        guard position > start else { throw broken("a whole number is missing") }
        if let next = peek(), next == UInt8(ascii: ".") || next | 0x20 == UInt8(ascii: "e") {
            throw broken("a number is not whole")
        }
        return value
    }

    /// Reads a string without its escapes, as the bytes it stands for.
    mutating func readString() throws(FormatError) -> [UInt8] {
        skipSpace()
        let (range, isPlain) = try stringRange()
        return isPlain ? Array(bytes[range]) : try JSONEscapes.unescaped(bytes[range])
    }

    /// Reads a string without escapes and lends its place in the text; for ids and other short
    /// words, where an array for each would cost more than the reading.
    mutating func readPlainString<Result>(
        _ body: (ArraySlice<UInt8>) -> Result
    ) throws(FormatError) -> Result {
        skipSpace()
        let (range, isPlain) = try stringRange()
        guard isPlain else { throw broken("a word has escapes") }
        return body(bytes[range])
    }

    /// Lends the bytes from here on to `body`; when it gives a value, goes on where it came to.
    mutating func readInPlace<Value>(_ body: (inout ByteCursor) -> Value?) -> Value? {
        skipSpace()
        let start = position
        // Sound: the array lends its storage for the call and `start` is at most its count.
        let (value, count) = unsafe bytes.withUnsafeBufferPointer { all -> (Value?, Int) in
            guard let base = all.baseAddress else { return (nil, 0) }
            let place = unsafe base + start
            var cursor = unsafe ByteCursor(from: place, to: base + all.count)
            let value = unsafe body(&cursor)
            return unsafe (value, cursor.distance(from: place))
        }
        if value != nil { position += count }
        return value
    }

    // MARK: Steps

    private func peek() -> UInt8? { position < bytes.count ? bytes[position] : nil }

    private mutating func skipSpace() {
        while let byte = peek(), byte == 0x20 || byte == 0x0A || byte == 0x0D || byte == 0x09 {
            position += 1
        }
    }

    private mutating func expect(_ byte: UInt8) throws(FormatError) {
        skipSpace()
        guard peek() == byte else { throw broken("\(Unicode.Scalar(byte)) is missing") }
        position += 1
    }

    private mutating func open(_ bracket: UInt8) throws(FormatError) {
        try expect(bracket)
        depth += 1
        guard depth <= Self.maximumDepth else {
            throw FormatError(.limitExceeded, "JSON nests deeper than \(Self.maximumDepth)")
        }
    }

    private mutating func closes(_ bracket: UInt8) throws(FormatError) -> Bool {
        skipSpace()
        guard peek() == bracket else { return false }
        position += 1
        depth -= 1
        return true
    }

    private mutating func continues(until bracket: UInt8) throws(FormatError) -> Bool {
        if try closes(bracket) { return false }
        try expect(UInt8(ascii: ","))
        return true
    }

    private mutating func literal(_ word: StaticString) throws(FormatError) {
        let end = position + word.utf8CodeUnitCount
        guard end <= bytes.count, matches(Key(range: position..<end), word) else {
            throw broken("\(word) is missing")
        }
        position = end
    }

    private mutating func numberRange() throws(FormatError) -> Range<Int> {
        let start = position
        while let byte = peek() {
            switch byte {
            case UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"), UInt8(ascii: "+"),
                UInt8(ascii: "."), UInt8(ascii: "e"), UInt8(ascii: "E"):
                position += 1
                continue
            default: break
            }
            break
        }
        guard position > start else { throw broken("a value is missing") }
        return start..<position
    }

    /// The place of a string without its quotes, and whether it has no escapes.
    private mutating func stringRange() throws(FormatError) -> (range: Range<Int>, isPlain: Bool) {
        guard peek() == UInt8(ascii: "\"") else { throw broken("a string is missing") }
        let start = position + 1
        var isPlain = true
        position = start
        while position < bytes.count {
            let byte = bytes[position]
            if byte == UInt8(ascii: "\"") {
                position += 1
                return (start..<position - 1, isPlain)
            }
            if byte == UInt8(ascii: "\\") {
                isPlain = false
                position += 1
            } else if byte < 0x20 {
                throw broken("a string has a control character")
            }
            position += 1
        }
        throw broken("a string does not end")
    }

    private func broken(_ what: String) -> FormatError {
        .malformed("JSON, byte \(position): \(what)")
    }
}
