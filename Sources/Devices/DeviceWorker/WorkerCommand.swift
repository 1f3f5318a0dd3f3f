/// The arguments of a worker process, behind the hidden subcommand that starts one.
package enum WorkerCommand: Hashable, Sendable {
    /// List the phones on the USB bus and end.
    case presence
    /// Hold a session with the Android phone at this USB address over libmtp.
    case androidMTP(bus: UInt8, address: UInt8, vendor: UInt16, product: UInt16)

    /// The arguments that ``init(arguments:)`` understands; numbers are decimal.
    package var arguments: [String] {
        switch self {
        case .presence: ["presence"]
        case .androidMTP(let bus, let address, let vendor, let product):
            ["android-mtp", "\(bus)", "\(address)", "\(vendor)", "\(product)"]
        }
    }

    /// The command in `arguments`, or nil when they are no command.
    package init?(arguments: [String]) {
        switch arguments.first {
        case "presence" where arguments.count == 1: self = .presence
        case "android-mtp" where arguments.count == 5:
            guard let bus = UInt8(arguments[1]), let address = UInt8(arguments[2]),
                let vendor = UInt16(arguments[3]), let product = UInt16(arguments[4])
            else { return nil }
            self = .androidMTP(bus: bus, address: address, vendor: vendor, product: product)
        default: return nil
        }
    }
}

/// Which program is started as a worker.
package struct WorkerProgram: Hashable, Sendable {
    /// The file to execute, an absolute path.
    package let executable: String
    /// The arguments before the ``WorkerCommand``, the program's own name first.
    package let arguments: [String]

    /// A program that becomes a worker by `arguments` (its name first) and a ``WorkerCommand``.
    package init(executable: String, arguments: [String]) {
        self.executable = executable
        self.arguments = arguments
    }

    /// The running program itself, with its hidden subcommand `worker`.
    package static let this = WorkerProgram(
        executable: "/proc/self/exe", arguments: ["holdfast", "worker"])
}
