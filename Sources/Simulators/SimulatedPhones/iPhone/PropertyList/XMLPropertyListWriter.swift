/// Writes the XML form.
enum XMLPropertyListWriter {
    static func write(_ list: PropertyList) -> [UInt8] {
        var text = """
            <?xml version="1.0" encoding="UTF-8"?>
            <!DOCTYPE plist PUBLIC "-//Apple//DTD PLIST 1.0//EN" \
            "http://www.apple.com/DTDs/PropertyList-1.0.dtd">
            <plist version="1.0">

            """
        put(list, into: &text, indent: "")
        text += "</plist>\n"
        return Array(text.utf8)
    }

    private static func put(_ value: PropertyList, into text: inout String, indent: String) {
        switch value {
        case .dictionary(let entries) where entries.isEmpty: text += "\(indent)<dict/>\n"
        case .dictionary(let entries):
            text += "\(indent)<dict>\n"
            for (key, value) in entries.sorted(by: { $0.key < $1.key }) {
                text += "\(indent)\t<key>\(escaped(key))</key>\n"
                put(value, into: &text, indent: indent + "\t")
            }
            text += "\(indent)</dict>\n"
        case .array(let items) where items.isEmpty: text += "\(indent)<array/>\n"
        case .array(let items):
            text += "\(indent)<array>\n"
            for item in items { put(item, into: &text, indent: indent + "\t") }
            text += "\(indent)</array>\n"
        case .uid(let number):
            put(["CF$UID": .number(number)], into: &text, indent: indent)
        default: text += "\(indent)\(leaf(value))\n"
        }
    }

    private static func leaf(_ value: PropertyList) -> String {
        switch value {
        case .string(let text): "<string>\(escaped(text))</string>"
        case .data(let bytes): "<data>\(Base64.encode(bytes))</data>"
        case .integer(let number): "<integer>\(number)</integer>"
        case .unsigned(let number): "<integer>\(number)</integer>"
        case .real(let number): "<real>\(number)</real>"
        case .boolean(let truth): truth ? "<true/>" : "<false/>"
        case .date(let seconds): "<date>\(XMLDate.text(seconds))</date>"
        case .dictionary, .array, .uid: ""  // written by `put`
        }
    }

    private static func escaped(_ text: String) -> String {
        guard text.utf8.contains(where: { $0 == 0x26 || $0 == 0x3C || $0 == 0x3E }) else {
            return text
        }
        var result = ""
        for character in text {
            switch character {
            case "&": result += "&amp;"
            case "<": result += "&lt;"
            case ">": result += "&gt;"
            default: result.append(character)
            }
        }
        return result
    }
}

/// "2026-11-25T02:30:00Z" and seconds since 2001.
enum XMLDate {
    static func text(_ seconds: Double) -> String {
        let bounded = min(max(seconds, -6e10), 2.5e11)
        let digits = Array(
            PTPDate.text(
                unixSeconds: Int64(bounded.rounded(.down)) + PropertyList.epochOffset, zone: 0))
        guard digits.count == 15 else { return "2001-01-01T00:00:00Z" }
        let day = "\(String(digits[0..<4]))-\(String(digits[4..<6]))-\(String(digits[6..<8]))"
        let time = "\(String(digits[9..<11])):\(String(digits[11..<13])):\(String(digits[13...]))"
        return "\(day)T\(time)Z"
    }

    static func seconds(_ text: String) -> Double? {
        let compact = text.utf16.filter { $0 != 0x2D && $0 != 0x3A }
        return PTPDate.unixSeconds(of: compact, zone: 0).map {
            Double($0 - PropertyList.epochOffset)
        }
    }
}

/// RFC 4648, section 4.
enum Base64 {
    private static let alphabet = Array(
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/".utf8)
    /// The value of each character; 255 for one that has none.
    private static let values: [UInt8] = {
        var values = [UInt8](repeating: 255, count: 256)
        for (value, character) in alphabet.enumerated() {
            values[Int(character)] = UInt8(value)
        }
        return values
    }()

    static func encode(_ bytes: [UInt8]) -> String {
        var text: [UInt8] = []
        text.reserveCapacity(bytes.count / 3 * 4 + 4)
        for start in stride(from: 0, to: bytes.count, by: 3) {
            let group = bytes[start..<min(start + 3, bytes.count)]
            var word: UInt32 = 0
            for byte in group { word = word << 8 | UInt32(byte) }
            word <<= UInt32(3 - group.count) * 8
            for place in 0..<4 {
                let isThere = place <= group.count
                text.append(
                    isThere ? alphabet[Int(word >> UInt32(18 - place * 6) & 63)] : 0x3D)
            }
        }
        return String(decoding: text, as: UTF8.self)
    }

    /// Skips white space; nil when another character has no value.
    static func decode(_ text: some Sequence<UInt8>) -> [UInt8]? {
        var bytes: [UInt8] = []
        var word: UInt32 = 0
        var bits = 0
        for character in text where character > 0x20 {
            if character == 0x3D { break }
            let value = values[Int(character)]
            guard value < 64 else { return nil }
            word = word << 6 | UInt32(value)
            bits += 6
            if bits >= 8 {
                bits -= 8
                bytes.append(UInt8(truncatingIfNeeded: word >> UInt32(bits)))
            }
        }
        return bytes
    }
}
