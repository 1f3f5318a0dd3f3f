import BackupCore
import ControlAPI
import Drives
import Foundation
import ResticFormat
import ResticRepository
import Synchronization
import Testing

@testable import Appliance

@Suite struct ForgetTests {
    private let phone = PhoneID(trusted: "android-0123456789abcdef")

    /// Commits a snapshot a day and tells the journals, as a backup does; oldest first.
    @discardableResult
    private func backUp(
        _ test: TestBox, _ owner: OwnerID, days: Int, from first: Int64 = 1_700_000_000,
        partial: Bool = false
    ) async throws -> [Snapshot] {
        let hold = try await test.box.hold(
            owner, for: .backup, on: try await test.box.roster(), wait: .zero, events: { _ in })
        let repository = try await ResticSnapshotRepository.open(
            backend: MirroredBackend(hold.copies), masterKey: hold.key,
            options: RepositoryOptions(.writing, clock: test.box.clock))
        let tree = try await repository.save(tree: [])
        var made: [Snapshot] = []
        for day in 0..<days {
            let run = RunID(trusted: "run-\(first)-\(day)")
            let draft = SnapshotDraft.of(
                phone: phone, capture: .media, run: run, partial: partial, tree: tree,
                parent: nil, time: Timestamp(seconds: first + Int64(day) * 86_400),
                utcOffsetSeconds: 0, hostname: "box")
            made.append(try await repository.commit(draft).snapshot)
            for copy in hold.copies {
                try await copy.drive.journal.append(
                    .committed(
                        owner: owner, snapshot: made[day].id, phone: phone, capture: .media,
                        run: run, isComplete: !partial), at: draft.time)
            }
        }
        await repository.close()
        await hold.release()
        return made
    }

    private func rules(
        _ mode: ForgetOptions.Mode = .person, _ adjust: (inout RetentionPolicy) -> Void
    ) -> ForgetOptions {
        var options = ForgetOptions()
        options.mode = mode
        options.waitSeconds = 0
        adjust(&options.policy)
        return options
    }

    private func forget(
        _ test: TestBox, _ options: ForgetOptions, isConfirmed: Bool = true
    ) async -> RunSummary {
        await test.box.forget(options, events: { _ in }) { _ in isConfirmed }
    }

    /// The snapshots that each drive lists.
    private func listed(_ test: TestBox, _ owner: OwnerID) throws -> [[String]] {
        try ["a", "b"].map { try names(in: test.repository(owner, on: $0) + "/snapshots") }
    }

    private func forgotten(_ summary: RunSummary) -> Int64? {
        guard case .integer(let count)? = summary.json["forgotten"] else { return nil }
        return count
    }

    @Test func whatNoRuleKeepsGoesFromEveryDriveAndStaysAway() async throws {
        let test = try await TestBox()
        let owner = try await test.owner()
        let made = try await backUp(test, owner, days: 10)
        let summary = await forget(test, rules { $0.last = 3 })
        #expect(summary.exitCode == .done, "\(summary.message)")
        #expect(forgotten(summary) == 7 && summary.message.contains("holdfast prune"))
        let left = made.suffix(3).map(\.id.hex).sorted()
        #expect(try listed(test, owner) == [left, left])
        // Catching up does not bring back what is named by a tombstone.
        try await test.prepare(owner)
        #expect(try listed(test, owner) == [left, left])
        #expect(await test.check().exitCode == .done)
        #expect(await forget(test, rules { $0.last = 3 }).exitCode == .done)
    }

    @Test func everyDriveKnowsBeforeASnapshotGoesFromOne() async throws {
        let test = try await TestBox()
        let owner = try await test.owner()
        try await backUp(test, owner, days: 5)
        let removals = Mutex(0)
        var box = test.box
        box.driveFault = { call in
            guard call == .unlink else { return nil }
            return removals.withLock { count in
                count += 1
                return count == 1 ? .error(EIO) : nil
            }
        }
        let options = rules { $0.last = 3 }
        let summary = await box.forget(options, events: { _ in }) { _ in true }
        #expect(summary.exitCode != .done)
        #expect(try listed(test, owner).allSatisfy { $0.count == 5 })
        for drive in try await test.box.roster().required() {
            #expect(try await drive.journal.tombstones(of: owner).count == 2)
        }
    }

    @Test func dryRunAndARefusedQuestionChangeNothing() async throws {
        let test = try await TestBox()
        let owner = try await test.owner()
        try await backUp(test, owner, days: 6)
        let before = try FileManager.default.subpathsOfDirectory(atPath: test.root).sorted()
        let shown = Mutex(0)
        var options = rules(.dryRun) { $0.last = 1 }
        let dry = await test.box.forget(options, events: { _ in }) { plan in
            shown.withLock { $0 = plan.elements?.count ?? 0 }
            return true
        }
        #expect(dry.exitCode == .done && shown.withLock { $0 } == 1)
        #expect(dry.message.contains("Would forget 5 snapshots and keep 1."))
        #expect(try FileManager.default.subpathsOfDirectory(atPath: test.root).sorted() == before)
        options.mode = .person
        let refused = await forget(test, options, isConfirmed: false)
        #expect(refused.exitCode == .done && refused.message == "Nothing was forgotten.")
        #expect(try listed(test, owner).allSatisfy { $0.count == 6 })
    }

    @Test func namedSnapshotsGoButNeverTheLastCompleteOne() async throws {
        let test = try await TestBox()
        let owner = try await test.owner()
        let made = try await backUp(test, owner, days: 3)
        var options = ForgetOptions()
        options.waitSeconds = 0
        options.snapshots = made.map(\.id.hex)
        let refused = await forget(test, options)
        #expect(refused.exitCode == .usage)
        #expect(refused.message.contains(made[2].id.short))
        #expect(try listed(test, owner).allSatisfy { $0.count == 3 })
        options.snapshots = [String(made[1].id.hex.prefix(12)), made[2].id.hex]
        #expect(await forget(test, options).exitCode == .done)
        #expect(try listed(test, owner) == [[made[0].id.hex], [made[0].id.hex]])
        options.snapshots = ["ffff0000"]
        #expect(await forget(test, options).exitCode == .notFound)
    }

    @Test func withoutNamesOrRulesNothingIsGuessed() async throws {
        let test = try await TestBox()
        let owner = try await test.owner()
        try await backUp(test, owner, days: 6)
        #expect(await forget(test, rules { _ in }).exitCode == .usage)
        let scheduled = await forget(test, rules(.scheduled) { _ in })
        #expect(scheduled.exitCode == .done && forgotten(scheduled) == 0)
    }

    @Test func oneDriveIsNotEnough() async throws {
        let test = try await TestBox()
        let owner = try await test.owner()
        let made = try await backUp(test, owner, days: 5)
        try test.rename("b", to: "drawer")
        let alone = await forget(test, rules { $0.last = 1 })
        #expect(alone.exitCode == .noDrive, "\(alone.message)")
        try test.rename("drawer", to: "b")
        #expect(try listed(test, owner).allSatisfy { $0.count == made.count })
        // A drive that lost the repository takes no part, and nothing is made on it.
        let folder = test.repository(owner, on: "b")
        try FileManager.default.moveItem(atPath: folder, toPath: folder + ".away")
        let without = await forget(test, rules { $0.last = 1 })
        #expect(without.exitCode == .damageRecoverable, "\(without.message)")
        #expect(without.message.contains("has no backups of \(owner) yet"))
        #expect(!FileManager.default.fileExists(atPath: folder))
        #expect(try names(in: test.repository(owner, on: "a") + "/snapshots").count == 5)
    }

    @Test func nothingGoesWhileSomethingKeptIsNotWhole() async throws {
        let test = try await TestBox()
        let owner = try await test.owner()
        try await backUp(test, owner, days: 5)
        let packs = test.repository(owner, on: "b") + "/data"
        for folder in try names(in: packs) {
            for pack in try names(in: "\(packs)/\(folder)") {
                try garble("\(packs)/\(folder)/\(pack)")
            }
        }
        let summary = await forget(test, rules { $0.last = 2 })
        // Garbled to another size, so that catching up mends it before anything is decided.
        #expect(summary.exitCode == .done, "\(summary.message)")
        for drive in ["a", "b"] {
            let data = test.repository(owner, on: drive) + "/data"
            for folder in try names(in: data) {
                for pack in try names(in: "\(data)/\(folder)") {
                    try FileManager.default.removeItem(atPath: "\(data)/\(folder)/\(pack)")
                }
            }
        }
        let refused = await forget(test, rules { $0.last = 1 })
        #expect(refused.exitCode == .damageRecoverable, "\(refused.message)")
        #expect(refused.message.contains("is not whole"))
        #expect(try listed(test, owner).allSatisfy { $0.count == 2 })
    }

    @Test func unattendedRunHasItsRails() async throws {
        let test = try await TestBox { $0.retention.last = 2 }
        let owner = try await test.owner()
        let made = try await backUp(test, owner, days: 8)
        let first = await forget(test, rules(.scheduled) { _ in })
        #expect(first.exitCode == .done && forgotten(first) == 2, "\(first.message)")
        #expect(first.message.contains("2 snapshots more would go"))
        while case let run = await forget(test, rules(.scheduled) { _ in }), forgotten(run) != 0 {
            #expect(run.exitCode == .done, "\(run.message)")
        }
        #expect(try listed(test, owner)[0] == made.suffix(4).map(\.id.hex).sorted())
        // By hand the same rules may do more.
        #expect(forgotten(await forget(test, rules { _ in })) == 2)
    }

    @Test func unattendedRunRefusesAShrunkenListingAndAFutureSnapshot() async throws {
        let test = try await TestBox { $0.retention.last = 4 }
        let owner = try await test.owner()
        let made = try await backUp(test, owner, days: 9)
        for drive in ["a", "b"] {
            let folder = test.repository(owner, on: drive) + "/snapshots/"
            try FileManager.default.removeItem(atPath: folder + made[8].id.hex)
        }
        let shrunken = await forget(test, rules(.scheduled) { _ in })
        #expect(shrunken.exitCode == .held && shrunken.verdict == .held, "\(shrunken.message)")
        #expect(shrunken.message.contains("lacks 1 snapshot that its journal tells of"))
        #expect(try listed(test, owner).allSatisfy { $0.count == 8 })
        #expect(forgotten(await forget(test, rules { $0.last = 6 })) == 2)

        let other = try await test.owner()
        try await backUp(test, other, days: 9, from: 4_000_000_000)
        var options = rules(.scheduled) { _ in }
        options.filter.owner = other
        let future = await forget(test, options)
        #expect(future.exitCode == .held && future.message.contains("future of this box's clock"))
        #expect(try listed(test, other).allSatisfy { $0.count == 9 })
    }

    @Test func partialOneGoesOnlyAfterEveryDriveWasReadBack() async throws {
        let test = try await TestBox()
        let owner = try await test.owner()
        let partial = try await backUp(test, owner, days: 1, partial: true)[0]
        try await backUp(test, owner, days: 1, from: 1_700_100_000)
        #expect(forgotten(await forget(test, rules { $0.last = 5 })) == 0)
        #expect(await test.check().exitCode == .done)
        #expect(forgotten(await forget(test, rules { $0.last = 5 })) == 1)
        #expect(try !listed(test, owner).contains { $0.contains(partial.id.hex) })
    }

    @Test func resticSeesTheSameAndFindsEveryDriveWhole() async throws {
        let test = try await TestBox()
        let owner = try await test.owner()
        try await backUp(test, owner, days: 10)
        let password = try test.box.password(of: owner)
        let forgets = try restic(
            test.repository(owner, on: "a"), password, "forget", "--keep-last", "8", "--group-by",
            "")
        #expect(forgets.status == 0, "\(forgets.output)")
        // Only one drive lacks them and no tombstone says so: they come back, then go for good.
        #expect(forgotten(await forget(test, rules { $0.daily = 4 })) == 6)
        for drive in ["a", "b"] {
            let folder = test.repository(owner, on: drive)
            let list = try restic(folder, password, "snapshots", "--json")
            let lines = list.output.components(separatedBy: "\"short_id\"").count - 1
            #expect(list.status == 0 && lines == 4, "\(list.output)")
            let check = try restic(folder, password, "check", "--read-data")
            #expect(check.status == 0, "\(check.output)")
        }
    }

    private func restic(
        _ repository: String, _ password: String, _ arguments: String...
    ) throws -> (status: Int32, output: String) {
        let process = Process()
        process.executableURL = URL(fileURLWithPath: "/usr/bin/restic")
        process.arguments = ["--no-cache", "-r", repository] + arguments
        process.environment = ["RESTIC_PASSWORD": password, "HOME": "/tmp"]
        let pipe = Pipe()
        process.standardOutput = pipe
        process.standardError = pipe
        try process.run()
        let output = pipe.fileHandleForReading.readDataToEndOfFile()
        process.waitUntilExit()
        return (process.terminationStatus, String(decoding: output, as: UTF8.self))
    }
}
