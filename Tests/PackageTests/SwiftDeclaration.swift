/// The declaration that starts on a line of code.
struct SwiftDeclaration {
    /// The keyword: `struct`, `func`, `let`, …
    let kind: String
    /// The name; of an initialiser `init(` and its first label; of an operator its sign.
    let name: String
    /// Whether other targets see it.
    let isShared: Bool

    /// Keywords that make a type.
    static let typeKinds: Set<String> = [
        "struct", "class", "enum", "actor", "protocol", "typealias",
    ]
    /// All keywords that start a declaration.
    static let kinds = typeKinds.union([
        "func", "init", "subscript", "var", "let", "case", "extension", "import",
    ])
    /// Words that may stand before the keyword.
    static let modifiers: Set<String> = [
        "package", "public", "internal", "private", "fileprivate", "open", "static", "final",
        "mutating", "nonmutating", "consuming", "borrowing", "nonisolated", "isolated",
        "override", "required", "convenience", "indirect", "lazy", "weak", "unowned", "unsafe",
    ]

    /// Reads a line of code (see ``SwiftSource/code``); nil when no declaration starts there.
    init?(line: String) {
        var tokens = SwiftSource.tokens(line)[...]
        var isShared = false
        while let token = tokens.first {
            if Self.kinds.contains(token), !Self.isModifierClass(tokens) { break }
            if token == "package" || token == "public" { isShared = true }
            if token == "(" {
                // The argument of an attribute or of `nonisolated(unsafe)`.
                guard let end = tokens.firstIndex(of: ")") else { return nil }
                tokens = tokens[(end + 1)...]
                continue
            }
            guard Self.modifiers.contains(token) || token.hasPrefix("@") || token == "class"
            else { return nil }
            tokens = tokens.dropFirst()
        }
        guard let kind = tokens.popFirst() else { return nil }
        self.kind = kind
        self.isShared = isShared
        name = Self.name(kind, tokens)
    }

    private static func name(_ kind: String, _ rest: ArraySlice<String>) -> String {
        guard let first = rest.first else { return "" }
        if kind == "init" {
            return "init(" + (first == "(" ? rest.dropFirst().first ?? "" : "")
        }
        let isOperator = kind == "func" && !SwiftSource.isWordByte(first.utf8.first ?? 0)
        return isOperator ? rest.prefix { $0 != "(" }.joined() : first
    }

    /// Whether the next word is the modifier of `class func` and not the keyword of a class.
    private static func isModifierClass(_ tokens: ArraySlice<String>) -> Bool {
        guard tokens.first == "class", let next = tokens.dropFirst().first else { return false }
        return next == "func" || next == "var" || next == "let"
    }
}
