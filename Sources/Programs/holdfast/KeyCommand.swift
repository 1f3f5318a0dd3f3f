import Appliance
import ArgumentParser
import BackupCore
import ControlAPI

/// `holdfast key`
struct KeyCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "key", abstract: "An owner's password, recovery sheet and keys.",
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
            + "this box.",
        discussion: """
            --page writes a page that any browser prints on one sheet of paper, with the words \
            also as a QR code.
            """)

    @ParentCommand var program: Holdfast
    @Option(help: ArgumentHelp("Whose sheet.", valueName: "id"))
    var owner: String
    @Option(
        help: ArgumentHelp(
            "Write a page to print into this new file; - is standard output.", valueName: "file"))
    var page: String?
    @OptionGroup var output: OutputOptions

    func validate() throws {
        guard page == nil || !output.json else {
            throw ValidationError("--page does not go with --json.")
        }
        guard page?.isEmpty != true else { throw ValidationError("--page needs a file.") }
    }

    func run(_ box: Box) async throws -> BackupCore.ExitCode {
        let owner = try ownerID()
        let sheet = try box.sheet(of: owner)
        if let page {
            try write(sheet, to: page, box)
        } else if output.json {
            try print(sheet.json.line)
        } else {
            try print(sheet.text)
            // For the eyes of a person who has a phone at hand; a printer would only get noise.
            if Terminal.showsOutput, let code = sheet.terminalQRCode { try print(code) }
        }
        // Shown only when it was: a sheet that nobody could read must go on being asked for.
        try box.rememberSheetShown(of: owner)
        return .done
    }

    private func write(_ sheet: RecoverySheet, to page: String, _ box: Box) throws {
        guard page != "-" else { return try print(sheet.page) }
        let path = Surroundings.ofThisProcess().absolute(page)
        try box.writePage(sheet, to: path)
        Terminal.err(
            "The sheet of \(sheet.owner) is in \(HostileText.escaped(path)). Print it with a "
                + "browser, remove the file, and prove what was printed: holdfast key sheet "
                + "--prove --owner \(sheet.owner)")
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
