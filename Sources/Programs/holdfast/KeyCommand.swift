import Appliance
import ArgumentParser
import BackupCore
import ControlAPI

/// `holdfast key`
struct KeyCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "key", abstract: "Print an owner's password or recovery sheet.",
        subcommands: [KeyPasswordCommand.self, KeySheetCommand.self])
}

/// `holdfast key password`
struct KeyPasswordCommand: KeyBoxCommand {
    static let configuration = CommandConfiguration(
        commandName: "password",
        abstract: "Print the password of an owner's repository, for RESTIC_PASSWORD_COMMAND.")

    @ParentCommand var program: Holdfast
    @Option(help: ArgumentHelp("Whose password.", valueName: "id"))
    var owner: String

    func run(_ box: Box) throws -> BackupCore.ExitCode {
        try print(try box.password(of: try ownerID()))
        return .done
    }
}

/// `holdfast key sheet`
struct KeySheetCommand: KeyBoxCommand {
    static let configuration = CommandConfiguration(
        commandName: "sheet",
        abstract: "Print an owner's recovery sheet: the words that open the backups without "
            + "this box.")

    @ParentCommand var program: Holdfast
    @Option(help: ArgumentHelp("Whose sheet.", valueName: "id"))
    var owner: String
    @OptionGroup var output: OutputOptions

    func run(_ box: Box) throws -> BackupCore.ExitCode {
        let owner = try ownerID()
        let sheet = try box.sheet(of: owner)
        // Shown only when it was: a sheet that nobody could read must go on being asked for.
        try print(output.json ? sheet.json.line : sheet.text)
        try box.rememberSheetShown(of: owner)
        return .done
    }
}

/// A command beneath `key`.
protocol KeyBoxCommand: BoxCommand {
    /// The program's own options, two levels up.
    var program: Holdfast { get }
    /// Whose key, as it was typed.
    var owner: String { get }
}

extension KeyBoxCommand {
    var parent: Holdfast { program }

    /// Writes what was asked for to standard output.
    func print(_ text: String) throws(ApplianceError) {
        guard Terminal.out(text) else {
            throw ApplianceError(
                .configuration, "Standard output could not be written to.",
                whatToDo: "Check where it leads (a full disk, a closed pipe), then try again.")
        }
    }

    /// Whose key.
    func ownerID() throws(ApplianceError) -> OwnerID {
        if let id: OwnerID = try FilterOptions.id(owner, "owner") { return id }
        throw ApplianceError(.notFound, "There is no owner.", whatToDo: "Give --owner ID.")
    }
}
