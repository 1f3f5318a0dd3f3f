import BackupCore
import ControlAPI
import Drives
import Foundation
import Testing

@testable import Appliance

@Suite struct ErasureTests {
    private func erase(_ owner: OwnerID, _ box: Box) async throws -> ErasureReport {
        try await box.erase(owner, wait: 0, events: { _ in })
    }

    private func finish(_ test: TestBox) async throws {
        await test.box.finishPending(on: try await test.box.roster(), events: { _ in })
    }

    /// Files anywhere, on drives or box, that are named after an owner or tell of it, but for
    /// journals, the list of the erased and locks, which hold ids only.
    private func traces(of owner: OwnerID, _ test: TestBox) -> [String] {
        ["a", "b", "state"].flatMap { place in
            tree(test.drive(place)).compactMap { path, bytes in
                guard !path.contains("journal/"), !path.hasPrefix("erased"),
                    !path.hasSuffix(".lock")
                else { return nil }
                let tells = bytes.range(of: Data(owner.rawValue.utf8)) != nil
                return path.contains(owner.rawValue) || tells ? "\(place)/\(path)" : nil
            }
        }
    }

    @Test func nothingOfTheOwnerIsLeftAndOthersAreUntouched() async throws {
        let test = try await TestBox()
        let (owner, other) = (try await test.owner(), try await test.owner())
        let phone = try test.rememberPhone(of: owner)
        #expect(await test.check().exitCode == .done)
        test.box.catalog.remember(name: phone.name, model: "M", os: "1", of: phone.id)
        let others = ["a", "b"].map { tree(test.repository(other, on: $0)) }
        let secrets = tree(test.state + "/owners/\(other)")
        let plan = try await test.box.planErasure(of: owner)
        #expect(plan.phones == [phone] && plan.drives.map(\.files) == [3, 3])
        #expect(plan.isNamed(by: " Ana's  phone ") && plan.isNamed(by: owner.rawValue))
        #expect(!plan.isNamed(by: "") && !plan.isNamed(by: other.rawValue))
        let report = try await erase(owner, test.box)
        #expect(report.exitCode == .done && report.done == [test.first, test.second])
        #expect(traces(of: owner, test) == [])
        #expect(["a", "b"].map { tree(test.repository(other, on: $0)) } == others)
        #expect(tree(test.state + "/owners/\(other)") == secrets)
        #expect(test.box.catalog.phoneNames(phone.id) == nil)
        #expect(test.box.catalog.standing(of: Catalog.Copy(test.first, owner)) == nil)
        #expect(test.box.catalog.standing(of: Catalog.Copy(test.first, other)) != nil)
        #expect(try test.box.ownerDocuments(QueryFilter()).map(\.owner.id) == [other])
        #expect(await test.check().exitCode == .done)
        for drive in try await test.box.roster().present {
            let kinds = try await drive.journal.read().entries.map(\.record)
                .filter { $0.text("owner") == owner.rawValue }.map(\.kind)
            #expect(kinds.suffix(2) == ["erased", "erasure_done"])
        }
        // Once more is fine.
        #expect(try await erase(owner, test.box).exitCode == .done)
    }

    @Test func aDriveThatWasAwayIsErasedByTheNextRunThatMayWrite() async throws {
        let test = try await TestBox()
        let (owner, other) = (try await test.owner(), try await test.owner())
        try test.rename("b", to: "away")
        #expect(try await erase(owner, test.box).pending == [test.second])
        let listed = try test.box.ownerDocuments(QueryFilter()).first { $0.owner.id == owner }
        #expect(listed?.pending == [test.second] && listed?.erased != nil)
        try test.rename("away", to: "b")
        let stale = tree(test.repository(owner, on: "b"))
        // Questions and a check only look; nobody misses what is to go, nor copies it back.
        let status = try await test.box.status(QueryFilter())
        #expect(status.warnings.contains { $0.contains("\(owner) are still to be erased") })
        #expect(!status.warnings.contains(Box.unknownOwner(owner)))
        let drives = try await test.box.driveDocuments(QueryFilter())
        #expect(drives.map(\.pending) == [[], [PendingWork(.erasure, owner)]])
        #expect(await test.check().exitCode == .done)
        try await test.prepare(other)
        #expect(tree(test.repository(owner, on: "b")) == stale)
        #expect(tree(test.repository(owner, on: "a")).isEmpty)
        #expect(await test.heal().exitCode == .done)
        #expect(traces(of: owner, test) == [])
        #expect(try test.box.ownerDocuments(QueryFilter()).map(\.owner.id) == [other])
        #expect(try await test.box.driveDocuments(QueryFilter()).allSatisfy(\.pending.isEmpty))
    }

    @Test func anErasureThatWasOnlyBegunIsFinished() async throws {
        let test = try await TestBox()
        let owner = try await test.owner()
        let phone = try test.rememberPhone(of: owner)
        try test.box.store.remember(
            ErasedOwner(id: owner, time: .zero, isConfirmed: true))
        #expect(try test.box.store.owners().isEmpty, "from the first moment nobody knows it")
        let error = await #expect(throws: ApplianceError.self) { try await test.prepare(owner) }
        #expect(error?.exitCode == .notFound)
        try await test.box.refuseLost(owner, on: try await test.box.roster())
        try await finish(test)
        #expect(traces(of: owner, test) == [])
        #expect(try test.box.store.phone(phone.id) == nil)
    }

    @Test func anOwnerWhoseSecretsAreLostCanBeErased() async throws {
        let test = try await TestBox()
        let owner = try await test.owner()
        try FileManager.default.removeItem(atPath: test.state + "/owners/\(owner)")
        #expect(try await erase(owner, test.box).exitCode == .done)
        #expect(traces(of: owner, test) == [])
        let error = await #expect(throws: ApplianceError.self) {
            _ = try await test.box.planErasure(of: OwnerID(trusted: "nobody"))
        }
        #expect(error?.exitCode == .notFound)
    }

    @Test func whatOnlyAJournalSaysErasesNothing() async throws {
        let test = try await TestBox()
        let (owner, known) = (try await test.owner(), try await test.owner())
        let drives = try await test.box.roster().present
        for id in [owner, known] {
            try await drives[0].journal.append(.erased(id), at: .zero)
        }
        try FileManager.default.removeItem(atPath: test.state + "/owners/\(owner)")
        try await test.box.learnErasures(from: drives)
        #expect(test.box.store.isErased(owner) && !test.box.store.isErased(known))
        try await finish(test)
        #expect(!tree(test.repository(owner, on: "b")).isEmpty)
        let documents = try await test.box.driveDocuments(QueryFilter())
        #expect(
            documents.map(\.pending) == [
                [PendingWork(.erasureElsewhere, owner)], [PendingWork(.erasureElsewhere, owner)],
            ])
        #expect(try await erase(owner, test.box).exitCode == .done)
        #expect(traces(of: owner, test) == [])
    }

    @Test func aRunAtWorkIsWaitedFor() async throws {
        let test = try await TestBox()
        let owner = try await test.owner()
        let hold = try await test.box.hold(
            owner, for: .backup, on: try await test.box.roster(), wait: .zero, events: { _ in })
        let error = await #expect(throws: ApplianceError.self) {
            _ = try await erase(owner, test.box)
        }
        #expect(error?.exitCode == .busy)
        #expect(!test.box.store.isErased(owner))
        await hold.release()
        #expect(try await erase(owner, test.box).exitCode == .done)
    }

    /// Fails calls that change a drive, one a trial: the next run finishes, and nobody else is
    /// touched.
    @Test(arguments: [false, true]) func afterAnyFailingCallTheNextRunFinishes(
        isSticky: Bool
    ) async throws {
        let test = try await TestBox()
        let other = try await test.owner()
        let others = ["a", "b"].map { tree(test.repository(other, on: $0)) }
        for number in [1, 4, 7, 10, 14, 15, 16, 18, 200, 290, 300, 310, 580] {
            let owner = try await test.owner()
            let fault = FailingCall(number, isSticky: isSticky)
            _ = try? await erase(owner, test.box(meeting: fault))  // what it left is looked at
            #expect(try test.box.store.owners().map(\.id) == [other])
            try await finish(test)
            #expect(traces(of: owner, test) == [], "call \(number)")
            #expect(try await test.box.driveDocuments(QueryFilter()).allSatisfy(\.pending.isEmpty))
        }
        #expect(["a", "b"].map { tree(test.repository(other, on: $0)) } == others)
    }
}
