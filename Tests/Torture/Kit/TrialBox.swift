import Appliance
import BackupCore
import BackupEngine
import CSystem
import Drives
import Glibc
import ResticFormat
import ResticRepository
import Synchronization

/// Runs of ours on a ``TrialStore``, put together as the appliance does: the box's lock, locks on
/// the drives, left-overs swept, drives caught up, then the work.
struct TrialBox: Sendable {
    /// What a run came to.
    struct Outcome: Sendable {
        var exitCode: ExitCode
        var message = ""
        /// The snapshot, and the drives on which it is durable.
        var snapshot: ContentID?
        var durable: [String] = []
        var heal: HealReport?
    }

    let store: TrialStore
    /// Asked before each system call on a drive.
    var fault: DriveFaultHook?
    /// How long another run of ours is waited for.
    var wait = Duration.seconds(60)
    /// Whether locks wait for other programs, 0.2 s each; where there are none it is lost time.
    var hasNeighbours = false

    /// Saves `tree` as the phone's content.
    func backup(
        _ tree: TrialTree, run: RunID, pause: Duration = .zero
    ) async throws -> Outcome {
        try await holding(exclusive: false) { hold in
            await catchUp(&hold, exclusive: false)
            let mirror = MirroredBackend(hold.copies, behind: hold.behind)
            let locks = hold.locks
            let repository = try await store.open(
                RemainingFiles(mirror, without: hold.gone), for: .writing
            ) {
                for (drive, lock) in locks where await !lock.isConfirmed() {
                    mirror.drop(
                        drive, because: BackendError(.locked, "its lock was taken", drive: drive))
                }
            }
            var request = BackupRequest(
                run: run, phone: TrialStore.phone, family: .android, owner: TrialStore.owner,
                hostname: "trial")
            request.acceptsShrink = true
            let result = await BackupRun(request, services: services, repository: repository)
                .run(TrialPhone(tree, pause: pause))
            await repository.close()
            await tell(result, run, mirror)
            return outcome(result)
        }
    }

    /// Repairs the drives from each other.
    func heal() async throws -> Outcome {
        try await holding(exclusive: true) { hold in
            let report = await Heal(hold.copies, validConfig: store.judge).run()
            let code: ExitCode =
                report.isWhole ? (hold.behind.isEmpty ? .done : .notEveryDrive) : .damageLost
            return Outcome(exitCode: code, heal: report)
        }
    }

    /// Forgets a snapshot, if one is given, and removes what nothing needs then: on all drives, or
    /// on none.
    func prune(forgetting snapshot: ContentID?) async throws -> Outcome {
        try await holding(exclusive: true) { hold in
            await catchUp(&hold, exclusive: true)
            // Nothing goes from the last drive that could give it back.
            if let error = hold.behind.values.first { throw error }
            let files = snapshot.map { [FileName(.snapshot, $0)] } ?? []
            for copy in hold.copies { try await copy.bury(files, at: TrialStore.clock.now()) }
            for copy in hold.copies { try await copy.retire(files, at: TrialStore.clock.now()) }
            let locks = hold.locks
            var execution = PruneExecution(
                copies: hold.copies, key: store.key, gone: hold.gone, clock: TrialStore.clock,
                isTrusted: { await locks[$0]?.isConfirmed() ?? false }, events: { _ in })
            execution.options.packByteCount = TrialStore.packByteCount
            try await execution.verify(readsAll: false)
            let plan = try await execution.plan()
            // A listing that is empty by mistake looks the same as one without snapshots.
            guard plan.snapshotCount > 0 else { return Outcome(exitCode: .held) }
            if !plan.isEmpty { try await execution.run(plan) }
            return Outcome(exitCode: .done)
        }
    }

    /// Reads everything; nothing is changed but for locks.
    func check() async throws -> Outcome {
        try await holding(exclusive: false) { hold in
            let audit = await CopyAudit(hold.copies, validConfig: store.judge).run(readData: true)
            var isSound = audit.isWhole
            for copy in hold.copies {
                let report = try await StructureCheck(
                    backend: copy, masterKey: store.key, readData: true
                ).run()
                isSound = isSound && report.isSound
            }
            let whole: ExitCode = hold.behind.isEmpty ? .done : .notEveryDrive
            return Outcome(exitCode: isSound ? whole : .damageRecoverable)
        }
    }

    // MARK: Holding the repository

    private struct Hold {
        var copies: [DriveBackend] = []
        var behind: [DriveID: BackendError] = [:]
        var locks: [DriveID: RepositoryLock] = [:]
        /// Files that are on their way out.
        var gone: Set<FileName> = []
        let diary: TrialDiary
    }

    private func holding(
        exclusive: Bool, _ work: (inout Hold) async throws -> Outcome
    ) async throws -> Outcome {
        let boxLock = try await TrialBoxLock.acquire(store.folder, wait: wait)
        defer { boxLock.release() }
        var hold = Hold(diary: TrialDiary(store.folder + "/locks"))
        for name in store.drives {
            do {
                let copy = try await store.copy(on: name, fault: fault)
                // A drive without a repository has nothing to lock yet; the catch-up makes it.
                if try await copy.isInitialised() {
                    hold.locks[copy.drive.id] = try await lock(
                        copy, exclusive: exclusive, hold.diary)
                }
                hold.copies.append(copy)
            } catch let error as BackendError {
                hold.behind[DriveID(trusted: name)] = error
            }
        }
        var result: Result<Outcome, any Error>
        if hold.copies.isEmpty, let worst = hold.behind.values.first {
            result = .success(Outcome(exitCode: worst.exitCode, message: worst.whatHappened))
        } else {
            do { result = .success(try await work(&hold)) } catch { result = .failure(error) }
        }
        for lock in hold.locks.values { await lock.release() }
        return try result.get()
    }

    /// Brings the drives together, by the appliance's own code.
    private func catchUp(_ hold: inout Hold, exclusive: Bool) async {
        let diary = hold.diary
        let work = CaughtUp.Work(
            masterKey: store.key, validConfig: store.judge, isExclusive: exclusive,
            clock: TrialStore.clock
        ) { copy, exclusive async throws(BackendError) in
            try await lock(copy, exclusive: exclusive, diary)
        }
        let done = await work.run(hold.copies, locks: hold.locks)
        (hold.copies, hold.locks, hold.gone) = (done.copies, done.locks, done.gone)
        hold.behind.merge(done.behind) { _, new in new }
    }

    private func lock(
        _ copy: DriveBackend, exclusive: Bool, _ diary: TrialDiary
    ) async throws(BackendError) -> RepositoryLock {
        try await copy.sweep()
        _ = try await RepositoryLock.sweep(diary.known, on: copy)
        return try await RepositoryLock.acquire(
            on: copy, masterKey: store.key, exclusive: exclusive, host: .current(),
            clock: TrialClock(skipsShortSleeps: !hasNeighbours),
            memory: ProcessLockMemory(clock: TrialStore.clock), diary: diary.diary)
    }

    // MARK: The end of a backup

    private func tell(_ report: BackupReport, _ run: RunID, _ mirror: MirroredBackend) async {
        let behind = mirror.behind
        for copy in mirror.copies where behind[copy.drive.id] == nil {
            // As in the appliance, a drive that cannot take it lacks that record only.
            _ = try? await copy.drive.journal.append(
                .run(
                    run, owner: TrialStore.owner, verdict: .safe, exitCode: report.exitCode,
                    counts: []),
                at: TrialStore.clock.now())
            _ = try? await copy.drive.renew()
        }
    }

    private func outcome(_ report: BackupReport) -> Outcome {
        let committed = report.snapshots.first
        let durable = (committed?.copies ?? []).filter { $0.state.isDurable }
        return Outcome(
            exitCode: report.exitCode, message: report.messages.joined(separator: " "),
            snapshot: committed?.snapshot.isPartial == false ? committed?.snapshot.id : nil,
            durable: durable.map(\.drive.rawValue))
    }

    private var services: BackupServices {
        BackupServices(
            clock: TrialStore.clock, hash: { ContentID.sha256(of: $0) }, driveSpace: { [] },
            reconnect: { () async throws(DeviceError) in
                throw DeviceError(.gone, "a trial's phone does not come back")
            },
            events: { _ in })
    }
}

/// The lock between runs of ours on one box; it ends with the process.
struct TrialBoxLock: Sendable {
    private let descriptor: Int32

    static func acquire(_ folder: String, wait: Duration) async throws -> TrialBoxLock {
        let file = holdfast_openat(
            AT_FDCWD, folder + "/box.lock", O_RDWR | O_CREAT | O_CLOEXEC, 0o600)
        let start = TrialStore.clock.elapsed()
        while flock(file, LOCK_EX | LOCK_NB) != 0 {
            guard file >= 0, TrialStore.clock.elapsed() - start < wait else {
                close(file)
                throw BackendError(.locked, "another run of ours is at work")
            }
            await TrialStore.clock.sleep(.milliseconds(20))
        }
        return TrialBoxLock(descriptor: file)
    }

    func release() { close(descriptor) }
}

/// The ids of our own locks, kept so that the next run removes what a killed one left.
final class TrialDiary: Sendable {
    private let path: String
    private let ids: Mutex<[ContentID]>

    init(_ path: String) {
        self.path = path
        ids = Mutex(TrialFiles.text(path).split(separator: "\n").compactMap { ContentID(hex: $0) })
    }

    var known: [ContentID] { ids.withLock { $0 } }

    var diary: LockDiary {
        LockDiary(
            willWrite: { id in
                self.ids.withLock { ids in
                    ids.append(id)
                    // Trials cut no power: what the kernel has is kept.
                    let text = ids.map { $0.hex + "\n" }.joined()
                    TrialFiles.write(self.path + ".new", Array(text.utf8))
                    rename(self.path + ".new", self.path)
                }
            },
            didRemove: { _ in })
    }
}
