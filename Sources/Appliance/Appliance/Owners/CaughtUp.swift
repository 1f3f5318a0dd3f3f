package import BackupCore
package import Drives
package import ResticFormat
package import ResticRepository

/// Drives that were brought to the same files before a run, and freed of what was removed on
/// purpose while they were away.
package struct CaughtUp: Sendable {
    /// Takes a lock of ours on a copy; nil where a run goes without one.
    package typealias Locking =
        @Sendable (_ copy: DriveBackend, _ exclusive: Bool) async throws(BackendError)
        -> RepositoryLock?

    /// What became of files that were removed elsewhere.
    enum LeftOver: String {
        case removed = "removed what was removed elsewhere"
        case needed = "removed files are still needed"
        case inUse = "removed files stay for now: the repository is in use"
        case onlyDrive = "removed files stay for now: no other drive is there"
    }

    /// The copies that can take part in the run.
    package private(set) var copies: [DriveBackend]
    /// Drives that cannot, and why.
    package private(set) var behind: [DriveID: BackendError]
    /// The run's locks, as they are now.
    package private(set) var locks: [DriveID: RepositoryLock]
    /// Files that were removed on purpose and are still on a drive: nothing new may need them.
    package private(set) var gone: Set<FileName> = []
    /// What the drives were given.
    package let report: CatchUpReport
    /// By drive, what became of files that were removed elsewhere, and how many they are.
    private(set) var leftOvers: [DriveID: (fate: LeftOver, count: Int)] = [:]

    /// How drives are brought together.
    package struct Work: Sendable {
        private let key: MasterKey
        private let judge: ConfigJudge
        /// Whether the run's locks keep everybody else out.
        private let isExclusive: Bool
        private let clock: any RunClock
        private let lock: Locking

        /// Work on the repository of `masterKey`, which `validConfig` tells from others; `lock`
        /// takes the run's locks, which are exclusive or not.
        package init(
            masterKey: MasterKey, validConfig: @escaping ConfigJudge, isExclusive: Bool,
            clock: any RunClock, lock: @escaping Locking
        ) {
            key = masterKey
            judge = validConfig
            self.isExclusive = isExclusive
            self.clock = clock
            self.lock = lock
        }

        /// Catches `copies` up, which are held under `locks`, and removes what tombstones name,
        /// from each drive under an exclusive lock, which the run's own shared one gives way to
        /// for that time. A drive that somebody else reads keeps its files for now.
        package func run(
            _ copies: [DriveBackend], locks: [DriveID: RepositoryLock],
            progress: CopyProgressSink? = nil
        ) async -> CaughtUp {
            let keeper = ContentKeeper(masterKey: key)
            let report = await CatchUp(copies, validConfig: judge, keeper: keeper)
                .run(progress: progress)
            var result = CaughtUp(
                copies: copies.filter { report.behind[$0.drive.id] == nil },
                behind: report.behind, locks: locks, report: report)
            for copy in result.copies {
                let drive = copy.drive.id
                guard let files = report.leftOver[drive], !files.isEmpty else { continue }
                var fate = LeftOver.onlyDrive
                do throws(BackendError) {
                    // With a single drive, nothing is ever removed.
                    if result.copies.count > 1 {
                        fate = try await remove(files, from: copy, keeper, &result.locks)
                    }
                } catch {
                    result.behind[drive] = error
                }
                if fate != .removed { result.gone.formUnion(files) }
                result.leftOvers[drive] = (fate, files.count)
            }
            result.copies.removeAll { result.behind[$0.drive.id] != nil }
            return result
        }

        private func remove(
            _ files: Set<FileName>, from copy: DriveBackend, _ keeper: ContentKeeper,
            _ locks: inout [DriveID: RepositoryLock]
        ) async throws(BackendError) -> LeftOver {
            guard !isExclusive else { return try await retire(files, copy, keeper) }
            await locks.removeValue(forKey: copy.drive.id)?.release()
            var fate = LeftOver.inUse
            do throws(BackendError) {
                if let own = try await lock(copy, true) {
                    let result = await retiring(files, copy, keeper)
                    await own.release()
                    fate = try result.get()
                }
            } catch let error where error.code == .locked {
                // They stay; the run goes on without them.
            }
            locks[copy.drive.id] = try await lock(copy, false)
            return fate
        }

        /// As ``retire(_:_:_:)``, so that a lock can be given back before its error goes on.
        private func retiring(
            _ files: Set<FileName>, _ copy: DriveBackend, _ keeper: ContentKeeper
        ) async -> Result<LeftOver, BackendError> {
            do throws(BackendError) {
                return .success(try await retire(files, copy, keeper))
            } catch {
                return .failure(error)
            }
        }

        private func retire(
            _ files: Set<FileName>, _ copy: DriveBackend, _ keeper: ContentKeeper
        ) async throws(BackendError) -> LeftOver {
            try await keeper.retire(files, on: copy, at: clock.now()) ? .removed : .needed
        }
    }
}
