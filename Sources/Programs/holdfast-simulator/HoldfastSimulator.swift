import ArgumentParser

/// Simulated phones for tests and demonstrations.
@main
struct HoldfastSimulator: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "holdfast-simulator",
        abstract: "Simulated phones that unmodified programs can reach.",
        subcommands: [
            AndroidCommand.self, IPhoneCommandLine.self, ControlCommand.self, TreeCommand.self,
        ])
}
