import ArgumentParser
import SimulatedPhones

/// Tells a running phone what happens to it.
struct ControlCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "control",
        abstract: "Lock, unplug or question a running phone.",
        discussion: """
            Any phone: lock, unlock, unplug, replug, unplug-after BYTES, status, reset-counters, \
            set battery|bandwidth|latency VALUE.
            Android: freeze, thaw, set urb-latency|object-latency VALUE.
            iPhone: before-first-unlock, trust, deny, enter-passcode, cancel-passcode, \
            forget-hosts, restart, unplug-after BYTES SERVICE, unplug-at STAGE, \
            silence SERVICE SECONDS, post NOTIFICATION, afc-fault KIND [COUNT], \
            value DOMAIN KEY VALUE, set trust|passcode|free|find-my VALUE, \
            backup status, backup use PERCENT, backup digest [plain], backup export FOLDER, \
            backup fault clear|no-response|keep-snapshot, backup fault error CODE STAGE, \
            backup fault hang|leave STAGE, backup fault silence SECONDS STAGE, \
            backup fault hostile KIND STAGE, backup fault file-error BLOCK PATH.
            """)

    @Argument(help: "The phone's control socket, or the folder given as --dir.")
    var place: String
    @Argument(help: "The command and its values.")
    var words: [String]
    @Option(help: "Which phone, when the folder has several.")
    var bay: Int?

    func validate() throws {
        guard PhoneControl.isCommand(words) else {
            throw ValidationError("Unknown command: \(words.joined(separator: " "))")
        }
    }

    func run() throws {
        print(try PhoneControl.send(words, to: place, bay: bay))
    }
}
