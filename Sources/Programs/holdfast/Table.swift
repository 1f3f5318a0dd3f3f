import BackupCore
import ControlAPI

/// Columns for people; every text is already harmless.
enum Table {
    /// Prints a heading and rows, columns aligned; nothing without rows.
    static func print(_ heading: [String], _ rows: [[String]]) {
        guard !rows.isEmpty else { return }
        var widths = heading.map(\.count)
        for row in rows {
            for (column, text) in row.enumerated() {
                widths[column] = max(widths[column], text.count)
            }
        }
        for row in [heading] + rows {
            var line = ""
            for (column, text) in row.enumerated() {
                line += text
                if column + 1 < row.count {
                    line += String(repeating: " ", count: widths[column] - text.count + 2)
                }
            }
            while line.hasSuffix(" ") { line.removeLast() }
            Terminal.out(line)
        }
    }
}

/// A document as indented lines for people.
enum Outline {
    /// Prints every member of `document` on a line of its own, texts escaped.
    static func print(_ document: JSONValue, indent: String = "") {
        for member in document.objectMembers ?? [] {
            let key = HostileText.escaped(member.key)
            switch member.value {
            case .object:
                Terminal.out("\(indent)\(key):")
                print(member.value, indent: indent + "  ")
            case .array(let elements) where elements.contains { $0.objectMembers != nil }:
                Terminal.out("\(indent)\(key):")
                for element in elements {
                    Terminal.out("\(indent)  -")
                    print(element, indent: indent + "    ")
                }
            case .array(let elements):
                Terminal.out("\(indent)\(key): \(elements.map(word).joined(separator: ", "))")
            default: Terminal.out("\(indent)\(key): \(word(member.value))")
            }
        }
    }

    private static func word(_ value: JSONValue) -> String {
        switch value {
        case .null: "-"
        case .string(let text): HostileText.escaped(text)
        default: value.line
        }
    }
}
