import BackupCore

/// Writes the XML form as Apple's tools do: tabs, keys in the order of their bytes.
struct XMLPropertyListWriter {
    private static let head = """
        <?xml version="1.0" encoding="UTF-8"?>
        <!DOCTYPE plist PUBLIC "-//Apple//DTD PLIST 1.0//EN" \
        "http://www.apple.com/DTDs/PropertyList-1.0.dtd">
        <plist version="1.0">

        """

    private var output = Array(Self.head.utf8)

    static func write(_ list: PropertyList) -> [UInt8] {
        var writer = XMLPropertyListWriter()
        writer.add(list, depth: 0)
        writer.output += Array("</plist>\n".utf8)
        return writer.output
    }

    private mutating func add(_ list: PropertyList, depth: Int) {
        switch list {
        case .dictionary(let entries):
            container("dict", isEmpty: entries.isEmpty, depth: depth) { writer in
                for entry in entries.sorted(by: {
                    $0.key.utf8.lexicographicallyPrecedes($1.key.utf8)
                }) {
                    writer.element("key", entry.key, depth: depth + 1)
                    writer.add(entry.value, depth: depth + 1)
                }
            }
        case .array(let items):
            container("array", isEmpty: items.isEmpty, depth: depth) { writer in
                for item in items { writer.add(item, depth: depth + 1) }
            }
        case .string(let text): element("string", text, depth: depth)
        case .data(let bytes):
            element("data", String(decoding: Base64.encode(bytes), as: UTF8.self), depth: depth)
        case .integer(let value): element("integer", "\(value)", depth: depth)
        case .unsigned(let value): element("integer", "\(value)", depth: depth)
        case .real(let value): element("real", "\(value)", depth: depth)
        case .boolean(let flag): line(flag ? "<true/>" : "<false/>", depth: depth)
        case .date(let seconds): element("date", Self.date(seconds), depth: depth)
        case .uid(let value):
            add(.dictionary(["CF$UID": .number(value)]), depth: depth)
        }
    }

    private mutating func container(
        _ name: String, isEmpty: Bool, depth: Int, _ content: (inout XMLPropertyListWriter) -> Void
    ) {
        if isEmpty { return line("<\(name)/>", depth: depth) }
        line("<\(name)>", depth: depth)
        content(&self)
        line("</\(name)>", depth: depth)
    }

    private mutating func element(_ name: String, _ text: String, depth: Int) {
        line("<\(name)>\(Self.escaped(text))</\(name)>", depth: depth)
    }

    private mutating func line(_ text: String, depth: Int) {
        output.append(contentsOf: repeatElement(UInt8(ascii: "\t"), count: depth))
        output.append(contentsOf: text.utf8)
        output.append(UInt8(ascii: "\n"))
    }

    /// XML 1.0 has no control characters but tab, line feed and return.
    private static func escaped(_ text: String) -> String {
        var output = ""
        for scalar in text.unicodeScalars {
            switch scalar {
            case "&": output += "&amp;"
            case "<": output += "&lt;"
            case ">": output += "&gt;"
            case "\t", "\n", "\r": output.unicodeScalars.append(scalar)
            case _ where scalar.value < 0x20 || scalar.value == 0xFFFE || scalar.value == 0xFFFF:
                output += "\u{FFFD}"
            default: output.unicodeScalars.append(scalar)
            }
        }
        return output
    }

    /// Whole seconds, as the document type has dates.
    private static func date(_ seconds: Double) -> String {
        let whole = (seconds + PropertyList.referenceSeconds).rounded(.down)
        return RFC3339.text(Timestamp(seconds: Int64(exactly: whole) ?? 0))
    }
}

extension PropertyList {
    /// 2001-01-01T00:00:00Z, where property lists count from, in seconds since 1970.
    static let referenceSeconds = 978_307_200.0
}
