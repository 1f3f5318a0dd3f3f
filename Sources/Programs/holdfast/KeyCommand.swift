import Appliance
import ArgumentParser
import BackupCore
import ControlAPI

/// `holdfast key`
struct KeyCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "key", abstract: "An owner's password, recovery sheet and keys.",
        subcommands: [
            KeyPasswordCommand.self, KeySheetCommand.self, KeyRotateCommand.self,
            KeyPhoneCommand.self,
        ])
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
            + "this box; or prove the printed one.",
        discussion: """
            --page writes a page that any browser prints on one sheet of paper, with the words \
            also as a QR code. --prove asks for the words of the printed sheet (on the terminal, or \
            from standard input or HOLDFAST_WORDS) and opens every drive with them alone.
            """)

    @ParentCommand var program: Holdfast
    @Option(help: ArgumentHelp("Whose sheet.", valueName: "id"))
    var owner: String
    @Option(
        help: ArgumentHelp(
            "Write a page to print into this new file; - is standard output.", valueName: "file"))
    var page: String?
    @Flag(help: "Type in the words of the printed sheet and see whether they open the backups.")
    var prove = false
    @OptionGroup var output: OutputOptions

    func validate() throws {
        guard page == nil || !(prove || output.json) else {
            throw ValidationError("--page goes with neither --prove nor --json.")
        }
        guard page?.isEmpty != true else { throw ValidationError("--page needs a file.") }
    }

    func run(_ box: Box) async throws -> BackupCore.ExitCode {
        let owner = try ownerID()
        if prove { return try await prove(owner, box) }
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

    private func prove(_ owner: OwnerID, _ box: Box) async throws -> BackupCore.ExitCode {
        let words = TypedWords(given: Surroundings.ofThisProcess().variables["HOLDFAST_WORDS"])
        let proof = try await box.prove(owner, words: words)
        if output.json { try print(proof.json.line) }
        for drive in proof.drives {
            let name = HostileText.escaped(box.driveNames[drive.drive] ?? "", limit: 64)
            let found =
                switch drive.state {
                case .opened: "opened with the words; newest snapshot \(drive.newest?.short ?? "-")"
                case .empty: "opened with the words; no snapshot yet"
                case .refused, .failed: "not opened. \(drive.problem)"
                }
            Terminal.err("Drive \(name) (\(drive.drive)): \(found)")
        }
        Terminal.err("The sheet of \(owner) is right: its words open the backups without this box.")
        return proof.exitCode
    }
}

/// `holdfast key rotate`
struct KeyRotateCommand: KeyBoxCommand {
    static let configuration = CommandConfiguration(
        commandName: "rotate",
        abstract: "Give an owner a new password and new recovery words.",
        discussion: """
            The new key files are on every drive before the old ones go; drives that are away \
            follow when they are seen next (exit 20). Key files of other programs stay. The master \
            key stays the same, which restic's format cannot change: whoever copied an old key \
            file and knows its words still reads the data.
            """)

    @ParentCommand var program: Holdfast
    @Option(help: ArgumentHelp("Whose keys.", valueName: "id"))
    var owner: String
    @Option(
        help: ArgumentHelp(
            "Remove this key file of another program or box too, by the start of its id; repeat "
                + "it.", valueName: "id"))
    var removeKey: [String] = []
    @Flag(help: "Show what would change, and stop.")
    var dryRun = false
    @Flag(help: "Do not ask.")
    var yes = false
    @Option(help: ArgumentHelp("How long to wait for another run.", valueName: "seconds"))
    var wait: Int?
    @OptionGroup var output: OutputOptions

    func run(_ box: Box) async throws -> BackupCore.ExitCode {
        let owner = try ownerID()
        let plan = try await box.planRotation(of: owner, removing: removeKey)
        if dryRun {
            try print(output.json ? plan.json.line : plan.sentences.joined(separator: "\n"))
            return .done
        }
        let answer = Confirmation.ask(
            plan.sentences, "Type yes to change the keys:", isYes: yes,
            isRight: { $0.lowercased().trimmingSpaces == "yes" })
        guard case .yes = answer else { return Confirmation.refusal(answer) }
        let report = try await box.rotateKeys(plan, wait: wait, events: { _ in })
        if output.json { try print(report.json.line) }
        Terminal.err(report.message)
        return report.exitCode
    }
}

extension String {
    /// The text without blanks at its ends.
    fileprivate var trimmingSpaces: String {
        split(whereSeparator: \.isWhitespace).joined(separator: " ")
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
