import ArgumentParser
import SimulatedPhones

/// Tells a running phone what happens to it.
struct ControlCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "control",
        abstract: "Lock, unplug or question a running phone.",
        discussion: """
            Commands: lock, unlock, unplug, replug, unplug-after BYTES, freeze, thaw, status, \
            reset-counters, set battery|bandwidth|latency|urb-latency|object-latency VALUE.
            """)

    @Argument(help: "The phone's control socket, or the folder given as --dir.")
    var place: String
    @Argument(help: "The command and its values.")
    var words: [String]
    @Option(help: "Which phone, when the folder has several.")
    var bay: Int?

    func validate() throws {
        guard words == ["status"] || PhoneCommand(words: words) != nil else {
            throw ValidationError("Unknown command: \(words.joined(separator: " "))")
        }
    }

    func run() throws {
        print(try PhoneControl.send(words, to: place, bay: bay))
    }
}
