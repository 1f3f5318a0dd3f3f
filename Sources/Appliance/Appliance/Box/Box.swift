package import BackupCore
import Drives
import Logging
import ResticFormat

/// One installation at work: its configuration, its state and the parts that do the work.
///
/// Built by ``Composition``; every command is a method in an extension of its own.
package struct Box: Sendable {
    package let configuration: Configuration
    package let store: StateStore
    let catalog: Catalog
    let clock: any RunClock
    let families: [any DeviceFamily]
    let log: Logger
    /// How dear new key files make it to try a password; tests take less.
    var keyCost = ScryptCost.standard
    /// Tests make system calls on drives fail with it.
    var driveFault: DriveFaultHook?

    /// An installation of these parts.
    init(
        configuration: Configuration, store: StateStore, catalog: Catalog, clock: any RunClock,
        families: [any DeviceFamily], log: Logger
    ) {
        self.configuration = configuration
        self.store = store
        self.catalog = catalog
        self.clock = clock
        self.families = families
        self.log = log
    }

    /// What people call the enrolled drives, as the configuration has it: not escaped.
    package var driveNames: [DriveID: String] {
        Dictionary(configuration.drives.map { ($0.id, $0.name) }) { first, _ in first }
    }

    /// The folder of kernel locks.
    var lockFolder: String { store.run + "/locks" }

    /// A new run's id: the time to the second, for people who read a journal, and random digits.
    func newRun() -> RunID {
        let time = RunID.timeText(clock.now())
        return RunID(trusted: "\(time)-\(RandomText.hex(4))")
    }

    /// What a person should know about variables that look like ours and mean nothing.
    package static func warnings(in surroundings: Surroundings) -> [String] {
        Configuration.unknownVariables(in: surroundings).map {
            "The variable \(HostileText.escaped($0, limit: 80)) is not known and changes nothing."
        }
    }
}

extension RunID {
    /// `20261121T034158Z`.
    fileprivate static func timeText(_ time: Timestamp) -> String {
        String(RFC3339Text.seconds(time).filter { $0 != "-" && $0 != ":" })
    }
}
