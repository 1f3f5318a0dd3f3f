/// Rules about the checkout as a whole: its entries, its words and its documents.
enum TreeRules {
    /// The root holds what the layout names and nothing else; names with a dot belong to tools.
    static func topLevel(_ checkout: Checkout) -> [String] {
        let allowed: Set<String> = [
            "Package.swift", "Package.resolved", "Sources", "Tests", "udev", "scripts", "docs",
            "README.md", "LICENSE",
        ]
        return checkout.topLevelNames.filter { !allowed.contains($0) && !$0.hasPrefix(".") }
            .map { "\($0): the root holds more than the layout" }
    }

    /// Each library has tests of its own that claim something.
    static func testTargets(_ checkout: Checkout, layers: [Layer] = Layer.all) -> [String] {
        layers.filter(\.isLibrary).compactMap { layer in
            let folder = "Tests/\(layer.name)Tests"
            let claims = checkout.files(under: folder, endingIn: ".swift")
                .contains { checkout.text($0)?.contains("@Test") == true }
            return claims ? nil : "\(layer.name): \(folder) holds no test"
        }
    }

    /// The work is done where it stands: no notes of things left out.
    static func leftUndone(_ checkout: Checkout) -> [String] {
        find(["TO" + "DO", "FIX" + "ME", "XX" + "X:"], in: checkout) { "\($0) left in the text" }
    }

    /// The project speaks of itself alone: no path of a developer's machine, nothing beside the
    /// checkout.
    static func machinePaths(_ checkout: Checkout) -> [String] {
        let places = ["/" + "work/", "/" + "root/", "../" + "shared"]
        let homes = ["/" + "home/"]
        // A made-up home is a fair example for a test of how folders are chosen.
        return find(places, in: checkout) { "\($0) is a place on one machine" }
            + find(homes, in: checkout, { "\($0) is a place on one machine" })
            .filter { !$0.hasPrefix("Tests/") }
    }

    /// Every mutant of the torture programmes stands where its line is.
    static func mutants(_ checkout: Checkout) -> [String] {
        ["mutants", "iphone"].flatMap { name in
            let path = "Tests/Torture/Mutants/\(name).txt"
            let entries = (checkout.text(path) ?? "").split(separator: "\n\n").map(fields)
                .filter { $0["name"] != nil }
            guard !entries.isEmpty else { return ["\(path) names no mutant"] }
            return entries.compactMap { mutant in
                let file = mutant["file"] ?? ""
                let lines = (checkout.text(file) ?? "").split(separator: "\n")
                guard !lines.contains(where: { mutant["line"] == String($0) }) else { return nil }
                return "mutant \(mutant["name"] ?? ""): its line is not in \(file)"
            }
        }
    }

    /// Lines of a name, a colon and a value.
    private static func fields(_ entry: Substring) -> [String: String] {
        let pairs = entry.split(separator: "\n").compactMap {
            (line: Substring) -> (String, String)? in
            guard let colon = line.firstRange(of: ": ") else { return nil }
            return (String(line[..<colon.lowerBound]), String(line[colon.upperBound...]))
        }
        return Dictionary(pairs) { first, _ in first }
    }

    /// The two commands that the README promises, and the third that runs both.
    static func commands(_ checkout: Checkout) -> [String] {
        var violations = ["scripts/test", "scripts/demo", ".ci/run"]
            .filter { !checkout.isProgram($0) }.map { "\($0): no program" }
        let readme = checkout.text("README.md") ?? ""
        violations += ["scripts/test", "scripts/demo"].filter { !readme.contains($0) }
            .map { "README.md does not name \($0)" }
        let run = checkout.text(".ci/run") ?? ""
        let test = run.firstRange(of: "scripts/test")
        let demo = run.firstRange(of: "scripts/demo")
        guard let test, let demo, test.lowerBound < demo.lowerBound else {
            return violations + [".ci/run does not run scripts/test, then scripts/demo"]
        }
        return violations
    }

    /// Relative links in documents lead somewhere.
    static func links(_ checkout: Checkout) -> [String] {
        documents(checkout).flatMap { path, text in
            linkTargets(text).filter { !$0.contains("://") && !$0.hasPrefix("#") }
                .compactMap { target -> String? in
                    let file = target.prefix { $0 != "#" }
                    let resolved = resolve(String(file), from: path)
                    return checkout.has(resolved) ? nil : "\(path): nothing at \(target)"
                }
        }
    }

    /// A decision record tells context, choice, what was rejected, and consequences; its number is
    /// its own.
    static func decisions(_ checkout: Checkout) -> [String] {
        var numbers: Set<Substring> = []
        return checkout.files(under: "docs/decisions", endingIn: ".md").flatMap { path in
            let text = checkout.text(path) ?? ""
            let number = (path.split(separator: "/").last ?? "").prefix(4)
            var violations = ["## Context", "## Choice", "## Rejected", "## Consequences"]
                .filter { !text.contains("\n" + $0 + "\n") }.map { "\(path): no \"\($0)\"" }
            if number.contains(where: { !$0.isNumber }) || !numbers.insert(number).inserted {
                violations.append("\(path): needs a number of its own")
            }
            return violations
        }
    }

    /// The documented exit codes are those of the program, number by number.
    static func exitCodes(_ checkout: Checkout) -> [String] {
        let source = checkout.text("Sources/Core/BackupCore/ExitCode.swift") ?? ""
        let programs = Set(
            source.split(separator: "\n").compactMap { line -> Int? in
                let tokens = SwiftSource.tokens(String(line))
                guard tokens.count == 4, tokens[0] == "case", tokens[2] == "=" else { return nil }
                return Int(tokens[3])
            })
        let document = checkout.text("docs/command-line.md") ?? ""
        let documented = Set(
            document.split(separator: "\n").compactMap { line -> Int? in
                guard line.hasPrefix("| ") else { return nil }
                return Int(line.dropFirst(2).prefix { $0.isNumber })
            })
        return programs.subtracting(documented).sorted().map { "exit code \($0) is undocumented" }
            + documented.subtracting(programs).sorted().map { "exit code \($0) does not exist" }
    }

    /// Every command of the program has a heading in its document, or stands behind its parent's
    /// name there (`key sheet`); and every heading is a command.
    static func documentedCommands(_ checkout: Checkout) -> [String] {
        let names = checkout.files(under: "Sources/Programs/holdfast", endingIn: ".swift")
            .flatMap { commandNames(checkout.text($0) ?? "") }
        let programs = Set(names).subtracting(["holdfast"])
        let document = checkout.text("docs/command-line.md") ?? ""
        let headings = document.split(separator: "\n").compactMap { line -> String? in
            guard line.hasPrefix("### `holdfast ") else { return nil }
            return String(line.dropFirst(14).prefix { $0 != "`" && $0 != " " })
        }
        // A line may end between the two words.
        let running = document.split(whereSeparator: \.isWhitespace).joined(separator: " ")
        let undocumented = programs.subtracting(headings).filter { name in
            !headings.contains { running.contains("`\($0) \(name)") }
        }
        return undocumented.sorted().map { "holdfast \($0) is undocumented" }
            + Set(headings).subtracting(programs).sorted().map { "holdfast \($0) is no command" }
    }

    // MARK: - Reading

    /// The `commandName:` texts of visible commands.
    private static func commandNames(_ text: String) -> [String] {
        text.split(separator: "\n").compactMap { line in
            let parts = line.split(separator: "commandName: \"", omittingEmptySubsequences: false)
            guard parts.count == 2 else { return nil }
            return String(parts[1].prefix { $0 != "\"" })
        }
    }

    private static func find(
        _ words: [String], in checkout: Checkout, _ describe: (String) -> String
    ) -> [String] {
        checkout.files().flatMap { path -> [String] in
            guard let text = checkout.text(path), words.contains(where: text.contains) else {
                return []
            }
            return text.split(separator: "\n", omittingEmptySubsequences: false).enumerated()
                .flatMap { number, line in
                    words.filter(line.contains).map { "\(path):\(number + 1): " + describe($0) }
                }
        }
    }

    private static func documents(_ checkout: Checkout) -> [(path: String, text: String)] {
        checkout.files(endingIn: ".md").compactMap { path in
            checkout.text(path).map { (path, $0) }
        }
    }

    /// The targets of `[text](target)`.
    private static func linkTargets(_ text: String) -> [String] {
        text.split(separator: "](").dropFirst().map { String($0.prefix { $0 != ")" }) }
    }

    private static func resolve(_ target: String, from document: String) -> String {
        var names = document.split(separator: "/").dropLast()
        for name in target.split(separator: "/") {
            switch name {
            case ".": continue
            case "..": _ = names.popLast()
            default: names.append(name)
            }
        }
        return names.joined(separator: "/")
    }
}
