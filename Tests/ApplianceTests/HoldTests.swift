import BackupCore
import Drives
import Foundation
import ResticFormat
import ResticRepository
import Testing

@testable import Appliance

/// What a run does with the drives while it holds an owner's repository.
@Suite struct HoldTests {
    private func hold(_ test: TestBox, _ owner: OwnerID) async throws -> OwnerHold {
        try await test.box.hold(
            owner, for: .backup, on: try await test.box.roster(), wait: .zero, events: { _ in })
    }

    @Test func aDriveWhoseLockWasTakenTakesNothingMore() async throws {
        let test = try await TestBox()
        let owner = try await test.owner()
        let hold = try await hold(test, owner)
        let locks = test.repository(owner, on: "a") + "/locks"
        for name in try names(in: locks) {
            try FileManager.default.removeItem(atPath: locks + "/" + name)
        }
        #expect(await hold.unconfirmed() == [test.first])
        let file = FileName(.index, .sha256(of: [1, 2, 3]))
        for copy in hold.copies {
            guard copy.drive.id == test.first else {
                try await copy.write(file, [1, 2, 3])
                continue
            }
            await #expect(throws: BackendError.self) { try await copy.write(file, [1, 2, 3]) }
        }
        #expect(try names(in: test.repository(owner, on: "a") + "/index").isEmpty)
        await hold.release()
    }

    @Test func temporaryFilesStayWhileAnotherProgramIsAtWork() async throws {
        let test = try await TestBox()
        let owner = try await test.owner()
        let own = try await hold(test, owner)
        await own.release()
        let copy = try #require(own.copies.first { $0.drive.id == test.first })
        let clock = SystemClock()
        let other = try await RepositoryLock.acquire(
            on: copy, masterKey: own.key, exclusive: false, host: .current(), clock: clock,
            memory: ProcessLockMemory(clock: clock),
            diary: LockDiary(willWrite: { _ in }, didRemove: { _ in }))
        let name = String(repeating: "a", count: 64) + "-tmp-1"
        let path = test.repository(owner, on: "a") + "/index/" + name
        try Data([1]).write(to: URL(fileURLWithPath: path))
        try await test.prepare(owner)
        #expect(FileManager.default.fileExists(atPath: path))
        await other.release()
        try await test.prepare(owner)
        #expect(!FileManager.default.fileExists(atPath: path))
    }

    @Test func locksOnADriveThatIsAwayGoWhenItIsBack() async throws {
        let test = try await TestBox()
        let owner = try await test.owner()
        // Never released, as if the run had been killed.
        _ = try await hold(test, owner)
        try test.rename("b", to: "away")
        try await test.prepare(owner)
        try test.rename("away", to: "b")
        let locks = test.repository(owner, on: "b") + "/locks"
        #expect(try names(in: locks).count == 1)
        try await test.prepare(owner)
        #expect(try names(in: locks).isEmpty)
    }
}
