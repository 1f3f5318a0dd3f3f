import Appliance
import ArgumentParser
import BackupCore
import ControlAPI
import Glibc

/// `holdfast setup`
struct SetupCommand: BoxCommand {
    static let configuration = CommandConfiguration(
        commandName: "setup",
        abstract: "Enrol folders or mounts as drives, or adopt drives that are enrolled.",
        discussion: """
            Writes the configuration when there is none. On drives that are enrolled already it \
            rewrites nothing: it asks for each owner's recovery words (on the terminal, or one \
            owner a line on standard input, or in HOLDFAST_WORDS) and rebuilds keys and catalog.
            """)

    @ParentCommand var parent: Holdfast
    @Option(
        help: ArgumentHelp(
            "A folder for keys, catalog, locks and states, so that installations never meet.",
            valueName: "dir"))
    var state: String?
    @Option(
        help: ArgumentHelp("A folder or mount to use as a drive; repeat it.", valueName: "dir"))
    var drive: [String] = []
    @OptionGroup var output: OutputOptions

    func validate() throws {
        guard Set(drive).count == drive.count else {
            throw ValidationError("The same --drive was given twice.")
        }
    }

    func perform() async -> BackupCore.ExitCode {
        let surroundings = Surroundings.ofThisProcess()
        let isNamed =
            parent.config != nil || surroundings.variables["HOLDFAST_CONFIG"]?.isEmpty == false
        let options = SetupOptions(
            state: state.map(surroundings.absolute),
            drives: drive.map(surroundings.absolute),
            file: Configuration.file(named: parent.config, in: surroundings),
            isFileNamed: isNamed)
        do {
            let words = TypedWords(given: surroundings.variables["HOLDFAST_WORDS"])
            let report = try await SetupJob(options, in: surroundings, words: words).run()
            tell(report, isNamed: isNamed)
            return .done
        } catch {
            return fail(error)
        }
    }

    func run(_ box: Box) async throws -> BackupCore.ExitCode { .bug }

    private func tell(_ report: SetupReport, isNamed: Bool) {
        if output.json { Terminal.out(report.json.line) }
        for drive in report.drives {
            let how = report.enrolled.contains(drive.id) ? "enrolled" : drive.state
            Terminal.err("Drive \(HostileText.escaped(drive.name)) (\(drive.id)): \(how)")
        }
        for owner in report.adopted {
            Terminal.err("Owner \(owner): the words fit; keys and phones are known again.")
        }
        for note in report.notes { Terminal.err(note) }
        let file = HostileText.escaped(report.configuration.file)
        Terminal.err("Configuration: \(file)")
        if !isNamed, state != nil {
            Terminal.err("Use it with --config \(file), or set HOLDFAST_CONFIG.")
        }
    }
}
