import BackupCore
import Drives
import ResticFormat
import ResticRepository

/// Makes one drive's copy ready for a run: repository there, left-overs gone, lock taken.
struct OpeningCopy: Sendable {
    let owner: OwnerID
    let key: MasterKey
    let purpose: OwnerHold.Purpose
    let seed: RepositorySeed?
    /// Key files that were replaced, which a drive that was away still has.
    let retired: RetiredKeys
    let diary: LockDiaryFile
    /// Own locks of earlier runs, removed from every drive that is there.
    let swept: [ContentID]
    private let store: StateStore
    private let clock: any RunClock

    init(
        owner: OwnerID, key: MasterKey, purpose: OwnerHold.Purpose, seed: RepositorySeed?,
        retired: RetiredKeys, diary: LockDiaryFile, store: StateStore, clock: any RunClock
    ) {
        self.owner = owner
        self.key = key
        self.purpose = purpose
        self.seed = seed
        self.retired = retired
        self.diary = diary
        swept = diary.known
        self.store = store
        self.clock = clock
    }

    /// How a copy was made ready.
    struct Opened: Sendable {
        /// nil where a check goes without one, or where there is no repository to lock.
        var lock: RepositoryLock?
        var given: [CopyFinding] = []
        /// Whether key files that were replaced were removed now.
        var hasRetired = false
    }

    func run(_ copy: DriveBackend) async -> Result<Opened, BackendError> {
        do throws(BackendError) {
            var opened = Opened()
            var isThere = try await copy.isInitialised()
            if !isThere, purpose == .backup, let seed, Box.judge(key)(seed.config) {
                try await copy.initialise(config: seed.config, keys: seed.keys.map { ($0, $1) })
                isThere = true
            }
            guard isThere else {
                // Catching up would make the repository, and nothing would lock it.
                guard purpose != .retention else { throw lacksRepository(copy) }
                return .success(opened)
            }
            opened.lock = try await lock(copy, exclusive: purpose.isExclusive)
            guard purpose != .check, let seed else { return .success(opened) }
            do throws(BackendError) {
                opened.given = try await give(seed, to: copy)
                if retired.isPending(on: copy.drive.id) {
                    try await copy.retireKeys(
                        retired.retired, keeping: retired.kept, at: clock.now())
                    opened.hasRetired = true
                }
            } catch {
                await opened.lock?.release()
                throw error
            }
            return .success(opened)
        } catch {
            return .failure(error)
        }
    }

    private func lacksRepository(_ copy: DriveBackend) -> BackendError {
        BackendError(
            .noSuchFile, "it has no backups of \(owner) yet; a backup brings them there",
            drive: copy.drive.id)
    }

    /// Gives a copy the config and keys that it lacks or has damaged: when every drive lost
    /// them, the box's are the last there are.
    private func give(
        _ seed: RepositorySeed, to copy: DriveBackend
    ) async throws(BackendError) -> [CopyFinding] {
        let judge = Box.judge(key)
        var given: [CopyFinding] = []
        // The config first: nothing but locks is written to a repository without one.
        if judge(seed.config) {
            try await give(.config, seed.config, to: copy, &given, unless: judge)
        }
        for (id, bytes) in seed.keys {
            try await give(FileName(.key, id), bytes, to: copy, &given) {
                ContentID.sha256(of: $0) == id
            }
        }
        if !given.isEmpty { try await copy.flush() }
        return given
    }

    private func give(
        _ file: FileName, _ bytes: [UInt8], to copy: DriveBackend, _ given: inout [CopyFinding],
        unless isGood: (_ found: [UInt8]) -> Bool
    ) async throws(BackendError) {
        var problem = CopyFinding.Problem.wrongHash
        do throws(BackendError) {
            if isGood(try await copy.read(file, range: nil, copy: 0)) { return }
        } catch {
            switch error.code {
            case .noSuchFile: problem = .missing
            case .damaged: break
            // What the medium cannot read is for a repair, which moves it aside unread.
            case .io: return
            default: throw error
            }
        }
        try await copy.write(file, bytes)
        given.append(
            CopyFinding(drive: copy.drive.id, file: file, problem: problem, hasGoodCopy: true))
    }

    /// Takes this box's lock on a copy; nil for a check of a drive that can take none.
    func lock(
        _ copy: DriveBackend, exclusive: Bool
    ) async throws(BackendError) -> RepositoryLock? {
        do throws(BackendError) {
            try await copy.drive.sweep()
            _ = try await RepositoryLock.sweep(swept, on: copy)
            // Beside another program a temporary file may be that one's, and in use.
            if try await RepositoryLock.isAnywhere(on: copy) { copy.leaveTemporaryFiles() }
            try await copy.sweep()
            let lock = try await RepositoryLock.acquire(
                on: copy, masterKey: key, exclusive: exclusive, host: .current(),
                clock: clock,
                memory: LockMemoryFile(store, owner: owner, drive: copy.drive.id, clock: clock),
                diary: diary.diary, newestKnown: try await copy.newestChange())
            // Weakly: the lock itself writes through this copy.
            copy.writeOnly { [weak lock] in lock?.isTrustworthy ?? false }
            return lock
        } catch  where purpose == .check && [.readOnly, .full].contains(error.code) {
            // Looking changes nothing; a drive that can take no lock can still be looked at.
            return nil
        }
    }
}
