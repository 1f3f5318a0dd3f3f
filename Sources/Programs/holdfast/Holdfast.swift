import Appliance
import ArgumentParser
import BackupCore

/// `holdfast`: the program for people and scripts.
struct Holdfast: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "holdfast",
        abstract: "Backs phones up to two drives, and back.",
        discussion: """
            Data goes to standard output and words for people to standard error. The exit status \
            tells how it went: 0 is done and safe on every drive, 20 is done but not on every \
            drive; docs/command-line.md explains the others.
            """,
        subcommands: [
            SetupCommand.self, PhonesCommand.self, BackupCommand.self, SnapshotsCommand.self,
            ShowCommand.self, ListCommand.self, RestoreCommand.self, CheckCommand.self,
            HealCommand.self, ScrubCommand.self, ForgetCommand.self, PruneCommand.self,
            DrivesCommand.self, OwnersCommand.self, KeyCommand.self, StatusCommand.self,
        ])

    @Option(
        help: ArgumentHelp(
            "The configuration file; else HOLDFAST_CONFIG, else the default place.",
            valueName: "file"))
    var config: String?
}

/// The program's start and end.
@main
enum Program {
    static func main() {
        Composition.start { await run() }
    }

    private static func run() async -> BackupCore.ExitCode {
        do {
            var command = try Holdfast.parseAsRoot()
            if let command = command as? any BoxCommand {
                return await command.perform()
            }
            try command.run()
            return .done
        } catch {
            // Help and usage errors: the parser's own words; 0 for help, 64 for the rest.
            let text = Holdfast.fullMessage(for: error)
            let code = Holdfast.exitCode(for: error)
            if code.isSuccess {
                Terminal.out(text)
                return .done
            }
            Terminal.err(text)
            return .usage
        }
    }
}
