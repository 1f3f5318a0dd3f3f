extension JSONValue.Member {
    /// A member of bytes from a phone: as text where they are UTF-8, else as hexadecimal digits
    /// under the key with `_hex` behind it, so that nothing is lost.
    package static func bytes(_ key: String, _ bytes: [UInt8]) -> JSONValue.Member {
        if let text = String(validating: bytes, as: UTF8.self) { return .init(key, .string(text)) }
        let digits = bytes.map { byte in
            (byte < 16 ? "0" : "") + String(byte, radix: 16)
        }
        return .init(key + "_hex", .string(digits.joined()))
    }
}

extension JSONValue {
    /// The bytes of a member that ``Member/bytes(_:_:)`` made; nil when there is none.
    package func bytes(_ key: String) -> [UInt8]? {
        if let text = self[key]?.text { return Array(text.utf8) }
        guard let digits = self[key + "_hex"]?.text?.utf8, digits.count.isMultiple(of: 2)
        else { return nil }
        var bytes: [UInt8] = []
        var rest = digits[...]
        while !rest.isEmpty {
            guard let byte = UInt8(String(rest.prefix(2)) ?? "", radix: 16) else { return nil }
            bytes.append(byte)
            rest = rest.dropFirst(2)
        }
        return bytes
    }
}
