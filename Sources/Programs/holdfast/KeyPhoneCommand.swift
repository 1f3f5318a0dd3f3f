import Appliance
import ArgumentParser
import BackupCore
import ControlAPI

/// `holdfast key phone`
struct KeyPhoneCommand: BoxCommand {
    static let configuration = CommandConfiguration(
        commandName: "phone",
        abstract: "What an iPhone encrypts its own backups with: look, set, change, tell.",
        discussion: """
            An encrypted backup also holds passwords, Health and the call history. The box keeps \
            the password and prints it on the owner's recovery sheet; nobody can have a forgotten \
            one back. Without an option it tries the kept password on the newest backup. A \
            password is asked for on the terminal, or is the first line of standard input; \
            --generate makes one.
            """)

    @ParentCommand var program: Holdfast
    @Option(help: ArgumentHelp("The phone.", valueName: "id"))
    var phone: String
    @Flag(help: "Have the phone encrypt its backups from now on.")
    var set = false
    @Flag(help: "Have the phone take another password; the kept one must be right.")
    var change = false
    @Flag(help: "Have the phone encrypt no more; the kept password must be right.")
    var off = false
    @Flag(help: "Keep a password that was set elsewhere; the newest backup proves it.")
    var known = false
    @Flag(help: "With --set or --change: make a password.")
    var generate = false
    @Option(help: ArgumentHelp("How long to wait for the phone.", valueName: "seconds"))
    var wait: Int?
    @OptionGroup var output: OutputOptions

    var parent: Holdfast { program }

    func validate() throws {
        guard [set, change, off, known].count(where: { $0 }) <= 1 else {
            throw ValidationError("Give one of --set, --change, --off and --known.")
        }
        guard !generate || set || change else {
            throw ValidationError("--generate goes with --set or --change.")
        }
    }

    func run(_ box: Box) async throws -> BackupCore.ExitCode {
        guard let id: PhoneID = try FilterOptions.id(phone, "phone") else { return .usage }
        if known { return show(try await box.tell(backupPassword: try typed(), of: id)) }
        guard set || change || off else { return show(try await box.encryption(of: id)) }
        let display = RunDisplay(box, isJSON: output.json)
        let new = off ? nil : generate ? Box.randomBackupPassword() : try typed()
        let what: PasswordChange = new.map { set ? .set($0) : .change($0) } ?? .off
        try await box.changeBackupPassword(what, of: id, wait: wait, events: display.sink)
        if generate, let new { Terminal.out(new) }
        Terminal.err(
            off
                ? "The phone's next backups are not encrypted; earlier ones stay as they are."
                : "The phone's next backups are encrypted. The password is kept here and stands "
                    + "on the owner's recovery sheet: print it anew with holdfast key sheet.")
        return .done
    }

    private func show(_ encryption: BackupEncryption) -> BackupCore.ExitCode {
        if output.json {
            Terminal.out(encryption.json.line)
        } else {
            Terminal.out(encryption.sentence)
        }
        return encryption.state == .unknown ? .key : .done
    }

    private func typed() throws(ApplianceError) -> String {
        if Terminal.canAsk { Terminal.errPart("Backup password: ") }
        guard let line = readLine(), !line.isEmpty else {
            throw ApplianceError(
                .key, "No password was given.",
                whatToDo: "Type it, or give it as a line of standard input.")
        }
        return line
    }
}
