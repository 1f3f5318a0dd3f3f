import BackupCore
import ResticFormat
import Synchronization
import Testing

@testable import ResticRepository

@Suite struct LockTests {
    private let backend = MemoryBackend()
    private let clock = ManualClock()
    private let host = LockHost(hostname: "box", username: "holdfast", pid: 42, uid: 1, gid: 1)

    /// Takes a lock; `ids` is what the diary holds afterwards.
    private func acquire(
        _ key: MasterKey, exclusive: Bool, memory: (any LockMemory)? = nil,
        ids: Diary = Diary()
    ) async throws(BackendError) -> RepositoryLock {
        try await RepositoryLock.acquire(
            on: backend, masterKey: key, exclusive: exclusive, host: host, clock: clock,
            memory: memory ?? ProcessLockMemory(clock: clock), diary: ids.closures)
    }

    /// Puts another program's lock into the repository.
    private func writeForeign(
        _ key: MasterKey, exclusive: Bool, age: Int64 = 0, hostname: String = "laptop"
    ) async throws {
        let file = foreign(key, exclusive: exclusive, age: age, hostname: hostname)
        try await backend.write(FileName(.lock, file.id), file.bytes)
    }

    private func foreign(
        _ key: MasterKey, exclusive: Bool, age: Int64 = 0, hostname: String = "laptop"
    ) -> (id: ContentID, bytes: [UInt8]) {
        let now = clock.now()
        let record = LockRecord(
            time: Timestamp(seconds: now.seconds - age), isExclusive: exclusive,
            hostname: hostname, username: "eve\u{1B}[31m", processID: 7)
        return UnpackedFile.seal(
            LockCodec.encode(record), sealer: Sealer(key), codec: ZstdCodec())
    }

    @Test(arguments: [
        (false, false, true), (false, true, false), (true, false, false), (true, true, false),
    ])
    func onlySharedLocksStandBesideEachOther(
        theirs: Bool, ours: Bool, isGranted: Bool
    ) async throws {
        let key = MasterKey.random()
        try await writeForeign(key, exclusive: theirs)
        do throws(BackendError) {
            let lock = try await acquire(key, exclusive: ours)
            #expect(isGranted)
            #expect(backend.names(.lock).count == 2)
            await lock.release()
        } catch {
            #expect(!isGranted)
            #expect(error.code == .locked)
            #expect(error.detail.contains("laptop") && error.detail.contains("7"))
            #expect(!error.detail.contains("\u{1B}"), "a name reached a terminal unescaped")
        }
        #expect(backend.names(.lock).count == 1, "ours is gone, theirs is left")
    }

    @Test func ofTwoThatStartAtOnceTheOneThatSeesTheOtherGivesWay() async throws {
        let key = MasterKey.random()
        let file = foreign(key, exclusive: true)
        let ids = Diary()
        // After the first look, before ours is written.
        ids.onWrite.withLock { hook in
            hook = { [backend] _ in
                backend.state.withLock { $0.copies[0][FileName(.lock, file.id)] = file.bytes }
            }
        }
        let error = await #expect(throws: BackendError.self) {
            _ = try await acquire(key, exclusive: false, ids: ids)
        }
        #expect(error?.code == .locked)
        #expect(backend.names(.lock) == [FileName(.lock, file.id)], "ours is gone")
        #expect(ids.written == 1 && ids.ids.isEmpty)
    }

    @Test func ownIdsAreInTheDiaryBeforeTheFileIsThere() async throws {
        let key = MasterKey.random()
        let ids = Diary()
        let backend = backend
        ids.onWrite.withLock { check in
            check = { id in
                #expect(!backend.names(.lock).contains(FileName(.lock, id)))
            }
        }
        let lock = try await acquire(key, exclusive: false, ids: ids)
        #expect(ids.ids.map { FileName(.lock, $0) } == backend.names(.lock))
        await lock.release()
        #expect(ids.ids.isEmpty && backend.names(.lock).isEmpty)
    }

    @Test func staleNeedsBothClocks() {
        let now = Timestamp(seconds: 1_800_000_000)
        func lock(age: Int64, seen: Int64, readable: Bool = true) -> FoundLock {
            let record = LockRecord(
                time: Timestamp(seconds: now.seconds - age), isExclusive: true, hostname: "h",
                username: "u", processID: 1)
            return FoundLock(
                id: ContentID.sha256(of: [1]), content: readable ? record : nil,
                unchangedFor: .seconds(seen))
        }
        #expect(!LockRules.isStale(lock(age: 31 * 60, seen: 34 * 60), now: now))
        #expect(!LockRules.isStale(lock(age: 29 * 60, seen: 36 * 60), now: now))
        #expect(LockRules.isStale(lock(age: 31 * 60, seen: 36 * 60), now: now))
        // Our clock jumped twenty years ahead: no lock is stolen for that.
        #expect(!LockRules.isStale(lock(age: 20 * 365 * 86_400, seen: 60), now: now))
        #expect(!LockRules.isStale(lock(age: 0, seen: 34 * 60, readable: false), now: now))
        #expect(LockRules.isStale(lock(age: 0, seen: 36 * 60, readable: false), now: now))
    }

    @Test func leftOverOfAnotherProgramIsRemovedOnceWatchedLongEnough() async throws {
        let key = MasterKey.random()
        let memory = ProcessLockMemory(clock: clock)
        try await writeForeign(key, exclusive: true, age: 3600)
        await #expect(throws: BackendError.self) {
            _ = try await acquire(key, exclusive: false, memory: memory)
        }
        clock.advance(.seconds(36 * 60))
        let lock = try await acquire(key, exclusive: true, memory: memory)
        #expect(backend.names(.lock).count == 1)
        await lock.release()
    }

    /// The clock of a box without a battery, or of the program that left the lock, may show any
    /// year: a lock that was not watched lying still is never taken for a left-over, and one from
    /// the future is left to a person.
    @Test(arguments: [(0 as Int64, true), (4_102_444_800, false)])
    func lockDatedByAWrongClockIsRespectedUntilBothClocksCallItOld(
        seconds: Int64, isRemovedInTheEnd: Bool
    ) async throws {
        let key = MasterKey.random()
        let memory = ProcessLockMemory(clock: clock)
        try await writeForeign(key, exclusive: true, age: clock.now().seconds - seconds)
        for wait in [Duration.zero, .seconds(34 * 60)] {
            clock.advance(wait)
            await #expect(throws: BackendError.self) {
                _ = try await acquire(key, exclusive: false, memory: memory)
            }
        }
        clock.advance(.seconds(2 * 60))
        do throws(BackendError) {
            let lock = try await acquire(key, exclusive: true, memory: memory)
            #expect(isRemovedInTheEnd)
            await lock.release()
        } catch {
            #expect(!isRemovedInTheEnd && error.code == .locked)
        }
        #expect(backend.names(.lock).count == (isRemovedInTheEnd ? 0 : 1))
    }

    @Test func ownLockIsNeverOlderThanTheRepository() async throws {
        let key = MasterKey.random()
        let newest = Timestamp(seconds: clock.now().seconds + 1_000_000)
        let lock = try await RepositoryLock.acquire(
            on: backend, masterKey: key, exclusive: false, host: host, clock: clock,
            memory: ProcessLockMemory(clock: clock), diary: Diary().closures, newestKnown: newest)
        #expect(try await time(of: backend.names(.lock).first, key) == newest)
        // Refreshed six minutes later it is six minutes newer, though the clock is still behind.
        await clock.waitForSleeper()
        clock.advance(.seconds(360))
        await clock.waitForSleeper()
        #expect(
            try await time(of: backend.names(.lock).first, key)
                == Timestamp(seconds: newest.seconds + 360))
        await lock.release()
    }

    private func time(of file: FileName?, _ key: MasterKey) async throws -> Timestamp {
        let bytes = try await backend.read(try #require(file), range: nil, copy: 0)
        return try LockCodec.decode(
            UnpackedFile.open(bytes, sealer: Sealer(key), codec: ZstdCodec())
        ).time
    }

    @Test func emptyLockIsNobodys() async throws {
        #expect(try await !RepositoryLock.isAnywhere(on: backend))
        try await backend.write(FileName(.lock, .sha256(of: [])), [])
        #expect(try await !RepositoryLock.isAnywhere(on: backend))
        try await writeForeign(MasterKey.random(), exclusive: false)
        #expect(try await RepositoryLock.isAnywhere(on: backend))
    }

    @Test func lockIsRefreshedByANewFileBeforeTheOldOneGoes() async throws {
        let key = MasterKey.random()
        let ids = Diary()
        let lock = try await acquire(key, exclusive: false, ids: ids)
        let first = backend.names(.lock)
        for round in 1...3 {
            await clock.waitForSleeper()
            clock.advance(.seconds(301))
            // The next sleeper means that the refresh is done.
            await clock.waitForSleeper()
            #expect(backend.names(.lock).count == 1 && backend.names(.lock) != first)
            #expect(ids.written == round + 1)
            #expect(lock.isTrustworthy)
        }
        let log = backend.state.withLock { $0.log.filter { $0 != "flush" } }
        #expect(
            log == ["write locks"] + ["write locks", "remove locks"] + [
                "write locks", "remove locks",
            ] + ["write locks", "remove locks"])
        await lock.release()
        #expect(backend.names(.lock).isEmpty)
    }

    @Test func lockThatCannotBeRefreshedIsNotTrusted() async throws {
        let key = MasterKey.random()
        let lock = try await acquire(key, exclusive: false)
        backend.state.withLock { $0.writesLeft = 0 }
        await clock.waitForSleeper()
        clock.advance(.seconds(22 * 60))
        #expect(lock.isTrustworthy)
        await clock.waitForSleeper()
        clock.advance(.seconds(31))
        #expect(!lock.isTrustworthy)
        await lock.release()
    }

    @Test func lockThatSomebodyRemovedIsNotTrusted() async throws {
        let key = MasterKey.random()
        let lock = try await acquire(key, exclusive: true)
        for name in backend.names(.lock) { try await backend.remove(name) }
        await clock.waitForSleeper()
        clock.advance(.seconds(301))
        await clock.waitForSleeper()
        #expect(!lock.isTrustworthy)
        await lock.release()
        #expect(backend.names(.lock).isEmpty)
    }

    @Test func aLookFindsThatSomebodyRemovedTheLock() async throws {
        let lock = try await acquire(MasterKey.random(), exclusive: false)
        #expect(await lock.isConfirmed())
        for name in backend.names(.lock) { try await backend.remove(name) }
        #expect(lock.isTrustworthy, "nobody has looked yet")
        #expect(await !lock.isConfirmed())
        #expect(!lock.isTrustworthy)
        await lock.release()
    }

    @Test func sweepRemovesOwnLocksOnly() async throws {
        let key = MasterKey.random()
        let ids = Diary()
        _ = try await acquire(key, exclusive: false, ids: ids)
        try await writeForeign(key, exclusive: false)
        let gone = try await RepositoryLock.sweep(
            ids.ids + [ContentID.sha256(of: [9])], on: backend)
        #expect(gone.count == 2)
        #expect(backend.names(.lock).count == 1)
    }

    @Test func lockWhoseRemovalMayComeBackStaysInTheDiary() async throws {
        let key = MasterKey.random()
        let ids = Diary()
        let lock = try await acquire(key, exclusive: false, ids: ids)
        backend.state.withLock { $0.flushFails = true }
        await lock.release()
        #expect(backend.names(.lock).isEmpty && ids.ids.count == 1)
        await #expect(throws: BackendError.self) {
            _ = try await RepositoryLock.sweep(ids.ids, on: backend)
        }
        backend.state.withLock { $0.flushFails = false }
        #expect(try await RepositoryLock.sweep(ids.ids, on: backend) == ids.ids)
    }

    @Test func diaryThatCannotBeWrittenKeepsTheLockFromBeingWritten() async throws {
        let key = MasterKey.random()
        let diary = LockDiary(
            willWrite: { _ throws(BackendError) in throw BackendError(.full, "no space is left") },
            didRemove: { _ in })
        await #expect(throws: BackendError.self) {
            _ = try await RepositoryLock.acquire(
                on: backend, masterKey: key, exclusive: false, host: host, clock: clock,
                memory: ProcessLockMemory(clock: clock), diary: diary)
        }
        #expect(backend.names(.lock).isEmpty)
    }
}

/// A diary in memory.
final class Diary: Sendable {
    private let state = Mutex<(ids: [ContentID], written: Int)>(([], 0))
    let onWrite = Mutex<@Sendable (ContentID) -> Void>({ _ in })

    var ids: [ContentID] { state.withLock { $0.ids } }
    var written: Int { state.withLock { $0.written } }

    var closures: LockDiary {
        LockDiary(
            willWrite: { id throws(BackendError) in
                self.onWrite.withLock { $0(id) }
                self.state.withLock { state in
                    state.ids.append(id)
                    state.written += 1
                }
            },
            didRemove: { id in self.state.withLock { $0.ids.removeAll { $0 == id } } })
    }
}
