import AndroidMTP
import ApplePhone
package import BackupCore
import DeviceWorker
import Glibc
import Logging
import USBPresence

/// Builds an installation from its parts: the one file that names device families and lanes.
///
/// A new family is a line in `families` and one in `serveAsWorker`.
package enum Composition {
    /// The installation that a configuration describes.
    package static func box(
        _ configuration: Configuration, in surroundings: Surroundings
    ) throws(ApplianceError) -> Box {
        let clock = BoxClock()
        let store = StateStore(configuration)
        try store.prepare()
        guard let catalog = Catalog.open(path: configuration.state + "/catalog.sqlite") else {
            throw ApplianceError(
                .configuration, "The catalog cannot be made, not even in memory.",
                whatToDo: "Check the state folder's disk and the machine's memory.")
        }
        return Box(
            configuration: configuration, store: store, catalog: catalog, clock: clock,
            families: families(clock),
            log: RunLog.logger(
                configuration,
                isUnderSystemd: surroundings.variables["JOURNAL_STREAM"] != nil))
    }

    private static func families(_ clock: any RunClock) -> [any DeviceFamily] {
        [
            WorkerFamily(.android, clock: clock),
            WorkerFamily(.iphone, clock: clock, watch: MuxListener(clock: clock)),
        ]
    }

    /// A program's start and end: the worker it was started as, else `program`, whose code the
    /// process ends with. To be called first in a synchronous `main` (see ``Interruption/run(_:)``).
    package static func start(_ program: @escaping @Sendable () async -> ExitCode) -> Never {
        Interruption.prepare()
        let arguments = CommandLine.arguments
        // The hidden subcommand that a session with a phone lives in.
        if arguments.count > 1, arguments[1] == "worker" {
            let end: Never? = serveAsWorker(Array(arguments.dropFirst(2)))
            if end == nil { exit(ExitCode.usage.rawValue) }
        }
        Interruption.run(program)
    }

    /// Becomes the worker that `arguments` (behind the hidden subcommand) ask for and never comes
    /// back; nil when they ask for nothing we know.
    private static func serveAsWorker(_ arguments: [String]) -> Never? {
        switch WorkerCommand(arguments: arguments) {
        case .presence(.android): WorkerMain.serve { USBPhones.detect() }
        case .presence(.iphone):
            WorkerMain.serve { ApplePhones.detect(onBus: USBPhones.iPhones()) }
        case .androidMTP(let bus, let address, let vendor, let product):
            WorkerMain.serve { alive throws(DeviceError) in
                try LibMTPLane.open(
                    bus: bus, address: address, vendor: vendor, product: product, alive: alive)
            }
        case .applePhone(let device):
            WorkerMain.serve { alive throws(DeviceError) in
                try ApplePhoneLane.open(device: device, alive: alive)
            }
        case nil: nil
        }
    }
}
