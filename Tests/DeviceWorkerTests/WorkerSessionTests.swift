import BackupCore
import DeviceTestKit
import Glibc
import Testing

@testable import DeviceWorker

@Suite struct WorkerSessionTests {
    @Test func attributesAndStoragesCrossTheProcess() async throws {
        let session = try await scriptedSession()
        let attributes = try await session.attributes()
        #expect(attributes.identity == "S\nM")
        #expect(attributes.name == "Näme")
        #expect(attributes.batteryPercent == 80)
        let storages = try await session.storages()
        #expect(storages.map(\.handle) == [7])
        #expect(storages.first?.totalBytes == 1 << 40)
        #expect(session.captures == [.media])
        await session.close()
    }

    @Test(arguments: [0, 1, 20_000])
    func listingArrivesWhole(count: UInt64) async throws {
        let session = try await scriptedSession()
        let listing = try await session.list(FolderReference(storage: 7, object: count))
        let entries = listing.entries
        #expect(listing.undescribedCount == Int(count) / 100)
        #expect(entries.count == Int(count))
        #expect(entries.enumerated().allSatisfy { $0.element.object == UInt64($0.offset) })
        if count > 1 {
            #expect(entries[1].name.bytes == Array("file 1".utf8) + [0xFF])
            #expect(entries[0].isFolder && entries[0].byteCount == nil)
            #expect(entries[1].modified == Timestamp(seconds: -99))
        }
        await session.close()
    }

    @Test(arguments: [0, 1, 262_144, 3_000_001])
    func contentArrivesWhole(count: UInt64) async throws {
        let session = try await scriptedSession()
        let bytes = try await allBytes(try await session.read(Script.file(5, count)))
        #expect(bytes.count == Int(count))
        #expect(
            bytes.enumerated().allSatisfy { $0.element == UInt8(truncatingIfNeeded: 5 + $0.offset) }
        )
        await session.close()
    }

    @Test func crashOfTheWorkerIsAnErrorThatNamesTheSignal() async throws {
        let session = try await scriptedSession()
        let error = await deviceError {
            try await session.list(FolderReference(storage: 7, object: Script.crash))
        }
        #expect(error?.code == .workerEnded)
        #expect(error?.detail.contains("SIGSEGV") == true)
        let later = await deviceError { try await session.storages() }
        #expect(later?.code == .workerEnded)
        await session.close()
    }

    @Test func crashWithinAFileIsAnError() async throws {
        let session = try await scriptedSession()
        let error = await deviceError {
            try await allBytes(try await session.read(Script.file(Script.crash, 2_000_000)))
        }
        #expect(error?.code == .workerEnded)
        await session.close()
    }

    @Test func exitOfTheWorkerIsAnErrorThatNamesTheCode() async throws {
        let session = try await scriptedSession()
        let error = await deviceError {
            try await session.list(FolderReference(storage: 7, object: Script.exit))
        }
        #expect(error?.code == .workerEnded)
        #expect(error?.detail.contains("code 3") == true)
        await session.close()
    }

    @Test func phoneThatGoesIsToldAsGone() async throws {
        let session = try await scriptedSession()
        let error = await deviceError {
            try await session.list(FolderReference(storage: 7, object: Script.gone))
        }
        #expect(error?.code == .gone)
        await session.close()
    }

    @Test func hangingListingTimesOutAndEndsTheWorker() async throws {
        let clock = StandingClock()
        let session = try await scriptedSession(clock)
        async let result = deviceError {
            try await session.list(FolderReference(storage: 7, object: Script.hang))
        }
        await clock.untilSomebodySleeps()
        clock.advance(.seconds(121))
        let error = await result
        #expect(error?.code == .timedOut)
        let later = await deviceError { try await session.storages() }
        #expect(later?.code == .timedOut)
        await session.close()
    }

    @Test func signsOfLifeDoNotHoldAListingForEver() async throws {
        let clock = StandingClock()
        let session = try await scriptedSession(clock)
        async let result = deviceError {
            try await session.list(FolderReference(storage: 7, object: Script.aliveForEver))
        }
        await clock.untilSomebodySleeps()
        clock.advance(.seconds(3601))
        #expect(await result?.code == .timedOut)
        await session.close()
    }

    @Test func hangingReadTimesOut() async throws {
        let clock = StandingClock()
        let session = try await scriptedSession(clock)
        let source = try await session.read(Script.file(Script.hang, 2_000_000))
        var received = 0
        // Two frames are sent before it hangs; the third never comes.
        for _ in 0..<2 { received += try await source.next()?.count ?? 0 }
        #expect(received > 500_000)
        async let result = deviceError { try await source.next() }
        await clock.untilSomebodySleeps()
        clock.advance(.seconds(61))
        #expect(await result?.code == .timedOut)
        await source.close()
        await session.close()
    }

    @Test func refusedFileLeavesTheSessionUsable() async throws {
        let session = try await scriptedSession()
        let error = await deviceError {
            try await allBytes(try await session.read(Script.file(Script.refused, 10)))
        }
        #expect(error?.code == .unreadable)
        #expect(error?.nativeCode == 0x2002)
        #expect(try await session.storages().count == 1)
        await session.close()
    }

    @Test func shortContentIsNotedByTheParentToo() async throws {
        let session = try await scriptedSession()
        let error = await deviceError {
            try await allBytes(try await session.read(Script.file(Script.short, 70_000)))
        }
        #expect(error?.code == .wrongSize)
        #expect(try await session.storages().count == 1)
        await session.close()
    }

    @Test func surplusContentEndsTheWorker() async throws {
        let session = try await scriptedSession()
        let error = await deviceError {
            try await allBytes(try await session.read(Script.file(Script.long, 70_000)))
        }
        #expect(error?.code == .protocolViolation)
        #expect(await deviceError { try await session.storages() }?.code == .protocolViolation)
        await session.close()
    }

    @Test func sourceClosedHalfWayKeepsTheSessionUsable() async throws {
        let session = try await scriptedSession()
        for _ in 0..<3 {
            let source = try await session.read(Script.file(Script.endless, nil))
            _ = try await source.next()
            await source.close()
        }
        let bytes = try await allBytes(try await session.read(Script.file(2, 100)))
        #expect(bytes.count == 100)
        await session.close()
    }

    @Test func nextCallGivesUpAnOpenFile() async throws {
        let session = try await scriptedSession()
        let source = try await session.read(Script.file(Script.endless, nil))
        _ = try await source.next()
        #expect(try await session.storages().count == 1)
        #expect(await deviceError { try await source.next() }?.code == .cancelled)
        await source.close()
        await session.close()
    }

    @Test func cancelledCallEndsAndTheSessionCanBeClosed() async throws {
        let clock = StandingClock()
        let session = try await scriptedSession(clock)
        let call = Task {
            await deviceError {
                try await session.list(FolderReference(storage: 7, object: Script.hang))
            }
        }
        await clock.untilSomebodySleeps()
        call.cancel()
        #expect(await call.value?.code == .cancelled)
        #expect(await deviceError { try await session.storages() }?.code == .cancelled)
    }

    @Test func closedSessionRefusesCalls() async throws {
        let session = try await scriptedSession()
        await session.close()
        await session.close()
        #expect(await deviceError { try await session.storages() }?.code == .cancelled)
    }

    @Test func programThatIsMissingIsAnError() async throws {
        let error = await deviceError {
            try await WorkerSession(
                program: WorkerProgram(executable: "/nonexistent", arguments: ["x"]),
                command: .presence(.android), clock: StandingClock())
        }
        #expect(error?.code == .workerEnded)
        #expect(error?.detail.contains("code 127") == true)
    }

    @Test func hangingWorkerIsKilledWhenItDoesNotClose() async throws {
        var deadlines = WorkerDeadlines()
        deadlines.close = .milliseconds(50)
        let clock = StandingClock()
        let session = try await WorkerSession(
            program: helperProgram(), arguments: ["scripted"], clock: clock, deadlines: deadlines)
        let call = Task {
            await deviceError {
                try await session.list(FolderReference(storage: 7, object: Script.hang))
            }
        }
        await clock.untilSomebodySleeps()
        call.cancel()
        _ = await call.value
        await session.close()
        #expect(await deviceError { try await session.storages() }?.code == .cancelled)
    }

    @Test func sessionsLeaveNoProcessAndNoDescriptor() async throws {
        // In a process of its own, where nothing else opens or starts anything.
        let error = await deviceError {
            try await WorkerSession(
                program: helperProgram(), arguments: ["leaks", helperProgram().executable],
                clock: StandingClock(), deadlines: WorkerDeadlines())
        }
        #expect(error?.detail.contains("code 10") == true, "\(String(describing: error))")
    }

    @Test func detectionWorksOnWhateverBusThereIs() async throws {
        let family = WorkerFamily(.android, program: helperProgram(), clock: StandingClock())
        // None on a machine without phones or without a bus; never an error.
        #expect(try await family.detect().allSatisfy { $0.family == .android })
    }

    @Test(arguments: [
        ["presence", "android"], ["presence", "iphone"],
        ["android-mtp", "1", "255", "65535", "4"], ["apple-phone", "4294967295"],
    ])
    func commandsComeBackFromTheirArguments(arguments: [String]) {
        #expect(WorkerCommand(arguments: arguments)?.arguments == arguments)
    }

    @Test(arguments: [
        [], ["presence"], ["presence", "x"], ["android-mtp", "1", "256", "1", "1"],
        ["android-mtp"], ["apple-phone"], ["apple-phone", "-1"], ["other"],
    ])
    func otherArgumentsAreNoCommand(arguments: [String]) {
        #expect(WorkerCommand(arguments: arguments) == nil)
    }
}
