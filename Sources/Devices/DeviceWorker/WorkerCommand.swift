package import BackupCore

/// The arguments of a worker process, behind the hidden subcommand that starts one.
package enum WorkerCommand: Hashable, Sendable {
    /// List the phones of a family that are plugged in and end.
    case presence(PhoneFamily)
    /// Hold a session with the Android phone at this USB address over libmtp.
    case androidMTP(bus: UInt8, address: UInt8, vendor: UInt16, product: UInt16)
    /// Hold a session with the iPhone that usbmuxd has given this number.
    case applePhone(device: UInt32)

    /// The command that opens a session with a detected phone; nil for an iPhone that usbmuxd
    /// has not announced.
    init?(opening phone: DetectedPhone) {
        switch (phone.family, phone.address) {
        case (.android, .usb(let bus, let address, let vendor, let product)):
            self = .androidMTP(bus: bus, address: address, vendor: vendor, product: product)
        case (.iphone, .usbmux(let device, _)): self = .applePhone(device: device)
        default: return nil
        }
    }

    /// The arguments that ``init(arguments:)`` understands; numbers are decimal.
    package var arguments: [String] {
        switch self {
        case .presence(let family): ["presence", family.rawValue]
        case .androidMTP(let bus, let address, let vendor, let product):
            ["android-mtp", "\(bus)", "\(address)", "\(vendor)", "\(product)"]
        case .applePhone(let device): ["apple-phone", "\(device)"]
        }
    }

    /// The captures that a session of this command offers, in the order they should run.
    var captures: [Capture] {
        switch self {
        case .presence: []
        case .androidMTP: [.media]
        // Photos first: they wait for no passcode.
        case .applePhone: [.media, .backup]
        }
    }

    /// The command in `arguments`, or nil when they are no command.
    package init?(arguments: [String]) {
        switch arguments.first {
        case "presence" where arguments.count == 2:
            guard let family = PhoneFamily(rawValue: arguments[1]) else { return nil }
            self = .presence(family)
        case "apple-phone" where arguments.count == 2:
            guard let device = UInt32(arguments[1]) else { return nil }
            self = .applePhone(device: device)
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
