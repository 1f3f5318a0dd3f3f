/// Rules about the Swift files of the product. Each gives one line per violation, naming the file
/// and the line, so that a failure says where to look.
enum CodeRules {
    /// Imports go one way only: see ``Layer/all``.
    static func imports(_ sources: [SwiftSource]) -> [String] {
        var violations: [String] = []
        for source in sources {
            guard let layer = Layer.of(source.path) else {
                violations.append("\(source.path): lies in no layer of Layers.swift")
                continue
            }
            for found in importedModules(source) where !layer.allowed.contains(found.module) {
                violations.append(
                    "\(source.path):\(found.line): \(layer.name) must not import \(found.module)")
            }
        }
        return violations
    }

    /// A C library of others is known to one Swift file; libmtp to the one named after it.
    static func foreignLibraries(_ sources: [SwiftSource]) -> [String] {
        Layer.foreignLibraries.sorted().flatMap { library -> [String] in
            let importers = sources.filter { source in
                importedModules(source).contains { $0.module == library }
            }.map(\.path)
            let isNamedAfterIt = importers.allSatisfy { path in
                fileStem(path).lowercased() == library.dropFirst().lowercased()
                    || library != "CLibMTP"
            }
            if importers.count > 1 {
                return ["\(library) is imported by \(importers.joined(separator: ", "))"]
            }
            return isNamedAfterIt ? [] : ["\(importers.joined()): only LibMTP.swift knows libmtp"]
        }
    }

    /// One file puts the device families together; nothing else above them knows which there are.
    static func composition(_ sources: [SwiftSource]) -> [String] {
        let families: Set<String> = ["AndroidMTP", "ApplePhone", "USBPresence", "DeviceWorker"]
        return sources.filter { Layer.of($0.path)?.name == "Appliance" }.flatMap { source in
            importedModules(source)
                .filter { families.contains($0.module) && fileStem(source.path) != "Composition" }
                .map { "\(source.path):\($0.line): only Composition.swift names \($0.module)" }
        }
    }

    /// What other targets may call says what it means: types, functions and initialisers that are
    /// `package` or `public`. A witness of a port is described at the port; stored properties may
    /// speak for themselves.
    static func documentation(_ sources: [SwiftSource]) -> [String] {
        let witnesses = portRequirements(sources).union(Self.knownWitnesses)
        return sources.flatMap { source in
            source.code.indices.compactMap { index -> String? in
                guard let declared = SwiftDeclaration(line: source.code[index]), declared.isShared,
                    Self.documentedKinds.contains(declared.kind),
                    !witnesses.contains(declared.name),
                    !isDocumented(source, at: index)
                else { return nil }
                return "\(source.path):\(index + 1): \(declared.kind) \(declared.name) "
                    + "has no doc comment"
            }
        }
    }

    /// Bad input never traps: no forced unwrap, try or cast in the product.
    static func forcing(_ sources: [SwiftSource]) -> [String] {
        violations(sources) { line in
            if line.contains("try!") { return "try!" }
            if line.contains("as!") { return "as!" }
            return hasForcedUnwrap(line) ? "a forced unwrap" : nil
        }
    }

    /// What the compiler cannot check carries a reason: a dropped error, sharing it cannot prove.
    static func reasons(_ sources: [SwiftSource]) -> [String] {
        sources.flatMap { source in
            source.code.indices.compactMap { index -> String? in
                let unproven = /\btry\?|@unchecked Sendable|nonisolated\(unsafe\)/
                guard let found = source.code[index].firstMatch(of: unproven),
                    !hasComment(source, around: index)
                else { return nil }
                return "\(source.path):\(index + 1): \(found.output) without a reason beside it"
            }
        }
    }

    /// A module with a type of its own name cannot be named in full.
    static func typesNamedAsTheirModule(_ sources: [SwiftSource]) -> [String] {
        sources.flatMap { source -> [String] in
            guard let layer = Layer.of(source.path) else { return [] }
            return source.code.indices.compactMap { index in
                guard let declared = SwiftDeclaration(line: source.code[index]),
                    SwiftDeclaration.typeKinds.contains(declared.kind), declared.name == layer.name
                else { return nil }
                return "\(source.path):\(index + 1): the module \(layer.name) has a type of "
                    + "its own name"
            }
        }
    }

    /// One file is one idea.
    static func lengths(_ sources: [SwiftSource], limit: Int = 500) -> [String] {
        sources.filter { $0.lines.count > limit }
            .map { "\($0.path): \($0.lines.count) lines, more than \(limit)" }
    }

    // MARK: - Reading

    private static let documentedKinds = SwiftDeclaration.typeKinds
        .union(["func", "init", "subscript"])
    /// Requirements of the standard library's protocols.
    private static let knownWitnesses: Set<String> = [
        "<", "==", "hash", "next", "init(stringLiteral", "init(rawValue", "init(trusted",
        "makeIterator", "makeAsyncIterator", "Element", "Failure",
    ]

    /// The names that the protocols of the product require.
    private static func portRequirements(_ sources: [SwiftSource]) -> Set<String> {
        var names: Set<String> = []
        for source in sources {
            var depth = 0
            var protocolDepth: Int?
            for line in source.code {
                let declared = SwiftDeclaration(line: line)
                if declared?.kind == "protocol" { protocolDepth = depth }
                if let declared, protocolDepth != nil, declared.kind == "func" {
                    names.insert(declared.name)
                }
                depth += line.utf8.reduce(0) { $0 + ($1 == 0x7B ? 1 : $1 == 0x7D ? -1 : 0) }
                if let start = protocolDepth, depth <= start, line.contains("}") {
                    protocolDepth = nil
                }
            }
        }
        return names
    }

    private static func isDocumented(_ source: SwiftSource, at index: Int) -> Bool {
        var above = index - 1
        while above >= 0, trimmed(source.lines[above]).hasPrefix("@") { above -= 1 }
        return above >= 0 && trimmed(source.lines[above]).hasPrefix("///")
    }

    private static func hasComment(_ source: SwiftSource, around index: Int) -> Bool {
        let near = max(0, index - 8)...min(source.lines.count - 1, index + 3)
        return near.contains { line in
            let written = source.lines[line]
            return written.contains("//") && !source.code[line].contains("//")
        }
    }

    /// Whether a `!` follows a name, a call, a subscript or an optional chain, and is no `!=`.
    private static func hasForcedUnwrap(_ line: String) -> Bool {
        let bytes = Array(line.utf8)
        return bytes.indices.dropFirst().contains { index in
            guard bytes[index] == UInt8(ascii: "!") else { return false }
            let before = bytes[index - 1]
            let follows = SwiftSource.isWordByte(before) || ")]?>".utf8.contains(before)
            let isUnequal = index + 1 < bytes.count && bytes[index + 1] == UInt8(ascii: "=")
            return follows && !isUnequal
        }
    }

    private static func violations(
        _ sources: [SwiftSource], _ find: (String) -> String?
    ) -> [String] {
        sources.flatMap { source in
            source.code.indices.compactMap { index in
                find(source.code[index]).map { "\(source.path):\(index + 1): \($0)" }
            }
        }
    }

    /// The modules a file imports; of `import struct Glibc.stat` it is Glibc.
    private static func importedModules(_ source: SwiftSource) -> [(module: String, line: Int)] {
        source.code.indices.compactMap { index in
            let tokens = SwiftSource.tokens(source.code[index])
            guard let place = tokens.firstIndex(of: "import"),
                tokens[..<place].allSatisfy({
                    SwiftDeclaration.modifiers.contains($0) || $0.hasPrefix("@")
                })
            else { return nil }
            let rest = tokens[(place + 1)...]
            let isScoped = rest.first.map(SwiftDeclaration.kinds.contains) ?? false
            return (isScoped ? rest.dropFirst() : rest).first.map { ($0, index + 1) }
        }
    }

    private static func fileStem(_ path: String) -> Substring {
        (path.split(separator: "/").last ?? "").split(separator: ".").first ?? ""
    }

    private static func trimmed(_ line: String) -> Substring {
        line.drop { $0 == " " || $0 == "\t" }
    }
}
