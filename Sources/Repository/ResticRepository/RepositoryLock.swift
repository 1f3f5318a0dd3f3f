package import BackupCore
package import ResticFormat

/// A lock of ours on one drive's repository, in restic's format, kept fresh until released.
///
/// restic on this or another machine respects it, and we respect restic's. Whoever holds one must
/// ignore SIGHUP: `restic unlock` sends that to the process of a lock to see whether it lives, and
/// it ends a program that does not ignore it.
package final class RepositoryLock: Sendable {
    private let keeper: LockKeeper
    /// Owned: it ends with the lock.
    private let refreshing: Task<Void, Never>

    private init(_ keeper: LockKeeper, clock: any RunClock) {
        self.keeper = keeper
        refreshing = Task {
            var pause = LockRules.refreshInterval
            while !Task.isCancelled {
                await clock.sleep(pause)
                if Task.isCancelled { return }
                let succeeded = await keeper.refresh()
                // After a failure more often, because others take the lock over in half an hour.
                pause = succeeded ? LockRules.refreshInterval : .seconds(30)
            }
        }
    }

    deinit { refreshing.cancel() }

    /// Takes the lock, or throws `locked` and says who holds the repository.
    ///
    /// Others are looked for, the lock is written, and after 200 ms others are looked for again,
    /// so that of two that start at once at least one gives way. A left-over of another program
    /// (``LockMemory``) is removed. Ids are told to `diary` before their file is written.
    package static func acquire(
        on backend: any RepositoryBackend, masterKey: MasterKey, exclusive: Bool,
        host: LockHost, clock: any RunClock, memory: any LockMemory, diary: LockDiary,
        newestKnown: Timestamp = .zero
    ) async throws(BackendError) -> RepositoryLock {
        let keeper = LockKeeper(
            backend: backend, masterKey: masterKey, isExclusive: exclusive, host: host,
            clock: clock, memory: memory, diary: diary, newestKnown: newestKnown)
        try await keeper.checkOthers()
        do throws(BackendError) {
            try await keeper.write()
            await clock.sleep(LockRules.settleTime)
            try await keeper.checkOthers()
        } catch {
            await keeper.removeAll()
            throw error
        }
        return RepositoryLock(keeper, clock: clock)
    }

    /// Whether others still respect the lock: false once refreshing has failed for 22.5 minutes,
    /// or when a refresh found that somebody had removed the file.
    /// The holder must then stop writing to this drive.
    package var isTrustworthy: Bool { keeper.isTrustworthy }

    /// As ``isTrustworthy``, after a look at whether the file still lies there: to be asked before
    /// anything is written that refers to what was written before.
    package func isConfirmed() async -> Bool {
        // A drive that cannot tell fails at the write that follows.
        _ = try? await keeper.look()
        return keeper.isTrustworthy
    }

    /// Removes the lock. What cannot be removed stays in the diary for the next run's sweep.
    package func release() async {
        refreshing.cancel()
        // A refresh may be half way, with two files.
        await refreshing.value
        await keeper.removeAll()
    }

    /// Whether there is any lock: after ``sweep(_:on:)`` and before ``acquire`` it is another
    /// program's, which may be writing. Empty files are none (see ``acquire``).
    package static func isAnywhere(
        on backend: any RepositoryBackend
    ) async throws(BackendError) -> Bool {
        try await backend.list(.lock).contains { $0.byteCount > 0 }
    }

    /// Removes locks that earlier runs of ours left; `ids` are those their diaries kept. To be
    /// called only while holding the box's own lock on the repository, so that none is in use.
    /// Gives the ids that are gone now.
    package static func sweep(
        _ ids: [ContentID], on backend: any RepositoryBackend
    ) async throws(BackendError) -> [ContentID] {
        let present = Set(try await backend.list(.lock).map(\.name.id))
        for id in ids where present.contains(id) {
            try await backend.remove(FileName(.lock, id))
        }
        // A lock that a power cut brings back must still be known.
        try await backend.flush()
        return ids
    }
}

/// Where the ids of our own locks are kept, so that the next run finds them after a crash.
package struct LockDiary: Sendable {
    /// Called before a lock file is written; it must be durable when it returns. A throw keeps
    /// the lock from being written.
    package let willWrite: @Sendable (ContentID) throws(BackendError) -> Void
    /// Called when a lock file is gone.
    package let didRemove: @Sendable (ContentID) -> Void

    /// A diary of two closures.
    package init(
        willWrite: @escaping @Sendable (ContentID) throws(BackendError) -> Void,
        didRemove: @escaping @Sendable (ContentID) -> Void
    ) {
        self.willWrite = willWrite
        self.didRemove = didRemove
    }
}
