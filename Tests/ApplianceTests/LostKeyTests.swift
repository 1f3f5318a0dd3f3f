import BackupCore
import ControlAPI
import Drives
import Foundation
import Testing

@testable import Appliance

@Suite struct LostKeyTests {
    @Test func keysLostOnBothDrivesAreDamageUntilHealGivesThemBackFromTheBox() async throws {
        let test = try await TestBox()
        let owner = try await test.owner()
        let keys = try names(in: test.repository(owner, on: "a") + "/keys")
        #expect(keys.count == 2)
        for drive in ["a", "b"] {
            let folder = test.repository(owner, on: drive) + "/keys"
            for key in try names(in: folder) {
                try FileManager.default.removeItem(atPath: folder + "/" + key)
            }
        }
        #expect(await test.check().exitCode == .damageRecoverable)
        #expect(try names(in: test.repository(owner, on: "a") + "/keys").isEmpty)
        #expect(await test.heal().exitCode == .done)
        for drive in ["a", "b"] {
            #expect(try names(in: test.repository(owner, on: drive) + "/keys") == keys)
        }
        #expect(await test.check().exitCode == .done)
    }

    @Test func oneKeyLostOnBothDrivesIsGivenBackByABackup() async throws {
        let test = try await TestBox()
        let owner = try await test.owner()
        let keys = try names(in: test.repository(owner, on: "a") + "/keys")
        let lost = try #require(keys.last)
        for drive in ["a", "b"] {
            try FileManager.default.removeItem(
                atPath: test.repository(owner, on: drive) + "/keys/" + lost)
        }
        #expect(await test.check().exitCode == .damageRecoverable)
        #expect(try await test.prepare(owner) == ["keys/" + lost, "keys/" + lost])
        #expect(try names(in: test.repository(owner, on: "b") + "/keys") == keys)
        #expect(await test.check().exitCode == .done)
    }

    @Test(arguments: [true, false])
    func filesGarbledOnBothDrivesAreGivenBackFromTheBox(isConfig: Bool) async throws {
        let test = try await TestBox()
        let owner = try await test.owner()
        let key = try #require(names(in: test.repository(owner, on: "a") + "/keys").first)
        let file = isConfig ? "/config" : "/keys/" + key
        for drive in ["a", "b"] { try garble(test.repository(owner, on: drive) + file) }
        #expect(await test.check().exitCode == .damageRecoverable)
        #expect(await test.heal().exitCode == .done)
        #expect(await test.check().exitCode == .done)
    }

    @Test func aConfigGarbledInTheStateFolderIsNeverGivenToADrive() async throws {
        let test = try await TestBox()
        let owner = try await test.owner()
        try garble(test.state + "/owners/\(owner)/config")
        try garble(test.repository(owner, on: "a") + "/config")
        #expect(try await test.prepare(owner) == ["config"])
        #expect(await test.check().exitCode == .done)
    }

    @Test func theWordsOpenWhatAGarbledPasswordDoesNot() async throws {
        let test = try await TestBox()
        let owner = try await test.owner()
        try garble(test.state + "/owners/\(owner)/password")
        #expect(try await test.prepare(owner).isEmpty)
        // The words open the drives' key files too.
        try FileManager.default.removeItem(atPath: test.state + "/owners/\(owner)/keys")
        #expect(await test.check().exitCode == .done)
    }

    @Test func secretsThatOpenNothingNameTheWayOut() async throws {
        let test = try await TestBox()
        let owner = try await test.owner()
        try garble(test.state + "/owners/\(owner)/password")
        try garble(test.state + "/owners/\(owner)/words")
        do {
            try await test.prepare(owner)
            Issue.record("nothing opens the repository")
        } catch let error as ApplianceError {
            #expect(error.exitCode == .key)
            #expect(error.explanation.contains("holdfast setup with the drives and the words"))
        }
    }
}
