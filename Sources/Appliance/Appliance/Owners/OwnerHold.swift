import BackupCore
import ControlAPI
import Drives
import Logging
import ResticFormat
import ResticRepository

/// One owner's repository while a run of ours works in it: nobody else of this box does, and other
/// programs see a lock on each drive.
struct OwnerHold: Sendable {
    /// What a run needs the repository for.
    enum Purpose: Sendable {
        /// Makes missing repositories, catches the drives up; shared locks.
        case backup
        /// Looks only; shared locks where the drive can take one.
        case check
        /// Repairs; exclusive locks.
        case heal
        /// Removes: exclusive locks, and the drives are caught up before anything goes. A drive
        /// without the repository does not take part.
        case retention
        /// Changes key files; exclusive locks.
        case keys

        /// Whether other programs must stay out, even readers that lock.
        var isExclusive: Bool { [.heal, .retention, .keys].contains(self) }
        /// Whether the drives are brought to the same files first.
        var catchesUp: Bool { self == .backup || self == .retention }
    }

    let owner: OwnerID
    let key: MasterKey
    /// The copies on drives that take part.
    let copies: [DriveBackend]
    /// Drives that do not, and why.
    let behind: [DriveID: BackendError]
    /// What the drives were brought to before the run; nil when none was asked for.
    let catchUp: CatchUpReport?
    /// Files that were removed on purpose and are still on a drive: nothing new may need them.
    let gone: Set<FileName>
    /// The config and keys as the box has them: a copy more than the drives'.
    let seed: RepositorySeed?
    /// What drives lacked or had damaged and were given from the seed.
    let given: [CopyFinding]
    private let locks: [DriveID: RepositoryLock]
    private let boxLock: BoxLock

    init(
        owner: OwnerID, key: MasterKey, copies: [DriveBackend], behind: [DriveID: BackendError],
        catchUp: CatchUpReport?, gone: Set<FileName>, seed: RepositorySeed?,
        given: [CopyFinding], locks: [DriveID: RepositoryLock], boxLock: BoxLock
    ) {
        self.owner = owner
        self.key = key
        self.copies = copies
        self.behind = behind
        self.catchUp = catchUp
        self.gone = gone
        self.seed = seed
        self.given = given
        self.locks = locks
        self.boxLock = boxLock
    }

    /// Whether bytes are the config of this owner's repository.
    var configJudge: ConfigJudge { Box.judge(key) }

    /// Drives from which our lock was taken away, or where others may take it over by now: they
    /// must not be written to any more.
    func unconfirmed() async -> [DriveID] {
        var drives: [DriveID] = []
        for drive in locks.keys where await !isConfirmed(drive) { drives.append(drive) }
        return drives
    }

    /// Whether our lock on a drive, if we have one, still lies there and others respect it.
    func isConfirmed(_ drive: DriveID) async -> Bool { await locks[drive]?.isConfirmed() ?? true }

    /// Gives everything back.
    func release() async {
        for lock in locks.values { await lock.release() }
        boxLock.release()
    }
}

extension Box {
    /// Takes hold of an owner's repository on the drives that are there. It waits for another run
    /// of this box; a drive whose repository a stranger holds, or that fails, does not take part.
    /// It throws when no drive is left.
    func hold(
        _ owner: OwnerID, for purpose: OwnerHold.Purpose, on roster: DriveRoster, wait: Duration,
        events: @escaping RunEventSink
    ) async throws -> OwnerHold {
        let boxLock = try await BoxLock.acquire(
            "owner-\(owner)", in: lockFolder, what: "the backups of \(owner)", wait: wait,
            clock: clock
        ) {
            events(.notice(RunNotice(code: "waiting_for_run", message: Self.waitingForRun)))
        }
        do {
            return try await hold(
                owner, for: purpose, on: roster, under: boxLock, events: events)
        } catch {
            boxLock.release()
            throw error
        }
    }

    private static let waitingForRun = "Another run is at work for this owner; waiting for it."

    private func hold(
        _ owner: OwnerID, for purpose: OwnerHold.Purpose, on roster: DriveRoster,
        under boxLock: BoxLock, events: @escaping RunEventSink
    ) async throws -> OwnerHold {
        let drives = try roster.required()
        // Under the lock, which an erasure holds too.
        guard !store.isErased(owner) else { throw Self.erased(owner) }
        let opened = try await masterKey(of: owner, on: drives)
        if opened.isByWordsOnly { tellDamagedPassword(of: owner, events) }
        let key = opened.key
        let seed = try await seed(of: owner, key: key, on: drives)
        let diary = try LockDiaryFile(store, owner: owner)
        var behind = roster.problems
        var copies: [DriveBackend] = []
        var locks: [DriveID: RepositoryLock] = [:]
        var given: [CopyFinding] = []
        var retired: [DriveID] = []
        let opening = OpeningCopy(
            owner: owner, key: key, purpose: purpose, seed: seed,
            retired: try store.retiredKeys(of: owner), diary: diary, store: store, clock: clock)
        await withTaskGroup(of: (Int, DriveBackend, Result<OpeningCopy.Opened, BackendError>).self)
        {
            group in
            for (position, drive) in drives.enumerated() {
                let copy = drive.repository(owner)
                group.addTask { (position, copy, await opening.run(copy)) }
            }
            var opened: [(Int, DriveBackend)] = []
            for await (position, copy, result) in group {
                switch result {
                case .success(let result):
                    opened.append((position, copy))
                    locks[copy.drive.id] = result.lock
                    given += result.given
                    if result.hasRetired { retired.append(copy.drive.id) }
                case .failure(let error):
                    let drive = copy.drive.id
                    behind[drive] = BackendError(
                        error.code, error.detail, drive: drive, nativeCode: error.nativeCode)
                }
            }
            copies = opened.sorted { $0.0 < $1.0 }.map(\.1)
        }
        if roster.problems.isEmpty, behind.isEmpty { diary.forget(Set(opening.swept)) }
        let hold = OwnerHold(
            owner: owner, key: key, copies: copies, behind: behind, catchUp: nil, gone: [],
            seed: seed, given: given, locks: locks, boxLock: boxLock)
        tellGiven(given, on: roster, events)
        noteRetired(on: retired, of: owner)
        guard !copies.isEmpty else { throw DriveRoster.worst(behind) }
        guard purpose.catchesUp else { return hold }
        return await catchUp(
            hold, on: roster, opening: opening, locks: locks, boxLock: boxLock, events: events)
    }

    private func catchUp(
        _ hold: OwnerHold, on roster: DriveRoster, opening: OpeningCopy,
        locks: [DriveID: RepositoryLock], boxLock: BoxLock, events: @escaping RunEventSink
    ) async -> OwnerHold {
        let work = CaughtUp.Work(
            masterKey: hold.key, validConfig: hold.configJudge,
            isExclusive: opening.purpose.isExclusive, clock: clock
        ) { copy, exclusive async throws(BackendError) in
            try await opening.lock(copy, exclusive: exclusive)
        }
        let done = await work.run(hold.copies, locks: locks) { events(.progress($0)) }
        tellCaughtUp(done.report, on: roster, events)
        for (drive, files) in done.leftOvers.sorted(by: { $0.key < $1.key }) {
            log.notice(
                "\(files.fate.rawValue)",
                metadata: ["drive": "\(drive)", "files": "\(files.count)"])
        }
        return OwnerHold(
            owner: hold.owner, key: hold.key, copies: done.copies,
            behind: hold.behind.merging(done.behind) { _, new in new }, catchUp: done.report,
            gone: done.gone, seed: hold.seed, given: hold.given, locks: done.locks,
            boxLock: boxLock)
    }

    private func tellCaughtUp(
        _ report: CatchUpReport, on roster: DriveRoster, _ events: RunEventSink
    ) {
        for (drive, copied) in report.copied.sorted(by: { $0.key < $1.key }) {
            events(
                .notice(
                    RunNotice(
                        code: "caught_up",
                        message: roster.named(
                            "Drive \(drive) was given \(Counted.files(copied.files)) it lacked."))))
            log.notice(
                "drive caught up",
                metadata: [
                    "drive": "\(drive)", "files": "\(copied.files)", "bytes": "\(copied.bytes)",
                ])
        }
    }

    /// Remembers on which drives key files that were replaced are gone.
    func noteRetired(on drives: [DriveID], of owner: OwnerID) {
        guard !drives.isEmpty else { return }
        // What is not remembered is done once more and harms nothing.
        try? store.rememberRetired(on: drives, of: owner)
        log.notice(
            "replaced keys removed",
            metadata: ["owner": "\(owner)", "drives": "\(drives.count)"])
    }

    private func tellDamagedPassword(of owner: OwnerID, _ events: RunEventSink) {
        log.warning("password damaged", metadata: ["owner": "\(owner)"])
        events(
            .notice(RunNotice(code: "password_damaged", message: OpenedKey.warning(owner))))
    }

    private func tellGiven(
        _ given: [CopyFinding], on roster: DriveRoster, _ events: RunEventSink
    ) {
        for (drive, files) in Dictionary(grouping: given, by: \.drive).sorted(by: {
            $0.key < $1.key
        }) {
            let count = Counted.files(files.count)
            events(
                .notice(
                    RunNotice(
                        code: "keys_given",
                        message: roster.named(
                            "Drive \(drive) was given \(count) of config and keys from the box."))))
            log.warning(
                "config or keys were damaged on a drive",
                metadata: ["drive": "\(drive)", "files": "\(files.count)"])
        }
    }
}

extension DriveRoster {
    /// Of several drives' errors the one that most needs a person.
    static func worst(_ errors: [DriveID: BackendError]) -> BackendError {
        let order = ExitCode.byNeedOfAPerson
        let found = errors.sorted { $0.key < $1.key }.map(\.value).min { left, right in
            (order.firstIndex(of: left.exitCode) ?? order.count)
                < (order.firstIndex(of: right.exitCode) ?? order.count)
        }
        return found ?? BackendError(.absent, "no drive is enrolled")
    }
}
