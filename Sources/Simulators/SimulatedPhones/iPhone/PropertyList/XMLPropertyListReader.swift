/// Reads the XML form as far as property lists use XML: no attributes are looked at, comments,
/// declarations and the document type are passed over, entities are the five of XML and numbers.
struct XMLPropertyListReader {
    private static let depthLimit = 128

    private let bytes: [UInt8]
    private var position = 0

    init(_ bytes: [UInt8]) {
        self.bytes = bytes
    }

    /// A start or end of an element.
    private struct Tag {
        var name: String
        var isEnd = false
        /// `<true/>`: no content and no end tag.
        var isEmpty = false
    }

    mutating func read() throws(PropertyListProblem) -> PropertyList {
        var tag = try nextTag()
        if tag.name == "plist" { tag = try nextTag() }
        return try value(tag, depth: 0)
    }

    private func problem(_ text: String) -> PropertyListProblem {
        PropertyListProblem(description: "This XML property list cannot be read: \(text).")
    }

    /// The next tag, past text, comments and declarations.
    private mutating func nextTag() throws(PropertyListProblem) -> Tag {
        while let start = find(0x3C, from: position) {
            if has("<!--", at: start) {
                position = try end(of: "-->", from: start)
                continue
            }
            guard let close = find(0x3E, from: start) else { break }
            position = close + 1
            guard let first = bytes[safe: start + 1], first != 0x21, first != 0x3F else { continue }
            let isEnd = first == 0x2F
            let isEmpty = bytes[close - 1] == 0x2F
            let name = bytes[(start + (isEnd ? 2 : 1))..<close]
                .prefix { $0 > 0x20 && $0 != 0x2F }
            return Tag(
                name: String(decoding: name, as: UTF8.self), isEnd: isEnd, isEmpty: isEmpty)
        }
        throw problem("it ends too early")
    }

    private func find(_ byte: UInt8, from start: Int) -> Int? {
        bytes[min(start, bytes.count)...].firstIndex(of: byte)
    }

    private func has(_ text: String, at start: Int) -> Bool {
        bytes[min(start, bytes.count)...].starts(with: text.utf8)
    }

    private func end(of text: String, from start: Int) throws(PropertyListProblem) -> Int {
        var place = start
        while place < bytes.count {
            if has(text, at: place) { return place + text.utf8.count }
            place += 1
        }
        throw problem("a comment does not end")
    }

    private mutating func value(
        _ tag: Tag, depth: Int
    ) throws(PropertyListProblem) -> PropertyList {
        guard !tag.isEnd, depth < Self.depthLimit else {
            throw problem("its elements do not match")
        }
        switch tag.name {
        case "dict": return try dictionary(tag, depth: depth)
        case "array": return try array(tag, depth: depth)
        case "true", "false":
            if !tag.isEmpty { _ = try content(of: tag) }
            return .boolean(tag.name == "true")
        default: return try leaf(tag.name, try content(of: tag))
        }
    }

    /// The text up to the element's end, entities not yet resolved.
    private mutating func content(of tag: Tag) throws(PropertyListProblem) -> ArraySlice<UInt8> {
        guard !tag.isEmpty else { return [] }
        let start = position
        guard let stop = find(0x3C, from: start) else { throw problem("an element does not end") }
        position = stop
        let end = try nextTag()
        guard end.isEnd, end.name == tag.name else { throw problem("its elements do not match") }
        return bytes[start..<stop]
    }

    private func leaf(
        _ name: String, _ content: ArraySlice<UInt8>
    ) throws(PropertyListProblem) -> PropertyList {
        if name == "data" {
            guard let decoded = Base64.decode(content) else { throw problem("data is not Base64") }
            return .data(decoded)
        }
        let text = resolved(content)
        if name == "string" || name == "key" { return .string(text) }
        let word = text.split(whereSeparator: \.isWhitespace).first.map { String($0) } ?? ""
        switch name {
        case "integer":
            if let number = Int64(word) { return .integer(number) }
            if let number = UInt64(word) { return .unsigned(number) }
        case "real": if let number = Double(word) { return .real(number) }
        case "date": if let seconds = XMLDate.seconds(word) { return .date(seconds) }
        default: break
        }
        throw problem("<\(name)> holds \"\(text.prefix(40))\"")
    }

    private func resolved(_ content: ArraySlice<UInt8>) -> String {
        guard content.contains(0x26) else { return String(decoding: content, as: UTF8.self) }
        var result = ""
        var rest = content
        while let start = rest.firstIndex(of: 0x26), let stop = rest[start...].firstIndex(of: 0x3B)
        {
            result += String(decoding: rest[..<start], as: UTF8.self)
            result += Self.entity(String(decoding: rest[(start + 1)..<stop], as: UTF8.self))
            rest = rest[(stop + 1)...]
        }
        return result + String(decoding: rest, as: UTF8.self)
    }

    private static func entity(_ name: String) -> String {
        switch name {
        case "amp": return "&"
        case "lt": return "<"
        case "gt": return ">"
        case "quot": return "\""
        case "apos": return "'"
        default:
            let number =
                name.hasPrefix("#x")
                ? UInt32(name.dropFirst(2), radix: 16) : UInt32(name.dropFirst())
            return number.flatMap(Unicode.Scalar.init).map { String(Character($0)) } ?? ""
        }
    }

    private mutating func array(
        _ tag: Tag, depth: Int
    ) throws(PropertyListProblem) -> PropertyList {
        guard !tag.isEmpty else { return [] }
        var items: [PropertyList] = []
        while true {
            let next = try nextTag()
            if next.isEnd { break }
            items.append(try value(next, depth: depth + 1))
        }
        return .array(items)
    }

    private mutating func dictionary(
        _ tag: Tag, depth: Int
    ) throws(PropertyListProblem) -> PropertyList {
        guard !tag.isEmpty else { return [:] }
        var entries: [String: PropertyList] = [:]
        while true {
            let key = try nextTag()
            if key.isEnd { break }
            guard key.name == "key" else { throw problem("a key is missing") }
            let name = resolved(try content(of: key))
            entries[name] = try value(try nextTag(), depth: depth + 1)
        }
        if entries.count == 1, let number = entries["CF$UID"]?.unsigned { return .uid(number) }
        return .dictionary(entries)
    }
}

extension Array {
    /// The element, or nil when the index lies outside.
    fileprivate subscript(safe index: Int) -> Element? {
        indices.contains(index) ? self[index] : nil
    }
}
