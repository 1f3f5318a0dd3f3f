import BackupCore

/// Reads the XML form, strictly: the elements of Apple's document type and nothing else, no
/// attribute but `plist`'s version, no entity but XML's own five, no internal subset of a document
/// type (that is where entities would be defined).
struct XMLPropertyListReader {
    private var rest: ArraySlice<UInt8>
    private var budget: PropertyListBudget

    static func read(
        _ bytes: [UInt8], _ limits: PropertyList.Limits
    ) throws(DeviceError) -> PropertyList {
        var reader = XMLPropertyListReader(rest: bytes[...], budget: PropertyListBudget(limits))
        reader.take("\u{FEFF}")
        try reader.skipProlog()
        let root = try reader.tag()
        guard root.name == "plist", root.isOpening, !root.isEmpty else { throw Self.noList }
        let list = try reader.value(try reader.tag(), depth: 0)
        try reader.closing("plist")
        try reader.skipSpace()
        guard reader.rest.isEmpty else { throw Self.noList }
        return list
    }

    private static var noList: DeviceError { .propertyListDamaged("that is none") }

    // MARK: - Values

    private mutating func value(_ tag: Tag, depth: Int) throws(DeviceError) -> PropertyList {
        guard tag.isOpening else { throw Self.noList }
        try budget.spendElement(depth: depth)
        switch tag.name {
        case "true" where tag.isEmpty: return .boolean(true)
        case "false" where tag.isEmpty: return .boolean(false)
        case "true", "false":
            try closing(tag.name)
            return .boolean(tag.name == "true")
        case "dict": return tag.isEmpty ? .dictionary([:]) : try dictionary(depth: depth)
        case "array": return tag.isEmpty ? .array([]) : try array(depth: depth)
        case "string": return .string(tag.isEmpty ? "" : try text("string"))
        case "data": return tag.isEmpty ? .data([]) : try data()
        case "integer": return try integer(tag)
        case "real":
            guard !tag.isEmpty, let value = Double(try text("real")) else { throw Self.noList }
            return .real(value)
        case "date":
            guard !tag.isEmpty, let time = RFC3339.time(try text("date")) else {
                throw Self.noList
            }
            return .date(
                Double(time.seconds) - PropertyList.referenceSeconds
                    + Double(time.nanoseconds) / 1e9)
        default: throw .propertyListDamaged("with a value of an unknown kind")
        }
    }

    private mutating func dictionary(depth: Int) throws(DeviceError) -> PropertyList {
        var entries: [String: PropertyList] = [:]
        while true {
            let tag = try tag()
            if tag.isClosing(of: "dict") { return .dictionary(entries) }
            guard tag.isOpening, tag.name == "key" else { throw Self.noList }
            try budget.spendElement(depth: depth + 1)
            let key = tag.isEmpty ? "" : try text("key")
            let value = try value(try self.tag(), depth: depth + 1)
            guard entries.updateValue(value, forKey: key) == nil else {
                throw .propertyListDamaged("with two values for one key")
            }
        }
    }

    private mutating func array(depth: Int) throws(DeviceError) -> PropertyList {
        var items: [PropertyList] = []
        while true {
            let tag = try tag()
            if tag.isClosing(of: "array") { return .array(items) }
            items.append(try value(tag, depth: depth + 1))
        }
    }

    private mutating func integer(_ tag: Tag) throws(DeviceError) -> PropertyList {
        guard !tag.isEmpty else { throw Self.noList }
        let digits = try text("integer")
        if let value = Int64(digits) { return .integer(value) }
        guard let value = UInt64(digits) else {
            throw .propertyListDamaged("with a number beyond 64 bits")
        }
        return .unsigned(value)
    }

    private mutating func data() throws(DeviceError) -> PropertyList {
        let end = rest.firstIndex(of: UInt8(ascii: "<")) ?? rest.endIndex
        let digits = rest[..<end].filter { !Self.isSpace($0) }
        try budget.spendData(digits.count)
        rest = rest[end...]
        try closing("data")
        guard let bytes = Base64.decode(digits) else {
            throw .propertyListDamaged("with data that is not base64")
        }
        return .data(bytes)
    }

    /// The text up to the closing tag of `name`; invalid UTF-8 becomes U+FFFD.
    private mutating func text(_ name: String) throws(DeviceError) -> String {
        let end = rest.firstIndex(of: UInt8(ascii: "<")) ?? rest.endIndex
        let raw = rest[..<end]
        try budget.spendText(raw.count)
        rest = rest[end...]
        try closing(name)
        guard raw.contains(UInt8(ascii: "&")) else { return String(decoding: raw, as: UTF8.self) }
        return String(decoding: try resolved(raw), as: UTF8.self)
    }

    private func resolved(_ raw: ArraySlice<UInt8>) throws(DeviceError) -> [UInt8] {
        let entities: [(text: String, byte: UInt8)] = [
            ("&amp;", UInt8(ascii: "&")), ("&lt;", UInt8(ascii: "<")), ("&gt;", UInt8(ascii: ">")),
            ("&quot;", UInt8(ascii: "\"")), ("&apos;", UInt8(ascii: "'")),
        ]
        var output: [UInt8] = []
        var rest = raw
        while let byte = rest.first {
            guard byte == UInt8(ascii: "&") else {
                output.append(rest.removeFirst())
                continue
            }
            guard let entity = entities.first(where: { rest.starts(with: $0.text.utf8) }) else {
                throw .propertyListDamaged("with an entity that is not one of the five")
            }
            output.append(entity.byte)
            rest.removeFirst(entity.text.utf8.count)
        }
        return output
    }
}

// MARK: - Markup

extension XMLPropertyListReader {
    /// `<name>`, `</name>` or `<name/>`.
    private struct Tag {
        var name: String
        var isOpening: Bool
        /// `<name/>`, which opens and closes.
        var isEmpty: Bool

        func isClosing(of other: String) -> Bool { !isOpening && name == other }
    }

    /// The next tag, after white space and comments.
    private mutating func tag() throws(DeviceError) -> Tag {
        try skipSpace()
        guard take("<") else { throw Self.noList }
        let isClosing = take("/")
        let name = rest.prefix { (UInt8(ascii: "a")...UInt8(ascii: "z")).contains($0) }
        rest.removeFirst(name.count)
        var tag = Tag(
            name: String(decoding: name, as: UTF8.self), isOpening: !isClosing, isEmpty: false)
        if tag.isOpening, tag.name == "plist" {
            guard let end = rest.firstIndex(of: UInt8(ascii: ">")) else { throw Self.noList }
            rest = rest[end...]
        }
        takeSpace()
        if !isClosing { tag.isEmpty = take("/") }
        guard take(">") else { throw Self.noList }
        return tag
    }

    private mutating func closing(_ name: String) throws(DeviceError) {
        guard try tag().isClosing(of: name) else { throw Self.noList }
    }

    private mutating func skipProlog() throws(DeviceError) {
        try skipSpace()
        if take("<?xml") { try skip(beyond: "?>") }
        try skipSpace()
        guard take("<!DOCTYPE") else { return }
        let declaration = rest.prefix { $0 != UInt8(ascii: ">") }
        guard !declaration.contains(UInt8(ascii: "[")) else {
            throw .propertyListDamaged("that defines entities")
        }
        try skip(beyond: ">")
    }

    private mutating func skipSpace() throws(DeviceError) {
        takeSpace()
        while take("<!--") {
            try skip(beyond: "-->")
            takeSpace()
        }
    }

    private mutating func takeSpace() { rest = rest.drop(while: Self.isSpace) }

    private mutating func skip(beyond end: String) throws(DeviceError) {
        while !rest.isEmpty {
            if take(end) { return }
            rest.removeFirst()
        }
        throw Self.noList
    }

    @discardableResult
    private mutating func take(_ text: String) -> Bool {
        guard rest.starts(with: text.utf8) else { return false }
        rest.removeFirst(text.utf8.count)
        return true
    }

    private static func isSpace(_ byte: UInt8) -> Bool {
        byte == 0x20 || (0x09...0x0D).contains(byte) && byte != 0x0B && byte != 0x0C
    }
}
