import BackupCore
import Drives
import Glibc
import ResticFormat
import Synchronization

/// What the box keeps and no trial takes from it.
struct BoxSeed: Sendable {
    static let drives = [DriveID(trusted: "drive-one"), DriveID(trusted: "drive-two")]
    let repository: NewRepository
    /// The key that the workload "key add" adds.
    let newKey: (id: ContentID, bytes: [UInt8])

    init() {
        let created = Timestamp(seconds: 1_800_000_000)
        repository = NewRepository.make(
            passwords: [TrialStore.password], hostname: "torture", created: created, cost: .forTests
        )
        newKey = KeyFile.make(
            password: "another trial", masterKey: repository.masterKey, hostname: "torture",
            username: "holdfast", created: created, cost: .forTests)
    }

    /// Whether bytes are the repository's config.
    var judge: ConfigJudge {
        let config = repository.config
        return { $0 == config }
    }
}

/// What the box knows at a moment, all of it durable there: what was promised for each drive, and
/// where its own locks may lie.
struct BoxState: Sendable {
    struct Promises: Sendable {
        var isEnrolled = false
        var isInitialised = false
        var snapshots: [ContentID: TrialTree] = [:]
        /// Promised, but the drive has rotted since; a repair makes them good.
        var rotten: [ContentID: TrialTree] = [:]
        /// Removed on purpose; they must stay away.
        var forgotten: Set<ContentID> = []
        var keys: Set<ContentID> = []
        var journal: UInt64 = 0
        var generation: UInt64 = 0
    }

    var drives = [Promises(), Promises()]
    var locks: [ContentID] = []
    /// Whether the owner is to be erased, and nothing else is promised.
    var isErasing = false
    /// The largest share of the packs' bytes that may belong to no snapshot; nil from when a
    /// snapshot was to be removed until a prune has ended.
    var unusedPercent: Int? = 1
    /// The first snapshot that was promised.
    var oldest: ContentID?
    /// Whether the repository's first key gave way to the new one.
    var isRotated = false

    /// Whether the drives hold the same snapshots as far as the box knows.
    var isEven: Bool {
        drives[0].snapshots.keys == drives[1].snapshots.keys && !isRotten
    }

    var isRotten: Bool { drives.contains { !$0.rotten.isEmpty } }
}

/// Two folders that are drives, and the box beside them.
final class Lab: Sendable {
    let folder: String
    let seed: BoxSeed
    let clock: TortureClock
    let faults = FaultPlan()
    private let recording: Recording?
    private let box: Mutex<BoxState>

    init(
        _ folder: String, seed: BoxSeed, clock: TortureClock = TortureClock(),
        box: BoxState = BoxState(), recording: Recording? = nil
    ) {
        self.folder = folder
        self.seed = seed
        self.clock = clock
        self.recording = recording
        self.box = Mutex(box)
    }

    static let drives = [0, 1]

    var state: BoxState { box.withLock { $0 } }

    /// Changes what the box knows.
    func note(_ body: (inout BoxState) -> Void) {
        box.withLock { state in
            body(&state)
            recording?.note(state)
        }
    }

    static func path(_ drive: Int, in folder: String) -> String { "\(folder)/drive-\(drive)" }

    func path(_ drive: Int) -> String { Self.path(drive, in: folder) }

    /// How the drive is opened by runs: with the trial's faults, and recorded.
    func options(_ drive: Int) -> DriveOptions {
        DriveOptions(
            clock: clock, reserveBytes: 0, fault: faults.hook(drive),
            observer: recording?.observer(drive))
    }

    /// How it is opened by judges.
    var plainOptions: DriveOptions { DriveOptions(clock: clock, reserveBytes: 0) }

    /// The number of a drive.
    func number(_ drive: DriveID) -> Int { BoxSeed.drives.firstIndex(of: drive) ?? -1 }
}
