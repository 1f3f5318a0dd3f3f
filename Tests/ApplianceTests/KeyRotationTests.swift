import BackupCore
import ControlAPI
import Drives
import Foundation
import ResticFormat
import Testing

@testable import Appliance

@Suite struct KeyRotationTests {
    private func rotate(
        _ owner: OwnerID, _ box: Box, removing: [String] = []
    ) async throws -> RotationReport {
        try await box.rotateKeys(
            try await box.planRotation(of: owner, removing: removing), wait: 0, events: { _ in })
    }

    /// The key files on a drive that a password opens.
    private func opened(
        by password: String, _ owner: OwnerID, on drive: String, _ test: TestBox
    ) throws -> Set<String> {
        let folder = test.repository(owner, on: drive) + "/keys/"
        return Set(
            try names(in: folder).filter { name in
                let bytes = FileManager.default.contents(atPath: folder + name) ?? Data()
                // A file that is no key opens with nothing.
                return (try? KeyFile.open(Array(bytes), password: password)).flatMap { $0 } != nil
            })
    }

    @Test func newSecretsOpenEveryDriveAndOldOnesNone() async throws {
        let test = try await TestBox()
        let owner = try await test.owner()
        let old = try test.box.store.secrets(of: owner)
        let before = try names(in: test.repository(owner, on: "a") + "/keys")
        try test.box.rememberSheetShown(of: owner)
        let report = try await rotate(owner, test.box)
        #expect(report.exitCode == .done && report.pending.isEmpty)
        let new = try test.box.store.secrets(of: owner)
        #expect(Set(old.passwords).isDisjoint(with: new.passwords))
        for drive in ["a", "b"] {
            let keys = try names(in: test.repository(owner, on: drive) + "/keys")
            #expect(keys.count == 2 && Set(keys).isDisjoint(with: before))
            for password in new.passwords {
                #expect(try opened(by: password, owner, on: drive, test).count == 1)
            }
        }
        #expect(try names(in: test.state + "/owners/\(owner)/keys").count == 2)
        #expect(
            !(FileManager.default.fileExists(atPath: test.state + "/owners/\(owner)/rotation.json"))
        )
        #expect(try test.box.store.owner(owner)?.sheetShown == nil)
        // Neither a backup's catch-up nor a repair brings the old ones back.
        try await test.prepare(owner)
        #expect(await test.heal().exitCode == .done)
        #expect(await test.check().exitCode == .done)
        #expect(try names(in: test.repository(owner, on: "b") + "/keys").count == 2)
    }

    @Test func aDriveThatWasAwayFollowsWhenItIsBack() async throws {
        let test = try await TestBox()
        let owner = try await test.owner()
        let old = try test.box.store.secrets(of: owner)
        try test.rename("b", to: "away")
        let report = try await rotate(owner, test.box)
        #expect(report.exitCode == .notEveryDrive)
        #expect(Array(report.pending.keys) == [test.second])
        try test.rename("away", to: "b")
        var drives = try await test.box.driveDocuments(QueryFilter())
        #expect(drives.map(\.pending) == [[], [PendingWork(.keys, owner)]])
        #expect(try test.box.ownerDocuments(QueryFilter()).map(\.pending) == [[test.second]])
        let status = try await test.box.status(QueryFilter())
        #expect(status.warnings.contains { $0.contains("keys of \(owner) that were replaced") })
        // Looking changes nothing; the new keys that it lacks are told.
        #expect(await test.check().exitCode == .damageRecoverable)
        #expect(try opened(by: old.password, owner, on: "b", test).count == 1)
        try await test.prepare(owner)
        let new = try test.box.store.secrets(of: owner)
        for password in old.passwords {
            #expect(try opened(by: password, owner, on: "b", test).isEmpty)
        }
        for password in new.passwords {
            #expect(try opened(by: password, owner, on: "b", test).count == 1)
        }
        drives = try await test.box.driveDocuments(QueryFilter())
        #expect(drives.map(\.pending) == [[], []])
        #expect(await test.check().exitCode == .done)
    }

    @Test func anyOwnersBackupFinishesWhatIsPending() async throws {
        let test = try await TestBox()
        let owner = try await test.owner()
        try test.rename("b", to: "away")
        _ = try await rotate(owner, test.box)
        try test.rename("away", to: "b")
        await test.box.finishPending(on: try await test.box.roster(), events: { _ in })
        #expect(
            try names(in: test.repository(owner, on: "b") + "/keys")
                == names(in: test.repository(owner, on: "a") + "/keys"))
        #expect(try test.box.ownerDocuments(QueryFilter()).map(\.pending) == [[]])
    }

    @Test func keyFilesOfOthersStayUntilTheyAreNamed() async throws {
        let test = try await TestBox()
        let owner = try await test.owner()
        let key = try #require(try await test.box.masterKeyFromState(owner))
        let foreign = KeyFile.make(
            password: "mine", masterKey: key, hostname: "lap\u{1b}top", username: "ann",
            created: .zero, cost: .forTests)
        let earlier = KeyFile.make(
            password: "lost", masterKey: key, hostname: "oldbox", username: "holdfast",
            created: .zero, cost: .forTests)
        for file in [foreign, earlier] {
            try Data(file.bytes).write(
                to: URL(
                    fileURLWithPath: test.repository(owner, on: "a") + "/keys/" + file.id.hex))
        }
        try await test.prepare(owner)
        #expect(try names(in: test.repository(owner, on: "b") + "/keys").count == 4)
        let plan = try await test.box.planRotation(of: owner, removing: [])
        #expect(plan.replaced.count == 2)
        #expect(Set(plan.kept.map(\.id)) == [foreign.id, earlier.id])
        let text = plan.sentences.joined(separator: "\n")
        #expect(text.contains("ann@lap\\u{1b}top"), "named, and harmless")
        #expect(text.contains("--remove-key \(earlier.id.short)"))
        #expect(text.contains("same master key"))
        _ = try await rotate(owner, test.box)
        for drive in ["a", "b"] {
            #expect(try opened(by: "mine", owner, on: drive, test) == [foreign.id.hex])
            #expect(try opened(by: "lost", owner, on: drive, test) == [earlier.id.hex])
        }
        _ = try await rotate(owner, test.box, removing: [earlier.id.short])
        for drive in ["a", "b"] {
            #expect(try opened(by: "mine", owner, on: drive, test) == [foreign.id.hex])
            #expect(try opened(by: "lost", owner, on: drive, test).isEmpty)
        }
        let error = await #expect(throws: ApplianceError.self) {
            _ = try await test.box.planRotation(of: owner, removing: ["00ff00ff"])
        }
        #expect(error?.exitCode == .notFound)
    }

    @Test func aRotationThatWasBegunHoldsNothingUpAndIsFinishedWithTheSameSecrets() async throws {
        let test = try await TestBox()
        let owner = try await test.owner()
        let old = try test.box.store.secrets(of: owner)
        let key = try #require(try await test.box.masterKeyFromState(owner))
        let secrets = try #require(OwnerSecrets.random())
        let keys = secrets.passwords.map {
            KeyFile.make(
                password: $0, masterKey: key, hostname: "box", username: "holdfast",
                created: .zero, cost: .forTests)
        }
        let replaced = try await test.box.planRotation(of: owner, removing: []).replaced
        try test.box.store.remember(
            KeyRotation(secrets: secrets, keys: keys, replaced: Set(replaced.map(\.id))), of: owner)
        let status = try await test.box.status(QueryFilter())
        #expect(status.warnings.contains { $0.contains("holdfast key rotate --owner \(owner)") })
        #expect(try test.box.ownerDocuments(QueryFilter()).map(\.isRotating) == [true])
        try await test.prepare(owner)
        #expect(try test.box.store.secrets(of: owner).password == old.password)
        #expect(try opened(by: old.password, owner, on: "a", test).count == 1)
        let plan = try await test.box.planRotation(of: owner, removing: [])
        #expect(plan.isResumed && plan.replaced.count == 2 && plan.kept.isEmpty)
        #expect(try await rotate(owner, test.box).exitCode == .done)
        #expect(try test.box.store.secrets(of: owner).password == secrets.password)
        #expect(try opened(by: old.password, owner, on: "a", test).isEmpty)
        #expect(try names(in: test.repository(owner, on: "b") + "/keys").count == 2)
    }

    /// Fails the calls that change a drive, one trial for each of them, once and for good: at any
    /// moment what the box knows opens each drive, and repeating it ends it.
    @Test(arguments: [false, true]) func atEveryFailingCallTheBoxOpensEveryDrive(
        isSticky: Bool
    ) async throws {
        let test = try await TestBox()
        let owner = try await test.owner()
        var trials = 0
        for number in stride(from: isSticky ? 3 : 1, to: 400, by: 5) {
            let old = try test.box.store.secrets(of: owner)
            let fault = FailingCall(number, isSticky: isSticky)
            // Some trials end with an error and some with a drive that follows.
            _ = try? await rotate(owner, test.box(meeting: fault))
            let now = try test.box.store.secrets(of: owner)
            for drive in ["a", "b"] {
                let works = try old.passwords.allSatisfy {
                    try !opened(by: $0, owner, on: drive, test).isEmpty
                }
                let worksNow = try now.passwords.allSatisfy {
                    try !opened(by: $0, owner, on: drive, test).isEmpty
                }
                #expect(works || worksNow, "call \(number), drive \(drive)")
            }
            #expect(try await test.box.masterKeyFromState(owner) != nil)
            if try test.box.store.rotation(of: owner) != nil {
                _ = try await rotate(owner, test.box)
            } else {
                try await test.prepare(owner)
            }
            let end = try test.box.store.secrets(of: owner)
            for drive in ["a", "b"] {
                #expect(
                    try names(in: test.repository(owner, on: drive) + "/keys").count == 2,
                    "call \(number), drive \(drive)")
                for password in end.passwords {
                    #expect(try opened(by: password, owner, on: drive, test).count == 1)
                }
            }
            trials += 1
            if !fault.didFail { break }
        }
        #expect(trials > 10)
        #expect(await test.check().exitCode == .done)
    }
}
