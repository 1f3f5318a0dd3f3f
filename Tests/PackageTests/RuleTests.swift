import Testing

/// Each rule sees what breaks it. The texts are small and bad on purpose.
@Suite struct RuleTests {
    private func source(_ path: String, _ text: String) -> [SwiftSource] {
        [SwiftSource(path: path, text: text)]
    }

    private let core = "Sources/Core/BackupCore/Thing.swift"
    private let engine = "Sources/Engine/BackupEngine/Thing.swift"

    @Test(arguments: [
        "import Foundation", "package import Glibc", "@testable import Drives",
        "import struct Glibc.stat", "  internal import CSystem // why",
    ])
    func anyImportInTheCoreIsNamed(_ line: String) {
        #expect(CodeRules.imports(source(core, line)).count == 1)
    }

    @Test func aForbiddenImportIsNamed() {
        let found = CodeRules.imports(source(engine, "import BackupCore\nimport Drives\n"))
        #expect(found == ["\(engine):2: BackupEngine must not import Drives"])
    }

    @Test func anImportInACommentOrATextIsNone() {
        let text = "// import Drives\nlet a = \"import Drives\"\n/* import Drives\nimport Drives */"
        #expect(CodeRules.imports(source(engine, text)) == [])
    }

    @Test func aFileOutsideEveryLayerIsNamed() {
        #expect(CodeRules.imports(source("Sources/Utils/Extras.swift", "")).count == 1)
    }

    @Test func aSecondImporterOfAForeignLibraryIsNamed() {
        let files =
            source("Sources/Repository/ResticFormat/Zstd.swift", "import CZstd")
            + source("Sources/Repository/ResticFormat/PackFile.swift", "import CZstd")
        #expect(CodeRules.foreignLibraries(files).count == 1)
        #expect(CodeRules.foreignLibraries(Array(files.prefix(1))) == [])
    }

    @Test func libmtpElsewhereIsNamed() {
        let lane = source("Sources/Devices/AndroidMTP/Lane.swift", "import CLibMTP")
        #expect(CodeRules.foreignLibraries(lane).count == 1)
        let right = source("Sources/Devices/AndroidMTP/LibMTP.swift", "import CLibMTP")
        #expect(CodeRules.foreignLibraries(right) == [])
    }

    @Test func aFamilyNamedOutsideTheCompositionIsNamed() {
        let job = source("Sources/Appliance/Appliance/Runs/Job.swift", "import DeviceWorker")
        #expect(CodeRules.composition(job).count == 1)
        let right = source("Sources/Appliance/Appliance/Composition.swift", "import DeviceWorker")
        #expect(CodeRules.composition(right) == [])
    }

    @Test(arguments: [
        "package struct Bare {}", "public func bare() {}", "package init(bare: Int) {}",
        "@safe package final class Bare {}", "    package static func bare(_ a: Int) -> Int { a }",
        "// a plain comment\npackage enum Bare {}", "/// far away\n\npackage actor Bare {}",
    ])
    func anUndocumentedDeclarationIsNamed(_ text: String) {
        #expect(CodeRules.documentation(source(engine, text)).count == 1)
    }

    @Test(arguments: [
        "/// Told.\npackage struct Told {}", "/// Told.\n@safe\npackage struct Told {}",
        "struct Inner {}", "package let plain = 1", "package static func < (a: A, b: A) -> Bool",
        "package init(trusted: String) {}",
    ])
    func aDocumentedOrInnerDeclarationPasses(_ text: String) {
        #expect(CodeRules.documentation(source(engine, text)) == [])
    }

    @Test func aWitnessIsDescribedAtItsPort() {
        let port = source(core, "/// A port.\npackage protocol Port {\n    func call()\n}")
        let part = source(engine, "extension Part: Port {\n    package func call() {}\n}")
        #expect(CodeRules.documentation(port + part) == [])
        #expect(CodeRules.documentation(part).count == 1)
    }

    @Test(arguments: [
        "let a = b!", "let a = b()!", "let a = b[0]!", "try! open()", "x as! Int", "b!.c()",
        "var a: Int!", "let a = \"\\(b!)\"",
    ])
    func forcingIsNamed(_ text: String) {
        #expect(CodeRules.forcing(source(engine, text)).count == 1)
    }

    @Test(arguments: [
        "if a != b {}", "if a!=b {}", "if !a {}", "let a = \"stop!\"", "// never!", "f(!a)",
        "let a = #\"x!\"#", "let a = \"\"\"\n    really!\n    \"\"\"", "let a = \"a\\\"b!\"",
    ])
    func whatOnlyLooksLikeForcingPasses(_ text: String) {
        #expect(CodeRules.forcing(source(engine, text)) == [])
    }

    @Test func aDroppedErrorNeedsAReason() {
        #expect(CodeRules.reasons(source(engine, "try? close()")).count == 1)
        #expect(CodeRules.reasons(source(engine, "// It is gone.\ntry? close()")) == [])
        #expect(CodeRules.reasons(source(engine, "return entry?.id")) == [])
        #expect(CodeRules.reasons(source(engine, "f((try? g()) ?? 1)")).count == 1)
        let shared = "final class A: @unchecked Sendable {}"
        #expect(CodeRules.reasons(source(engine, shared)).count == 1)
        #expect(CodeRules.reasons(source(engine, shared + " // One owner.")) == [])
    }

    @Test func aTypeNamedAsItsModuleIsNamed() {
        let text = "/// Told.\npackage struct BackupEngine {}"
        #expect(CodeRules.typesNamedAsTheirModule(source(engine, text)).count == 1)
        #expect(CodeRules.typesNamedAsTheirModule(source(core, text)) == [])
    }

    @Test func aLongFileIsNamed() {
        let text = String(repeating: "\n", count: 500)
        #expect(CodeRules.lengths(source(engine, text)).count == 1)
        #expect(CodeRules.lengths(source(engine, String(text.dropLast()))) == [])
    }

    @Test func anOddEntryInTheRootIsNamed() throws {
        let tree = try ScratchTree(["notes.txt": "", "README.md": "", ".editorconfig": ""])
        #expect(TreeRules.topLevel(tree.checkout).count == 1)
    }

    @Test func aLibraryWithoutTestsIsNamed() throws {
        let layer = Layer(name: "Part", folder: "Sources/Part", mayImport: [])
        let tree = try ScratchTree(["Tests/PartTests/Empty.swift": "import Testing\n"])
        #expect(TreeRules.testTargets(tree.checkout, layers: [layer]).count == 1)
        let good = try ScratchTree(["Tests/PartTests/A.swift": "@Test func a() {}"])
        #expect(TreeRules.testTargets(good.checkout, layers: [layer]) == [])
    }

    @Test func aNoteOfUndoneWorkIsNamed() throws {
        let tree = try ScratchTree(["docs/a.md": "one\nTO" + "DO: two\n"])
        #expect(TreeRules.leftUndone(tree.checkout).count == 1)
    }

    @Test(arguments: ["/" + "home/me/x", "/" + "root/x", "../" + "shared/x", "/" + "work/x"])
    func aMachinesPathIsNamed(_ path: String) throws {
        let tree = try ScratchTree(["scripts/a": "one\ncd \(path)\n"])
        #expect(TreeRules.machinePaths(tree.checkout).count == 1)
    }

    @Test func aMutantWhoseLineWentAwayIsNamed() throws {
        let tree = try ScratchTree([
            "Sources/A.swift": "one\n    two\n",
            "Tests/Torture/Mutants/mutants.txt": """
            # Words.

            name: there
            file: Sources/A.swift
            line:     two

            name: gone
            file: Sources/A.swift
            line:     three

            """,
        ])
        #expect(
            TreeRules.mutants(tree.checkout) == [
                "mutant gone: its line is not in Sources/A.swift",
                "Tests/Torture/Mutants/iphone.txt names no mutant",
            ])
    }

    @Test func aCommandThatIsNoProgramIsNamed() throws {
        let tree = try ScratchTree([
            "README.md": "scripts/test scripts/demo", "scripts/test": "", "scripts/demo": "",
            ".ci/run": "scripts/test && scripts/demo",
        ])
        #expect(TreeRules.commands(tree.checkout).count == 3)
        for path in ["scripts/test", "scripts/demo", ".ci/run"] { try tree.makeProgram(path) }
        #expect(TreeRules.commands(tree.checkout) == [])
    }

    @Test func commandsInTheWrongOrderAreNamed() throws {
        let tree = try ScratchTree([".ci/run": "scripts/demo; scripts/test"])
        #expect(TreeRules.commands(tree.checkout).contains { $0.contains("then scripts/demo") })
    }

    @Test func aLinkToNothingIsNamed() throws {
        let tree = try ScratchTree([
            "docs/a.md": "[b](b.md) [up](../README.md#start) [out](https://example.org/x)",
            "README.md": "[gone](docs/gone.md)", "docs/b.md": "",
        ])
        #expect(TreeRules.links(tree.checkout) == ["README.md: nothing at docs/gone.md"])
    }

    @Test func anIncompleteDecisionIsNamed() throws {
        let tree = try ScratchTree(["docs/decisions/0001-a.md": "# A\n\n## Context\n\nx\n"])
        #expect(TreeRules.decisions(tree.checkout).count == 3)
    }

    @Test func twoDecisionsOfOneNumberAreNamed() throws {
        let whole = "\n## Context\n\n## Choice\n\n## Rejected\n\n## Consequences\n"
        let tree = try ScratchTree([
            "docs/decisions/0001-a.md": whole, "docs/decisions/0001-b.md": whole,
        ])
        #expect(TreeRules.decisions(tree.checkout).count == 1)
    }

    @Test func anUndocumentedExitCodeIsNamed() throws {
        let tree = try ScratchTree([
            "Sources/Core/BackupCore/ExitCode.swift": "    case done = 0\n    case bug = 70\n",
            "docs/command-line.md": "| 0 | done |\n| 99 | never |\n",
        ])
        #expect(TreeRules.exitCodes(tree.checkout).count == 2)
    }

    @Test func anUndocumentedCommandIsNamed() throws {
        let tree = try ScratchTree([
            "Sources/Programs/holdfast/A.swift": ["ls", "show", "key", "sheet", "holdfast"]
                .map { "commandName: \"\($0)\"\n" }.joined(),
            "docs/command-line.md":
                "### `holdfast ls SNAPSHOT`\n### `holdfast key`\n`key sheet`\n### `holdfast fly`\n",
        ])
        let found = TreeRules.documentedCommands(tree.checkout)
        #expect(found == ["holdfast show is undocumented", "holdfast fly is no command"])
    }
}
