import BackupCore
import ControlAPI
import Drives
import Foundation
import ResticFormat
import ResticRepository
import Synchronization
import Testing

@testable import Appliance

/// `Box.prune` with its locks, limits and summary.
@Suite struct PruneRunTests {
    /// Commits a snapshot of one file of random bytes, as a run on the drives that are there.
    @discardableResult
    private func backUp(
        _ test: TestBox, _ owner: OwnerID, _ seed: UInt64, byteCount: Int = 100_000
    ) async throws -> ContentID {
        let hold = try await test.box.hold(
            owner, for: .backup, on: try await test.box.roster(), wait: .zero, events: { _ in })
        let repository = try await ResticSnapshotRepository.open(
            backend: RemainingFiles(MirroredBackend(hold.copies), without: hold.gone),
            masterKey: hold.key, options: RepositoryOptions(.writing, clock: test.box.clock))
        var numbers = Seeded(state: seed)
        let piece = Mutex<[UInt8]?>(numbers.bytes(byteCount))
        let saved = try await repository.save(
            ByteSource<DeviceError>(
                next: { () throws(DeviceError) in piece.withLock { $0.take() } }, close: {}))
        let tree = try await repository.save(tree: [
            .file(
                EntryName("file"), modified: .zero, byteCount: saved.byteCount,
                content: saved.content)
        ])
        let draft = SnapshotDraft.of(
            phone: PhoneID(trusted: "android-0123456789abcdef"), capture: .media,
            run: RunID(trusted: "run-\(seed)"), partial: false, tree: tree, parent: nil,
            time: Timestamp(seconds: 1_700_000_000 + Int64(seed)), utcOffsetSeconds: 0,
            hostname: "box")
        let id = try await repository.commit(draft).snapshot.id
        await repository.close()
        await hold.release()
        return id
    }

    private func forget(_ test: TestBox, _ owner: OwnerID, _ ids: [ContentID]) async throws {
        let hold = try await test.box.hold(
            owner, for: .retention, on: try await test.box.roster(), wait: .zero,
            events: { _ in })
        for copy in hold.copies {
            try await copy.retire(ids.map { FileName(.snapshot, $0) }, at: test.box.clock.now())
        }
        await hold.release()
    }

    private func prune(
        _ test: TestBox, _ mode: PruneRequest.Mode = .person, isConfirmed: Bool = true
    ) async -> RunSummary {
        var request = PruneRequest()
        request.mode = mode
        request.waitSeconds = 0
        return await test.box.prune(request, events: { _ in }) { _ in isConfirmed }
    }

    private func files(_ test: TestBox, _ owner: OwnerID) throws -> [[String]] {
        try ["a", "b"].map {
            try FileManager.default.subpathsOfDirectory(atPath: test.repository(owner, on: $0))
                .filter { !$0.hasPrefix("locks") }.sorted()
        }
    }

    @Test func whatWasReadBackStaysVerifiedAfterAPrune() async throws {
        let test = try await TestBox()
        let owner = try await test.owner()
        let first = try await backUp(test, owner, 1)
        let second = try await backUp(test, owner, 2)
        let scrubbed = await test.box.scrub(
            QueryFilter(), ScrubOptions(percent: 100), events: { _ in })
        #expect(scrubbed.exitCode == .done, "\(scrubbed.message)")
        try await forget(test, owner, [first])
        #expect(await prune(test).exitCode == .done)
        for drive in try await test.box.roster().present {
            let copy = Catalog.Copy(drive.id, owner)
            #expect(test.box.catalog.verifiedSnapshots(on: copy) == [second])
            #expect(test.box.catalog.standing(of: copy)?.unverifiedCount == 0)
        }
    }

    @Test func planIsShownAndCarriedOutOnlyWhenWanted() async throws {
        let test = try await TestBox()
        let owner = try await test.owner()
        let first = try await backUp(test, owner, 1)
        try await backUp(test, owner, 2)
        try await forget(test, owner, [first])
        let before = try files(test, owner)
        let dry = await prune(test, .dryRun)
        #expect(dry.exitCode == .done && dry.message == "Nothing was changed.")
        let refused = await prune(test, isConfirmed: false)
        #expect(refused.message == "Nothing was pruned.")
        #expect(try files(test, owner) == before)
        let done = await prune(test)
        #expect(done.exitCode == .done, "\(done.message)")
        guard case .unsigned(let freed)? = done.json["freed_bytes"] else {
            Issue.record("no freed_bytes")
            return
        }
        #expect(freed > 99_000)
        let after = try files(test, owner)
        #expect(after[0] == after[1] && after[0].count < before[0].count)
        #expect(await test.check().exitCode == .done)
        let again = await prune(test)
        #expect(again.message == "There is nothing to prune.")
    }

    @Test func unattendedNoMoreThanAQuarterGoes() async throws {
        let test = try await TestBox()
        let owner = try await test.owner()
        let first = try await backUp(test, owner, 1)
        try await backUp(test, owner, 2)
        try await forget(test, owner, [first])
        let before = try files(test, owner)
        let held = await prune(test, .scheduled)
        #expect(held.exitCode == .held)
        #expect(try files(test, owner) == before)
        for seed in 3..<6 { try await backUp(test, owner, UInt64(seed)) }
        #expect(await prune(test, .scheduled).exitCode == .done)
        #expect(try files(test, owner) != before)
    }

    @Test func withoutAnySnapshotNothingGoes() async throws {
        let test = try await TestBox()
        let owner = try await test.owner()
        try await forget(test, owner, [try await backUp(test, owner, 1)])
        let before = try files(test, owner)
        #expect(await prune(test).exitCode == .held)
        #expect(try files(test, owner) == before)
    }

    @Test func aSingleDriveIsNeverPruned() async throws {
        let test = try await TestBox()
        let owner = try await test.owner()
        let first = try await backUp(test, owner, 1)
        try await backUp(test, owner, 2)
        try await forget(test, owner, [first])
        let before = try files(test, owner)
        try test.rename("b", to: "drawer")
        #expect(await prune(test).exitCode == .noDrive)
        try test.rename("drawer", to: "b")
        #expect(try files(test, owner) == before)
    }

    @Test func aDriveThatSomebodyReadsKeepsEverything() async throws {
        let test = try await TestBox()
        let owner = try await test.owner()
        let first = try await backUp(test, owner, 1)
        try await backUp(test, owner, 2)
        try await forget(test, owner, [first])
        let before = try files(test, owner)
        let key = try await test.box.masterKey(
            of: owner, on: try await test.box.roster().present
        ).key
        let stranger = LockCodec.encode(
            LockRecord(
                time: test.box.clock.now(), utcOffsetSeconds: 0, isExclusive: false,
                hostname: "elsewhere", username: "restic", processID: 7, userID: 0, groupID: 0))
        let file = UnpackedFile.seal(stranger, sealer: Sealer(key), codec: ZstdCodec())
        let path = test.repository(owner, on: "b") + "/locks/\(file.id.hex)"
        try Data(file.bytes).write(to: URL(fileURLWithPath: path))
        #expect(await prune(test).exitCode == .busy)
        #expect(try files(test, owner) == before)
    }
}
