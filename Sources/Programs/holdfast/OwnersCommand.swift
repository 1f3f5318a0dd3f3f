import Appliance
import ArgumentParser
import BackupCore
import ControlAPI

/// `holdfast owners`
struct OwnersCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "owners", abstract: "Show the owners and the phones of each; erase one.",
        subcommands: [OwnersListCommand.self, OwnersEraseCommand.self],
        defaultSubcommand: OwnersListCommand.self)
}

/// `holdfast owners list`
struct OwnersListCommand: BoxCommand {
    static let configuration = CommandConfiguration(
        commandName: "list", abstract: "Show the owners and the phones of each.")

    @ParentCommand var parent: Holdfast
    @OptionGroup var filter: FilterOptions
    @OptionGroup var output: OutputOptions

    func run(_ box: Box) async throws -> BackupCore.ExitCode {
        let owners = try box.ownerDocuments(filter.filter())
        if output.json {
            Terminal.out(JSONValue.array(owners.map(\.json)).line)
            return .done
        }
        if owners.isEmpty { Terminal.err("There is no owner yet: the first backup makes one.") }
        Table.print(["OWNER", "PHONES", "SHEET", ""], owners.map { Self.row($0, box) })
        return .done
    }

    private static func row(_ document: OwnerDocument, _ box: Box) -> [String] {
        let phones = document.phones.map {
            "\(HostileText.escaped($0.name, limit: 30)) (\($0.id))"
        }
        let drives = document.pending.map {
            HostileText.escaped(box.driveNames[$0] ?? $0.rawValue, limit: 30)
        }.joined(separator: ", ")
        let notes = [
            document.erased != nil ? "erased; still to be removed from \(drives)" : nil,
            document.isRotating ? "new keys are not in use yet" : nil,
            document.erased == nil && !document.pending.isEmpty
                ? "replaced keys are still on \(drives)" : nil,
        ]
        let sheet =
            document.erased != nil
            ? "-"
            : document.owner.sheetShown == nil
                ? "never shown"
                : document.owner.sheetProved.map {
                    "proved " + RFC3339.text($0).prefix(10)
                } ?? "shown, never proved"
        return [
            document.owner.id.rawValue, phones.joined(separator: ", "), sheet,
            notes.compactMap { $0 }.joined(separator: "; "),
        ]
    }
}

/// `holdfast owners erase`
struct OwnersEraseCommand: BoxCommand {
    static let configuration = CommandConfiguration(
        commandName: "erase",
        abstract: "Erase a person: all backups of an owner on every drive, and the keys.",
        discussion: """
            Shows what goes and asks for the owner's id or the name of one of the phones. Drives \
            that are away follow when they are seen next (exit 20). It cannot be undone.
            """)

    @ParentCommand var parent: Holdfast
    @Argument(help: "Whom, by the owner's id.")
    var owner: String
    @Flag(help: "Show what would go, and stop.")
    var dryRun = false
    @Flag(help: "Do not ask.")
    var yes = false
    @Option(help: ArgumentHelp("How long to wait for another run.", valueName: "seconds"))
    var wait: Int?
    @OptionGroup var output: OutputOptions

    func run(_ box: Box) async throws -> BackupCore.ExitCode {
        guard let id: OwnerID = try FilterOptions.id(owner, "owner") else { return .usage }
        let plan = try await box.planErasure(of: id)
        if dryRun {
            if output.json {
                Terminal.out(plan.json.line)
            } else {
                for line in plan.sentences { Terminal.out(line) }
            }
            return .done
        }
        let answer = Confirmation.ask(
            plan.sentences, "Type the owner's id or the name of one of the phones to erase:",
            isYes: yes, isRight: plan.isNamed)
        guard case .yes = answer else { return Confirmation.refusal(answer) }
        let report = try await box.erase(id, wait: wait, events: { _ in })
        if output.json { Terminal.out(report.json.line) }
        Terminal.err(report.message)
        return report.exitCode
    }
}
