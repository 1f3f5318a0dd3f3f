import Appliance
import ArgumentParser
import BackupCore
import Glibc

/// `holdfast-agent`: looks after one bay while a phone is in it; started by udev and systemd.
struct HoldfastAgent: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "holdfast-agent",
        abstract: "Back up the phone in one bay, and end when the bay is empty.",
        discussion: """
            Keeps the bay's state in bays/BAY.json of the run folder. SIGTERM ends a run with a \
            partial snapshot and status 130; otherwise the status is the last run's.
            """)

    @Option(
        help: ArgumentHelp(
            "The USB socket by its port chain, as the kernel names it (1-4.2).",
            valueName: "bay"))
    var bay: String
    @Option(
        help: ArgumentHelp(
            "The configuration file; else HOLDFAST_CONFIG, else the default place.",
            valueName: "file"))
    var config: String?

    func validate() throws {
        guard case .bay? = PhoneChoice(bay) else {
            throw ValidationError("--bay wants a port chain such as 1-4.2.")
        }
    }

    /// Works until the bay is empty.
    func perform() async -> BackupCore.ExitCode {
        guard case .bay(let bay)? = PhoneChoice(bay) else { return .usage }
        do {
            let surroundings = Surroundings.ofThisProcess()
            let file = Configuration.file(named: config, in: surroundings)
            let configuration = try Configuration.load(file: file, in: surroundings)
            let box = try Composition.box(configuration, in: surroundings)
            return await BayAgent(box, bay: bay).run()
        } catch {
            let outcome = Outcome(error)
            Program.tell("holdfast-agent: \(outcome.explanation)\n")
            return outcome.exitCode
        }
    }
}

/// The program's start and end.
@main
enum Program {
    static func main() {
        Composition.start { await run() }
    }

    private static func run() async -> BackupCore.ExitCode {
        do {
            let command = try HoldfastAgent.parse()
            return await command.perform()
        } catch {
            let isHelp = HoldfastAgent.exitCode(for: error).isSuccess
            tell(HoldfastAgent.fullMessage(for: error) + "\n", isData: isHelp)
            return isHelp ? .done : .usage
        }
    }

    /// Words for people; help alone is data.
    static func tell(_ text: String, isData: Bool = false) {
        let bytes = Array(text.utf8)
        // Sound: the buffer is lent for the call with its own count. What a closed terminal does
        // not take is lost, as it should be.
        _ = unsafe bytes.withUnsafeBytes { buffer in
            unsafe write(isData ? STDOUT_FILENO : STDERR_FILENO, buffer.baseAddress, buffer.count)
        }
    }
}
