import BackupCore
import ControlAPI
import Drives
import Foundation
import ResticFormat
import Synchronization
import Testing

@testable import Appliance

@Suite struct ScrubTests {
    /// Writes packs of made-up bytes to both drives.
    private func fill(_ test: TestBox, _ owner: OwnerID, packs: Range<UInt8>) async throws
        -> [FileName]
    {
        let roster = try await test.box.roster()
        var files: [FileName] = []
        for number in packs {
            let bytes = [UInt8](repeating: number, count: 10_000)
            let file = FileName(.data, .sha256(of: bytes))
            files.append(file)
            for drive in roster.present {
                let copy = drive.repository(owner)
                try await copy.write(file, bytes)
                try await copy.flush()
            }
        }
        return files
    }

    private func scrub(
        _ test: TestBox, _ options: ScrubOptions = ScrubOptions(),
        events: @escaping RunEventSink = { _ in }
    ) async -> RunSummary {
        await test.box.scrub(QueryFilter(), options, events: events)
    }

    private func read(_ summary: RunSummary) -> Int64? {
        summary.details.first { $0.key == "files_checked" }?.value.int64
    }

    @Test func newFilesAreReadAtOnceAndOldOnesByTheirShare() async throws {
        let test = try await TestBox()
        let owner = try await test.owner()
        _ = try await fill(test, owner, packs: 0..<30)
        let first = await scrub(test)
        #expect(first.exitCode == .done, "\(first.message)")
        #expect(read(first) == 64, "30 packs and 2 keys on each drive; listing read the config")
        // A moment later next to nothing of the old is due; what is new is.
        let second = await scrub(test)
        #expect(try #require(read(second)) <= 2)
        _ = try await fill(test, owner, packs: 40..<43)
        let third = await scrub(test)
        #expect((6...8).contains(try #require(read(third))))
        let all = await scrub(test, ScrubOptions(percent: 100))
        #expect(read(all) == 72)
        let half = await scrub(test, ScrubOptions(percent: 50))
        #expect((30...42).contains(try #require(read(half))))
    }

    @Test func damageIsFoundRememberedToldAndForgottenOnceHealed() async throws {
        let test = try await TestBox()
        let owner = try await test.owner()
        let files = try await fill(test, owner, packs: 0..<4)
        #expect(await scrub(test).exitCode == .done)
        #expect(test.box.catalog.verifiedSnapshots(on: .init(test.first, owner)) == [])
        try garble(test.repository(owner, on: "a") + "/" + files[1].relativePath)
        let found = await scrub(test, ScrubOptions(percent: 100))
        #expect(found.exitCode == .damageRecoverable, "\(found.message)")
        // Known without reading it again.
        #expect(await scrub(test, ScrubOptions(percent: 1)).exitCode == .damageRecoverable)
        let drives = try await test.box.driveDocuments(QueryFilter())
        #expect(drives.map(\.damagedFiles) == [1, 0])
        #expect(drives[0].lastVerified == nil && drives[1].lastVerified != nil)
        let status = try await test.box.status(QueryFilter())
        #expect(status.warnings.contains { $0.contains("known to be damaged") })
        try test.remove(files[1], of: owner, from: "b")
        #expect(await scrub(test, ScrubOptions(percent: 100)).exitCode == .damageLost)
        let bytes = [UInt8](repeating: 1, count: 10_000)
        try await test.box.roster().present[1].repository(owner).write(files[1], bytes)
        _ = await test.heal()
        #expect(await scrub(test, ScrubOptions(percent: 100)).exitCode == .done)
        #expect(try await test.box.driveDocuments(QueryFilter())[0].damagedFiles == 0)
    }

    @Test func scrubWaitsWhileARunHoldsAnOwnerAndNeverHoldsItUp() async throws {
        let test = try await TestBox()
        let owner = try await test.owner()
        _ = try await fill(test, owner, packs: 0..<4)
        let lock = Mutex<BoxLock?>(nil)
        let box = test.box
        let held = try await BoxLock.acquire(
            "owner-\(owner)", in: box.lockFolder, what: "a test", wait: .zero, clock: box.clock)
        lock.withLock { $0 = held }
        let summary = await scrub(test) { event in
            // It says that it waits, and only then the run ends.
            if case .notice(let notice) = event, notice.code == "scrub_paused" {
                lock.withLock { $0.take() }?.release()
            }
        }
        #expect(summary.exitCode == .done)
        #expect(lock.withLock { $0 } == nil, "it waited")
        // A run that waits for nobody can begin while a scrub reads.
        let hasBegun = Mutex(false)
        _ = await scrub(test, ScrubOptions(percent: 100)) { event in
            guard case .progress = event, !hasBegun.withLock({ $0 }) else { return }
            hasBegun.withLock { $0 = !BoxLock.isHeld("owner-\(owner)", in: box.lockFolder) }
        }
        #expect(hasBegun.withLock { $0 })
    }

    @Test func twoScrubsDoNotReadTheSame() async throws {
        let test = try await TestBox()
        let box = test.box
        let lock = try await BoxLock.acquire(
            "scrub", in: box.lockFolder, what: "a test", wait: .zero, clock: box.clock)
        #expect(await scrub(test).exitCode == .busy)
        lock.release()
        #expect(await scrub(test).exitCode == .done)
    }

    @Test func aScrubTellsTheJournalFromWhichALostCatalogIsRebuilt() async throws {
        let test = try await TestBox()
        let owner = try await test.owner()
        _ = try await fill(test, owner, packs: 0..<4)
        #expect(await scrub(test).exitCode == .done)
        let copy = Catalog.Copy(test.first, owner)
        for isChanged in [false, true] {
            if isChanged { _ = try await fill(test, owner, packs: 9..<10) }
            let fresh = try test.boxWithoutCatalog()
            _ = try await fresh.roster()
            let standing = try #require(fresh.catalog.standing(of: copy))
            #expect(standing.unverifiedCount == (isChanged ? 8 : 0))
        }
    }

    @Test func aDriveNotReadBackForLongIsAWarning() async throws {
        let test = try await TestBox()
        let owner = try await test.owner()
        let files = try await fill(test, owner, packs: 0..<2)
        #expect(await scrub(test).exitCode == .done)
        func warns() async throws -> Bool {
            try await test.box.status(QueryFilter()).warnings.contains {
                $0.contains("35 days")
            }
        }
        #expect(try await warns() == false)
        let now = test.box.clock.now().seconds
        test.box.catalog.remember(
            good: [files[0]], problems: [:], on: Catalog.Copy(test.second, owner),
            at: Timestamp(seconds: now - 36 * 86_400))
        #expect(try await warns())
        // It is due, however little else is.
        #expect(await scrub(test).exitCode == .done)
        #expect(try await warns() == false)
    }

    @Test func anAbsentDriveIsNamedOnce() async throws {
        let test = try await TestBox()
        _ = try await test.owner()
        try test.rename("b", to: "elsewhere")
        let check = await test.check()
        #expect(check.exitCode == .notEveryDrive)
        let parts = check.message.components(separatedBy: "Drive b")
        #expect(parts.count == 2, "\(check.message)")
    }
}
