import BackupCore
import Drives
import Foundation
import Testing

@testable import Appliance

/// Which drives are believed to be the enrolled ones: by id, generation and nonce.
@Suite struct DriveIdentityTests {
    private func copy(_ test: TestBox, _ name: String, to other: String) throws {
        // A target that is not there need not be removed.
        try? FileManager.default.removeItem(atPath: test.drive(other))
        try FileManager.default.copyItem(atPath: test.drive(name), toPath: test.drive(other))
    }

    private func codes(_ test: TestBox) async throws -> [String: BackendError.Code] {
        let roster = try await test.box.roster()
        var codes: [String: BackendError.Code] = [:]
        for slot in roster.slots { codes[slot.entry.name] = slot.problem?.code }
        return codes
    }

    private func renew(_ test: TestBox, _ names: Set<String>) async throws {
        let roster = try await test.box.roster()
        await test.box.renew(
            roster.slots.filter { names.contains($0.entry.name) }.compactMap(\.drive))
    }

    /// Whether a run leaves a drive's folder as it is.
    private func isUntouched(
        _ test: TestBox, _ name: String, by owner: OwnerID
    ) async throws -> Bool {
        let before = tree(test.drive(name))
        // No drive at all is an answer too.
        _ = try? await test.prepare(owner)
        return tree(test.drive(name)) == before
    }

    @Test func drivesThatSwappedPlacesAreThemselves() async throws {
        let test = try await TestBox()
        try test.rename("a", to: "x")
        try test.rename("b", to: "a")
        try test.rename("x", to: "b")
        let roster = try await test.box.roster()
        #expect(roster.problems.isEmpty)
        #expect(roster.slots.map(\.drive?.path) == [test.drive("b"), test.drive("a")])
    }

    @Test func theSameImageTwiceIsRefusedBoth() async throws {
        let test = try await TestBox()
        let owner = try await test.owner()
        try test.rename("b", to: "drawer")
        try copy(test, "a", to: "b")
        #expect(try await codes(test) == ["a": .wrongDrive, "b": .wrongDrive])
        #expect(try await isUntouched(test, "a", by: owner))
        #expect(try await isUntouched(test, "b", by: owner))
        try FileManager.default.removeItem(atPath: test.drive("b"))
        try test.rename("drawer", to: "b")
        #expect(try await codes(test).isEmpty)
    }

    @Test func anOldImageIsRefusedAndTheOtherDriveGoesOn() async throws {
        let test = try await TestBox()
        let owner = try await test.owner()
        try copy(test, "a", to: "image")
        try await renew(test, ["a", "b"])
        try test.rename("a", to: "real")
        try copy(test, "image", to: "a")
        #expect(try await codes(test) == ["a": .wrongDrive])
        #expect(try await isUntouched(test, "a", by: owner))
        try FileManager.default.removeItem(atPath: test.drive("a"))
        try test.rename("real", to: "a")
        #expect(try await codes(test).isEmpty)
    }

    @Test func twoOldImagesOfDifferentAgesAreRefusedBoth() async throws {
        let test = try await TestBox()
        let owner = try await test.owner()
        try copy(test, "a", to: "image-a")
        try await renew(test, ["a", "b"])
        try copy(test, "b", to: "image-b")
        try await renew(test, ["a", "b"])
        try copy(test, "image-a", to: "a")
        try copy(test, "image-b", to: "b")
        #expect(try await codes(test) == ["a": .wrongDrive, "b": .wrongDrive])
        #expect(try await isUntouched(test, "a", by: owner))
        #expect(try await isUntouched(test, "b", by: owner))
    }

    @Test func aCloneThatLivedElsewhereIsToldByItsNonce() async throws {
        let test = try await TestBox()
        try copy(test, "a", to: "clone")
        try await renew(test, ["a"])
        // The clone went through as many changes, on another box.
        let options = DriveOptions(clock: SystemClock(), reserveBytes: 0)
        _ = try await Drive.open(path: test.drive("clone"), options: options).renew()
        try copy(test, "clone", to: "a")
        #expect(try await codes(test) == ["a": .wrongDrive])
    }

    @Test func aDriveThatWasAwayForWeeksIsStillItself() async throws {
        let test = try await TestBox()
        try await renew(test, ["a", "b"])
        try test.rename("b", to: "drawer")
        for _ in 0..<5 { try await renew(test, ["a"]) }
        try test.rename("drawer", to: "b")
        #expect(try await codes(test).isEmpty)
    }

    @Test func twoDrivesInTurnAreBothThemselves() async throws {
        let test = try await TestBox()
        for _ in 0..<3 {
            for (name, other) in [("a", "b"), ("b", "a")] {
                try test.rename(other, to: "drawer")
                #expect(try await codes(test) == [other: .absent])
                try await renew(test, [name])
                try test.rename("drawer", to: other)
            }
        }
        #expect(try await codes(test).isEmpty)
    }
}
