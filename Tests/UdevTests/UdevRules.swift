/// A udev rules file, as far as the language's keys and operators go (udev(7)).
struct UdevRules {
    /// One `KEY{attribute}op"value"`.
    struct Term: Equatable {
        let key: String
        let attribute: String?
        let operation: String
        let value: String
    }

    struct Problem: Error, Equatable {
        let line: Int
        let reason: String
    }

    let rules: [[Term]]

    static let matchKeys: Set<String> = [
        "ACTION", "DEVPATH", "KERNEL", "KERNELS", "NAME", "SYMLINK", "SUBSYSTEM", "SUBSYSTEMS",
        "DRIVER", "DRIVERS", "ATTR", "ATTRS", "SYSCTL", "ENV", "CONST", "TAG", "TAGS", "TEST",
        "PROGRAM", "RESULT",
    ]
    static let assignmentKeys: Set<String> = [
        "NAME", "SYMLINK", "OWNER", "GROUP", "MODE", "SECLABEL", "ATTR", "SYSCTL", "ENV", "TAG",
        "RUN", "LABEL", "GOTO", "IMPORT", "OPTIONS",
    ]
    static let keysWithAttribute: Set<String> = ["ATTR", "ATTRS", "ENV", "CONST", "SYSCTL"]

    init(text: String) throws(Problem) {
        var parsed: [[Term]] = []
        for (number, line) in text.split(separator: "\n", omittingEmptySubsequences: false)
            .enumerated()
        {
            let trimmed = line.drop { $0 == " " || $0 == "\t" }
            if trimmed.isEmpty || trimmed.hasPrefix("#") { continue }
            var rest = trimmed[...]
            var terms: [Term] = []
            repeat {
                terms.append(try Self.term(from: &rest, line: number + 1))
                rest = rest.drop { $0 == " " || $0 == "," }
            } while !rest.isEmpty
            parsed.append(terms)
        }
        rules = parsed
        try checkJumps()
    }

    private static func term(
        from rest: inout Substring, line: Int
    ) throws(Problem) -> Term {
        let key = String(rest.prefix { $0.isUppercase || $0 == "_" })
        rest = rest.dropFirst(key.count)
        var attribute: String?
        if rest.first == "{" {
            guard let end = rest.firstIndex(of: "}") else {
                throw Problem(line: line, reason: "no } after \(key){")
            }
            attribute = String(rest[rest.index(after: rest.startIndex)..<end])
            rest = rest[rest.index(after: end)...]
        }
        let operation = String(rest.prefix { "=!+-:".contains($0) })
        rest = rest.dropFirst(operation.count)
        guard rest.first == "\"", let end = rest.dropFirst().firstIndex(of: "\"") else {
            throw Problem(line: line, reason: "\(key) has no quoted value")
        }
        let value = String(rest.dropFirst()[..<end])
        rest = rest[rest.index(after: end)...]
        let term = Term(key: key, attribute: attribute, operation: operation, value: value)
        if let reason = term.reasonToRefuse { throw Problem(line: line, reason: reason) }
        return term
    }

    private func checkJumps() throws(Problem) {
        let labels = rules.joined().filter { $0.key == "LABEL" }.map(\.value)
        guard Set(labels).count == labels.count else {
            throw Problem(line: 0, reason: "a label stands twice")
        }
        for jump in rules.joined() where jump.key == "GOTO" && !labels.contains(jump.value) {
            throw Problem(line: 0, reason: "no label \(jump.value)")
        }
    }
}

extension UdevRules.Term {
    var isMatch: Bool { operation == "==" || operation == "!=" }

    var reasonToRefuse: String? {
        switch operation {
        case "==", "!=":
            if !UdevRules.matchKeys.contains(key) { return "\(key) cannot be matched" }
        case "=", "+=", "-=", ":=":
            if !UdevRules.assignmentKeys.contains(key) { return "\(key) cannot be assigned" }
            if ["GOTO", "LABEL"].contains(key) && operation != "=" {
                return "\(key) takes only ="
            }
        default: return "\(key) has no operator but \(operation)"
        }
        if UdevRules.keysWithAttribute.contains(key) != (attribute != nil) {
            return "\(key) \(attribute == nil ? "needs" : "takes no") {attribute}"
        }
        return nil
    }
}
