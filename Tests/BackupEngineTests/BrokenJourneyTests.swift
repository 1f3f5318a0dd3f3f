import BackupCore
import BackupEngine
import TestKit
import Testing

/// Phones that go away, lock themselves, lie or break off, and runs that are cancelled.
@Suite struct BrokenJourneyTests {
    /// 12 files in 9 folders: 9 listings and 12 reads.
    static let calls = 21

    @Test(arguments: 1...calls)
    func unpluggedAtAnyEntryTheRunGoesOnWhenItIsBack(call: Int) async throws {
        let world = World.filled(files: 12)
        world.phone.faults.unplugAtCalls = [call]
        world.phone.faults.returnAfterTries = 3
        let report = await world.backup()
        #expect(report.exitCode == .done)
        #expect(report.files.new == 12)
        #expect(try await world.newestFiles() == world.phone.allFiles())
        #expect(world.events.notices.contains("phone_back"))
        let opened = world.phone.takeOpened()
        #expect(opened.count <= 13, "at most one file is read twice")
        #expect(try await world.repository.snapshots().count == 1)
    }

    @Test(arguments: 1...calls)
    func unpluggedForGoodWhatWasReadIsKeptAndTheNextRunReadsTheRest(call: Int) async throws {
        let world = World.filled(files: 12)
        world.phone.faults.unplugAtCalls = [call]
        world.phone.faults.returnAfterTries = nil
        let report = await world.backup()
        #expect(report.exitCode == .partial)
        #expect(report.verdict(enrolledDrives: 2) == .partial)
        let reads = max(0, call - 10)
        let progress = call < 10 ? "ended:" : "after \(reads) of 12 files"
        #expect(report.messages.first?.contains(progress) == true)
        let saved = try await world.newestFiles()
        #expect(report.files.new == saved.count)
        #expect(report.snapshots.allSatisfy { $0.snapshot.isPartial })
        #expect(saved.allSatisfy { world.phone.allFiles()[$0.key] == $0.value })
        _ = world.phone.takeOpened()
        world.phone.faults = PhoneFaults()
        let next = await world.backup()
        #expect(next.exitCode == .done)
        #expect(world.phone.takeOpened().count == 12 - saved.count)
        #expect(try await world.newestFiles() == world.phone.allFiles())
    }

    @Test(arguments: 1...25 as ClosedRange<UInt64>)
    func unpluggedAtAnyByteNothingHalfIsKept(seed: UInt64) async throws {
        var numbers = SeededNumbers(seed: seed)
        let world = World.filled(files: 12, seed: seed)
        let total = world.phone.allFiles().values.reduce(0) { $0 + UInt64($1.count) }
        world.phone.faults.unplugAtBytes = UInt64.random(in: 0..<total, using: &numbers)
        world.phone.faults.returnAfterTries = seed % 2 == 0 ? nil : 1
        let report = await world.backup()
        let saved = try await world.newestFiles()
        let all = world.phone.allFiles()
        #expect(saved.allSatisfy { all[$0.key] == $0.value }, "seed \(seed)")
        #expect(report.exitCode == (seed % 2 == 0 ? .partial : .done), "seed \(seed)")
        world.phone.faults = PhoneFaults()
        #expect(await world.backup().exitCode == .done)
        #expect(try await world.newestFiles() == all, "seed \(seed)")
    }

    @Test func aSecondPartialLosesNothingOfTheFirst() async throws {
        let world = World.filled(files: 12)
        world.phone.faults.unplugAtCalls = [20]
        world.phone.faults.returnAfterTries = nil
        await world.backup()
        let first = try await world.newestFiles().count
        world.phone.faults.unplugAtCalls = [3]
        await world.backup()
        world.phone.faults.unplugAtCalls = [10]
        await world.backup()
        #expect(try await world.newestFiles().count == first)
        _ = world.phone.takeOpened()
        world.phone.faults = PhoneFaults()
        await world.backup()
        #expect(world.phone.takeOpened().count == 12 - first)
    }

    @Test func anotherPhoneInTheSocketDoesNotGoOn() async throws {
        let world = World.filled(files: 12)
        world.phone.faults.unplugAtCalls = [15]
        world.phone.onCall { [phone = world.phone] call in
            if call == 15 { phone.becomeAnother() }
        }
        let report = await world.backup()
        #expect(report.exitCode == .partial)
    }

    @Test func aFileThatBreaksTheConnectionEachTimeIsLeftOut() async throws {
        let world = World.filled(files: 12)
        world.phone.faults.unplugsAt = "/Internal/Download/file2.jpg"
        let report = await world.backup()
        #expect(report.exitCode == .someUnreadable)
        #expect(report.skipped.map { $0.path.description } == ["/Internal/Download/file2.jpg"])
        #expect(report.files.new == 11)
        #expect(report.snapshots.first?.snapshot.isPartial == false)
    }

    @Test func aPhoneThatBreaksAtEveryListingEnds() async throws {
        let world = World.filled(files: 4)
        world.phone.faults.unplugAtCalls = Set(1...10_000)
        let report = await world.backup()
        #expect(report.exitCode == .phone)
        #expect(report.snapshots.isEmpty)
    }

    @Test(arguments: [0, 5, 12, 18])
    func aPhoneThatLocksItselfIsWaitedFor(call: Int) async throws {
        let world = World.filled(files: 12)
        world.phone.faults.lockAtCall = call
        world.phone.faults.unlockAfterPolls = 4
        let report = await world.backup()
        #expect(report.exitCode == .done)
        #expect(world.events.notices.contains("waiting_for_user"))
        #expect(try await world.newestFiles() == world.phone.allFiles())
    }

    @Test(arguments: 1...9, [1, 3])
    func aPhoneThatListsNothingWhileLockedLosesNothing(call: Int, polls: Int) async throws {
        let world = World.filled(files: 12)
        await world.backup()
        world.phone.faults.lockAtCall = call
        world.phone.faults.unlockAfterPolls = polls
        world.phone.faults.listsNothingWhenLocked = true
        let report = await world.backup()
        #expect(report.exitCode == .done)
        #expect(report.files.removed == 0)
        #expect(try await world.newestFiles() == world.phone.allFiles())
    }

    @Test func aPhoneThatIsNeverUnlockedIsNoEmptyPhone() async throws {
        let world = World.filled(files: 12)
        await world.backup()
        world.phone.faults.lockAtCall = 0
        world.phone.faults.unlockAfterPolls = nil
        let report = await world.backup { $0.wait = .seconds(30) }
        #expect(report.exitCode == .waitingRanOut)
        #expect(report.snapshots.isEmpty)
        #expect(report.messages.first?.contains("choose File transfer") == true)
        #expect(world.clock.elapsed() <= .seconds(32))
    }

    @Test func aPhoneThatIsNeverReachedIsAWaitThatRanOut() async throws {
        let world = World.filled(files: 2)
        world.phone.faults.returnAfterTries = nil
        let session = world.phone.session()
        let run = world.run()
        world.phone.unplug()
        let report = await run.run(session)
        #expect(report.exitCode == .waitingRanOut)
        #expect(world.clock.elapsed() <= .seconds(122))
    }

    @Test func aCheckpointIsWrittenEveryFiveMinutes() async throws {
        let world = World.filled(files: 12)
        world.phone.onCall { [clock = world.clock] _ in clock.advance(by: .seconds(100)) }
        let report = await world.backup()
        #expect(report.exitCode == .done)
        #expect(report.statistics.packs > 2)
    }

    @Test func aPhoneLockedAgainForGoodKeepsWhatWasRead() async throws {
        let world = World.filled(files: 12)
        world.phone.faults.lockAtCall = 18
        world.phone.faults.unlockAfterPolls = nil
        let report = await world.backup()
        #expect(report.exitCode == .waitingRanOut)
        #expect(report.snapshots.first?.snapshot.isPartial == true)
    }

    @Test(arguments: [
        (DeviceError.Code.protocolViolation, ExitCode.phone), (.limitExceeded, .phoneLimit),
    ])
    func aHostileFrameEndsTheCaptureWithoutASnapshot(
        code: DeviceError.Code, exit: ExitCode
    ) async throws {
        let world = World.filled(files: 12)
        world.phone.faults.breaks = (15, DeviceError(code, "The phone answered nonsense"))
        let report = await world.backup()
        #expect(report.exitCode == exit)
        #expect(try await world.repository.snapshots().isEmpty)
        #expect(report.messages.count == 1)
    }

    @Test(arguments: [4, 10, 14, 19, 21])
    func aCancelledRunWritesAPartialSnapshot(call: Int) async throws {
        let world = World.filled(files: 12)
        let report = await Self.cancelled(world, at: call)
        #expect(report.exitCode == .interrupted)
        let saved = try await world.newestFiles()
        #expect(saved.count < 12)
        #expect(report.snapshots.count == (saved.isEmpty ? 0 : 1))
        #expect(report.snapshots.allSatisfy { $0.snapshot.isPartial })
        #expect(world.phone.calls == call, "nothing is asked of the phone any more")
        world.phone.onCall(nil)
        #expect(await world.backup().exitCode == .done)
        #expect(try await world.newestFiles() == world.phone.allFiles())
    }

    @Test func aRunCancelledWhileItWaitsEndsAtOnce() async throws {
        let world = World.filled(files: 2)
        world.phone.faults.lockAtCall = 0
        world.phone.faults.unlockAfterPolls = nil
        let run = world.run()
        let session = world.phone.session()
        let task = Task { await run.run(session) }
        task.cancel()
        #expect(await task.value.exitCode == .interrupted)
        #expect(try await world.repository.snapshots().isEmpty)
    }

    @Test(arguments: [0, 4, 12, 15])
    func noDriveLeftEndsTheRunWithoutASnapshot(writes: Int) async throws {
        let world = World.filled(files: 12)
        let full = RepositoryError(BackendError(.full, "the drive is full"))
        await world.repository.fail(after: writes, with: full)
        let report = await world.backup()
        #expect(report.exitCode == .driveFull)
        #expect(report.snapshots.isEmpty)
        await world.repository.fail(after: nil)
        #expect(await world.backup().exitCode == .done)
    }

    @Test func aDriveThatFellBehindIsToldAndTheRunIsDone() async throws {
        let world = World.filled(files: 3)
        let drive = DriveID(trusted: "b")
        await world.repository.setCopies([
            CopyReceipt(drive: DriveID(trusted: "a"), state: .durable),
            CopyReceipt(
                drive: drive, state: .behind(BackendError(.absent, "it is away", drive: drive))),
        ])
        let report = await world.backup()
        #expect(report.exitCode == .notEveryDrive)
        #expect(report.verdict(enrolledDrives: 2) == .oneDrive)
        #expect(report.messages.first?.contains("Drive b") == true)
    }

    private static func cancelled(_ world: World, at call: Int) async -> BackupReport {
        let run = world.run()
        let session = world.phone.session()
        let started = AsyncStream<Void>.makeStream()
        let task = Task {
            for await _ in started.stream { break }
            return await run.run(session)
        }
        world.phone.onCall { number in
            if number == call { task.cancel() }
        }
        started.continuation.yield()
        started.continuation.finish()
        return await task.value
    }
}
