internal import BackupCore

/// Writes JSON as Go's `encoding/json` does, because ids are hashes of these bytes.
struct JSONWriter {
    private(set) var bytes: [UInt8] = []
    private var needsComma = false

    /// A writer that expects about `capacity` bytes.
    init(capacity: Int = 512) { bytes.reserveCapacity(capacity) }

    /// Writes `text` as it stands.
    mutating func raw(_ text: StaticString) {
        // A static string keeps its code units for ever.
        unsafe bytes.append(
            contentsOf: UnsafeBufferPointer(start: text.utf8Start, count: text.utf8CodeUnitCount))
    }

    /// Writes an object whose members `body` writes.
    mutating func object(_ body: (inout JSONWriter) -> Void) {
        raw("{")
        needsComma = false
        body(&self)
        raw("}")
        needsComma = true
    }

    /// Writes an array of `elements`, each written by `body`.
    mutating func array<Elements: Collection>(
        _ elements: Elements, _ body: (inout JSONWriter, Elements.Element) -> Void
    ) {
        raw("[")
        var isFirst = true
        for element in elements {
            if !isFirst { raw(",") }
            isFirst = false
            body(&self, element)
        }
        raw("]")
        needsComma = true
    }

    /// Writes a member's key; its value must follow. Keys here need no escaping.
    mutating func key(_ name: StaticString) {
        if needsComma { raw(",") }
        raw("\"")
        raw(name)
        raw("\":")
        needsComma = true
    }

    /// Writes a string of UTF-8 text.
    mutating func string(_ text: some Sequence<UInt8>) {
        raw("\"")
        var window: (UInt8, UInt8) = (0, 0)
        for byte in text {
            append(byte, after: window)
            window = (window.1, byte)
        }
        raw("\"")
    }

    /// Writes a string.
    mutating func string(_ text: String) { string(text.utf8) }

    /// Writes an id as a string.
    mutating func id(_ id: ContentID) {
        raw("\"")
        appendHex(id)
        raw("\"")
    }

    /// Writes a whole number.
    mutating func number(_ value: UInt64) {
        let start = bytes.count
        var rest = value
        repeat {
            bytes.append(UInt8(ascii: "0") + UInt8(rest % 10))
            rest /= 10
        } while rest > 0
        bytes[start...].reverse()
    }

    /// The 64 digits of `id`, without the array that ``ContentID/hexDigits`` would make for each
    /// of the many ids of an index.
    private mutating func appendHex(_ id: ContentID) {
        let words = id.words
        for word in [words.0, words.1, words.2, words.3] {
            for shift in stride(from: UInt64(60), through: 0, by: -4) {
                bytes.append(lowerHexDigit(UInt8(truncatingIfNeeded: word >> shift)))
            }
        }
    }

    /// Go escapes, besides what JSON demands, what could end a script in a web page (`<`, `>`,
    /// `&`) and the line separators U+2028 and U+2029, here told by their last of three bytes.
    private mutating func append(_ byte: UInt8, after window: (UInt8, UInt8)) {
        switch byte {
        case UInt8(ascii: "\""): raw("\\\"")
        case UInt8(ascii: "\\"): raw("\\\\")
        case 0x0A: raw("\\n")
        case 0x0D: raw("\\r")
        case 0x09: raw("\\t")
        case 0..<0x20, UInt8(ascii: "<"), UInt8(ascii: ">"), UInt8(ascii: "&"):
            raw("\\u00")
            bytes.append(lowerHexDigit(byte >> 4))
            bytes.append(lowerHexDigit(byte))
        case 0xA8, 0xA9:
            guard window == (0xE2, 0x80) else { return bytes.append(byte) }
            bytes.removeLast(2)
            raw("\\u202")
            bytes.append(lowerHexDigit(byte))
        default: bytes.append(byte)
        }
    }
}
