import BackupCore
import ResticFormat
import Synchronization

/// The files of one lock of ours: writes, looks at others, replaces, removes.
final class LockKeeper: Sendable {
    private struct State {
        /// Lock files of ours that may exist; more than one only while replacing.
        var ids: [ContentID] = []
        var refreshed: Duration
        /// Somebody removed our lock, so others may be at work.
        var isStolen = false
    }

    private let backend: any RepositoryBackend
    private let files: CopyReader
    private let sealer: FileSealer
    private let isExclusive: Bool
    private let host: LockHost
    private let clock: any RunClock
    private let memory: any LockMemory
    private let diary: LockDiary
    private let newestKnown: Timestamp
    private let started: Duration
    private let state: Mutex<State>

    init(
        backend: any RepositoryBackend, masterKey: MasterKey, isExclusive: Bool, host: LockHost,
        clock: any RunClock, memory: any LockMemory, diary: LockDiary, newestKnown: Timestamp
    ) {
        self.backend = backend
        files = CopyReader(backend)
        sealer = FileSealer(masterKey)
        self.isExclusive = isExclusive
        self.host = host
        self.clock = clock
        self.memory = memory
        self.diary = diary
        self.newestKnown = newestKnown
        started = clock.elapsed()
        state = Mutex(State(refreshed: clock.elapsed()))
    }

    var isTrustworthy: Bool {
        let (refreshed, isStolen) = state.withLock { ($0.refreshed, $0.isStolen) }
        return !isStolen && clock.elapsed() - refreshed < LockRules.trustAge
    }

    /// The clock may be wrong (no battery); the newest date in the repository is a lower bound,
    /// from which on time passes.
    private var now: Timestamp {
        let passed = (clock.elapsed() - started).components.seconds
        return max(
            clock.now(),
            Timestamp(
                seconds: newestKnown.seconds + passed, nanoseconds: newestKnown.nanoseconds))
    }

    /// Throws `locked` when another's lock forbids ours, after removing left-overs.
    func checkOthers() async throws(BackendError) {
        let own = state.withLock { $0.ids }
        let listed = try await backend.list(.lock)
        memory.keepOnly(Set(listed.map(\.name.id)))
        // restic too leaves empty locks aside: a power cut made them, nobody wrote them.
        for file in listed where !own.contains(file.name.id) && file.byteCount > 0 {
            guard let lock = try await find(file.name) else { continue }
            if LockRules.isStale(lock, now: now) {
                try await backend.remove(file.name)
            } else if LockRules.conflicts(lock, exclusive: isExclusive) {
                throw BackendError(.locked, "the repository is in use \(Self.holder(lock))")
            }
        }
    }

    /// The lock in a file; nil when the file went away meanwhile.
    private func find(_ name: FileName) async throws(BackendError) -> FoundLock? {
        let knownFor = memory.knownFor(name.id)
        do throws(RepositoryError) {
            let record = try await files.read(name) { bytes throws(FormatError) in
                try LockCodec.decode(sealer.openJSON(bytes, .lock))
            }
            return FoundLock(id: name.id, content: record, unchangedFor: knownFor)
        } catch {
            if error.code == .missing { return nil }
            if error.code == .noDrive, let drive = error.backend { throw drive }
            return FoundLock(id: name.id, content: nil, unchangedFor: knownFor)
        }
    }

    /// Who holds a lock, for people. Another program wrote it, so its text is escaped.
    private static func holder(_ lock: FoundLock) -> String {
        guard let record = lock.content else {
            return "(lock \(lock.id.short) cannot be read)"
        }
        let user = HostileText.escaped(record.username, limit: 64)
        let host = HostileText.escaped(record.hostname, limit: 64)
        return "by process \(record.processID) of \(user) on \(host) (lock \(lock.id.short))"
    }

    /// Writes a lock file and waits until it is there for others.
    func write() async throws(BackendError) {
        let record = LockRecord(
            time: now, utcOffsetSeconds: clock.utcOffsetSeconds(), isExclusive: isExclusive,
            hostname: host.hostname, username: host.username, processID: Int64(host.pid),
            userID: host.uid, groupID: host.gid)
        let file = sealer.seal(json: LockCodec.encode(record))
        try diary.willWrite(file.id)
        state.withLock { $0.ids.append(file.id) }
        try await backend.write(FileName(.lock, file.id), file.bytes)
        try await backend.flush()
        state.withLock { $0.refreshed = clock.elapsed() }
    }

    /// Looks whether a lock of ours still lies there; `restic unlock` of another user removes locks
    /// of programs that live.
    func look() async throws(BackendError) {
        let own = state.withLock { $0.ids }
        let present = Set(try await backend.list(.lock).map(\.name.id))
        state.withLock { state in
            // A refresh may have put another file in its place during the look.
            if present.isDisjoint(with: own + state.ids) { state.isStolen = true }
        }
    }

    /// Writes a new file, then removes the old one; false when that failed.
    func refresh() async -> Bool {
        let old = state.withLock { $0.ids }
        do throws(BackendError) {
            try await look()
            try await write()
        } catch {
            // The lock stays as it is; `isTrustworthy` tells when it has been so for too long.
            return false
        }
        await remove(old)
        return true
    }

    func removeAll() async { await remove(state.withLock { $0.ids }) }

    private func remove(_ ids: [ContentID]) async {
        // What cannot be removed, or may come back with a power cut, stays in the diary, and the
        // next run removes it.
        var removed: [ContentID] = []
        for id in ids {
            guard (try? await backend.remove(FileName(.lock, id))) != nil else { continue }
            state.withLock { state in state.ids.removeAll { $0 == id } }
            removed.append(id)
        }
        // As above.
        guard !removed.isEmpty, (try? await backend.flush()) != nil else { return }
        for id in removed { diary.didRemove(id) }
    }
}
