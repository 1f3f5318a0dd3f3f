/// One JSON object of texts and counts: what `drive.json` and journal records are made of.
///
/// Only this shape is read and written; anything else on a drive is damage and not data.
struct FlatJSON: Sendable, Hashable {
    enum Value: Sendable, Hashable {
        case text(String)
        case count(UInt64)
    }

    /// Keys and values in their order.
    private(set) var fields: [(key: String, value: Value)] = []

    init() {}

    /// Adds a field; keys are ours and never repeat.
    mutating func set(_ key: String, _ value: Value) { fields.append((key, value)) }

    subscript(key: String) -> Value? { fields.first { $0.key == key }?.value }

    func text(_ key: String) -> String? {
        if case .text(let text) = self[key] { text } else { nil }
    }

    func count(_ key: String) -> UInt64? {
        if case .count(let count) = self[key] { count } else { nil }
    }

    static func == (left: FlatJSON, right: FlatJSON) -> Bool {
        left.fields.elementsEqual(right.fields) { $0.key == $1.key && $0.value == $1.value }
    }

    func hash(into hasher: inout Hasher) {
        for field in fields {
            hasher.combine(field.key)
            hasher.combine(field.value)
        }
    }

    /// One line, without the newline.
    func encoded() -> String {
        let members = fields.map { field in
            let value =
                switch field.value {
                case .text(let text): Self.quoted(text)
                case .count(let count): String(count)
                }
            return "\(Self.quoted(field.key)):\(value)"
        }
        return "{" + members.joined(separator: ",") + "}"
    }

    private static func quoted(_ text: String) -> String {
        var output = "\""
        for scalar in text.unicodeScalars {
            switch scalar {
            case "\"", "\\": output += "\\" + String(scalar)
            case _ where scalar.value < 0x20:
                let digits = String(scalar.value, radix: 16)
                output += "\\u" + String(repeating: "0", count: 4 - digits.count) + digits
            default: output.unicodeScalars.append(scalar)
            }
        }
        return output + "\""
    }
}

extension FlatJSON {
    /// The object in `bytes`, or nil when they are anything else.
    init?(_ bytes: [UInt8]) {
        var reader = FlatJSONReader(bytes: bytes)
        guard let parsed = reader.object() else { return nil }
        self = parsed
    }
}

/// A strict reader of one flat object; nil means damage.
private struct FlatJSONReader {
    let bytes: [UInt8]
    var position = 0

    init(bytes: [UInt8]) { self.bytes = bytes }

    mutating func object() -> FlatJSON? {
        var result = FlatJSON()
        guard take("{") else { return nil }
        if !take("}") {
            repeat {
                guard let key = text(), result[key] == nil, take(":"), let value = value() else {
                    return nil
                }
                result.set(key, value)
            } while take(",")
            guard take("}") else { return nil }
        }
        skipSpace()
        return position == bytes.count ? result : nil
    }

    private mutating func skipSpace() {
        while position < bytes.count, [0x20, 0x0A, 0x0D, 0x09].contains(bytes[position]) {
            position += 1
        }
    }

    private mutating func take(_ character: Unicode.Scalar) -> Bool {
        skipSpace()
        guard position < bytes.count, UInt32(bytes[position]) == character.value else {
            return false
        }
        position += 1
        return true
    }

    private mutating func value() -> FlatJSON.Value? {
        skipSpace()
        guard position < bytes.count else { return nil }
        if bytes[position] == UInt8(ascii: "\"") { return text().map(FlatJSON.Value.text) }
        let digits = bytes[position...].prefix { (0x30...0x39).contains($0) }
        position += digits.count
        return UInt64(String(decoding: digits, as: UTF8.self)).map(FlatJSON.Value.count)
    }

    private mutating func text() -> String? {
        guard take("\"") else { return nil }
        var output: [UInt8] = []
        while position < bytes.count {
            let byte = bytes[position]
            position += 1
            switch byte {
            case UInt8(ascii: "\""): return String(validating: output, as: UTF8.self)
            case UInt8(ascii: "\\"):
                guard let scalar = escape() else { return nil }
                output += Array(String(scalar).utf8)
            case 0..<0x20: return nil
            default: output.append(byte)
            }
        }
        return nil
    }

    private mutating func escape() -> Unicode.Scalar? {
        guard position < bytes.count else { return nil }
        let kind = bytes[position]
        position += 1
        switch kind {
        case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"):
            return Unicode.Scalar(kind)
        case UInt8(ascii: "n"): return "\n"
        case UInt8(ascii: "t"): return "\t"
        case UInt8(ascii: "u"):
            guard position + 4 <= bytes.count else { return nil }
            let digits = String(decoding: bytes[position..<position + 4], as: UTF8.self)
            position += 4
            return UInt32(digits, radix: 16).flatMap(Unicode.Scalar.init)
        default: return nil
        }
    }
}
