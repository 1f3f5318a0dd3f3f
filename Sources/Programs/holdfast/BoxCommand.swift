import Appliance
import ArgumentParser
import BackupCore
import ControlAPI

/// A command that works on an installation.
protocol BoxCommand: AsyncParsableCommand {
    /// The program's own options.
    var parent: Holdfast { get }
    /// Does the work; errors become words and an exit status.
    func run(_ box: Box) async throws -> BackupCore.ExitCode
    /// Opens the installation and runs the command in it; what `setup` replaces.
    func perform() async -> BackupCore.ExitCode
}

extension BoxCommand {
    /// Opens the installation and runs the command in it.
    func perform() async -> BackupCore.ExitCode {
        do {
            return try await run(try openBox())
        } catch {
            return fail(error)
        }
    }

    /// The installation that the options and variables name.
    private func openBox() throws(ApplianceError) -> Box {
        let surroundings = Surroundings.ofThisProcess()
        for warning in Box.warnings(in: surroundings) { Terminal.err("holdfast: " + warning) }
        let file = Configuration.file(named: parent.config, in: surroundings)
        let configuration = try Configuration.load(file: file, in: surroundings)
        return try Composition.box(configuration, in: surroundings)
    }

    /// Tells an error and gives its exit status.
    func fail(_ error: any Error) -> BackupCore.ExitCode {
        let outcome = Outcome(error)
        Terminal.err("holdfast: " + outcome.explanation)
        return outcome.exitCode
    }
}

/// `--json`, which every query and run has.
struct OutputOptions: ParsableArguments {
    @Flag(help: "JSON on standard output, for programs.")
    var json = false
}

/// What narrows a question.
struct FilterOptions: ParsableArguments {
    @Option(help: ArgumentHelp("Only this phone.", valueName: "id"))
    var phone: String?
    @Option(help: ArgumentHelp("Only this capture: media or backup.", valueName: "kind"))
    var capture: Capture?
    @Option(help: ArgumentHelp("Only this owner.", valueName: "id"))
    var owner: String?
    @Option(help: ArgumentHelp("Only this drive.", valueName: "id"))
    var drive: String?

    /// The filter of these options; a text that can be no id is one that nobody has.
    func filter() throws(ApplianceError) -> QueryFilter {
        QueryFilter(
            phone: try Self.id(phone, "phone"), capture: capture,
            owner: try Self.id(owner, "owner"), drive: try Self.id(drive, "drive"))
    }

    /// `text` as an id, nil for nil.
    static func id<ID: Identifier>(
        _ text: String?, _ what: String
    ) throws(ApplianceError) -> ID? {
        guard let text else { return nil }
        if let id = ID(rawValue: text) { return id }
        throw ApplianceError(
            .notFound, "There is no \(what) \(HostileText.escaped(text, limit: 80)).",
            whatToDo: "Run holdfast \(what)s to see which there are.")
    }
}

extension Capture: ExpressibleByArgument {}
