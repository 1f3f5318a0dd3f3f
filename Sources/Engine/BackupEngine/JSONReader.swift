internal import BackupCore

/// A JSON value as far as notes need it.
enum JSONValue {
    case object([(key: [UInt8], value: JSONValue)])
    case array([JSONValue])
    /// UTF-8, unescaped.
    case string([UInt8])
    case number(UInt64)
    /// `true`, `false`, `null`, and numbers that are not whole and positive.
    case other

    /// The value under `key`; the first counts.
    subscript(_ key: String) -> JSONValue? {
        guard case .object(let fields) = self else { return nil }
        return fields.first { $0.key.elementsEqual(key.utf8) }?.value
    }

    var array: [JSONValue]? { if case .array(let values) = self { values } else { nil } }
    var string: [UInt8]? { if case .string(let bytes) = self { bytes } else { nil } }
    var number: UInt64? { if case .number(let value) = self { value } else { nil } }

    /// A field of bytes that ``JSONWriter/name(_:_:)`` wrote.
    func name(_ key: String) -> EntryName? {
        if let text = self[key]?.string { return EntryName(bytes: text) }
        return self[key + "_hex"]?.string.flatMap(HexText.bytes).map { EntryName(bytes: $0) }
    }
}

/// Reads JSON from a snapshot, which anybody with the key may have written: bounded in size and
/// depth, and wrong JSON is nil.
struct JSONReader {
    /// The largest file read: 16 MiB.
    static let byteLimit = 16 << 20
    private static let depthLimit = 16

    private let bytes: [UInt8]
    private var position = 0

    /// The value that `bytes` are, with nothing but white space behind it.
    static func read(_ bytes: [UInt8]) -> JSONValue? {
        guard bytes.count <= byteLimit else { return nil }
        var reader = JSONReader(bytes: bytes)
        guard let value = reader.value(depth: 0) else { return nil }
        reader.skipSpace()
        return reader.position == bytes.count ? value : nil
    }

    private init(bytes: [UInt8]) { self.bytes = bytes }

    private var current: UInt8? { position < bytes.count ? bytes[position] : nil }

    private mutating func skipSpace() {
        while let byte = current, [0x20, 0x09, 0x0A, 0x0D].contains(byte) { position += 1 }
    }

    private mutating func take(_ byte: Unicode.Scalar) -> Bool {
        skipSpace()
        guard current == UInt8(ascii: byte) else { return false }
        position += 1
        return true
    }

    private mutating func value(depth: Int) -> JSONValue? {
        guard depth < Self.depthLimit else { return nil }
        skipSpace()
        switch current {
        case UInt8(ascii: "{"): return object(depth: depth)
        case UInt8(ascii: "["): return array(depth: depth)
        case UInt8(ascii: "\""): return text().map { .string($0) }
        default: return word()
        }
    }

    private mutating func object(depth: Int) -> JSONValue? {
        guard take("{") else { return nil }
        var fields: [(key: [UInt8], value: JSONValue)] = []
        if take("}") { return .object(fields) }
        repeat {
            skipSpace()
            guard let key = text(), take(":"), let value = value(depth: depth + 1) else {
                return nil
            }
            fields.append((key, value))
        } while take(",")
        return take("}") ? .object(fields) : nil
    }

    private mutating func array(depth: Int) -> JSONValue? {
        guard take("[") else { return nil }
        var values: [JSONValue] = []
        if take("]") { return .array(values) }
        repeat {
            guard let value = value(depth: depth + 1) else { return nil }
            values.append(value)
        } while take(",")
        return take("]") ? .array(values) : nil
    }

    /// A number or one of the three words.
    private mutating func word() -> JSONValue? {
        let start = position
        while let byte = current, !Array(",]} \t\r\n".utf8).contains(byte) { position += 1 }
        let word = String(decoding: bytes[start..<position], as: UTF8.self)
        if let number = UInt64(word) { return .number(number) }
        return ["true", "false", "null"].contains(word) || Double(word) != nil ? .other : nil
    }

    private mutating func text() -> [UInt8]? {
        guard current == UInt8(ascii: "\"") else { return nil }
        position += 1
        var result: [UInt8] = []
        while let byte = current {
            position += 1
            switch byte {
            case UInt8(ascii: "\""): return result
            case UInt8(ascii: "\\"):
                guard let scalar = escape() else { return nil }
                result += Array(String(scalar).utf8)
            case 0..<0x20: return nil
            default: result.append(byte)
            }
        }
        return nil
    }

    private mutating func escape() -> Unicode.Scalar? {
        guard let byte = current else { return nil }
        position += 1
        switch byte {
        case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"): return Unicode.Scalar(byte)
        case UInt8(ascii: "b"): return "\u{8}"
        case UInt8(ascii: "f"): return "\u{C}"
        case UInt8(ascii: "n"): return "\n"
        case UInt8(ascii: "r"): return "\r"
        case UInt8(ascii: "t"): return "\t"
        case UInt8(ascii: "u"): return codeUnit().flatMap(Unicode.Scalar.init)
        default: return nil
        }
    }

    /// Four hexadecimal digits. Surrogate pairs are refused: our writer never makes any.
    private mutating func codeUnit() -> UInt32? {
        guard position + 4 <= bytes.count else { return nil }
        let digits = bytes[position..<position + 4]
        position += 4
        guard let parsed = HexText.bytes(of: Array(digits)) else { return nil }
        return parsed.reduce(0) { $0 << 8 | UInt32($1) }
    }
}
