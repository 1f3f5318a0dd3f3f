import BackupCore
import ControlAPI
import Drives
import Foundation
import Testing

@testable import Appliance

@Suite struct SheetProofTests {
    private func prove(_ owner: OwnerID, _ typed: [String], _ test: TestBox) async throws
        -> SheetProof
    {
        try await test.box.prove(owner, words: ListedWords(typed))
    }

    private func failure(
        _ owner: OwnerID, _ typed: [String], _ test: TestBox
    ) async -> Outcome? {
        do {
            _ = try await prove(owner, typed, test)
            return nil
        } catch {
            return Outcome(error)
        }
    }

    @Test func theWordsAloneOpenEveryDriveAndThatIsRemembered() async throws {
        let test = try await TestBox()
        let owner = try await test.owner()
        let words = try #require(try test.box.store.secrets(of: owner).words)
        try test.box.rememberSheetShown(of: owner)
        var status = try await test.box.status(QueryFilter())
        #expect(status.ownersWithoutProof == [owner])
        #expect(status.warnings.last?.contains("holdfast key sheet --prove") == true)
        // Nothing of the box's own helps: its password and key files are garbled.
        try garble(test.state + "/owners/\(owner)/password")
        let drives = ["a", "b"].map { tree(test.drive($0)) }
        let typed = words.words.joined(separator: "  ").uppercased()
        let proof = try await prove(owner, [typed], test)
        #expect(proof.exitCode == .done && proof.drives.map(\.state) == [.empty, .empty])
        #expect(["a", "b"].map { tree(test.drive($0)) } == drives, "nothing is written there")
        #expect(try test.box.store.owner(owner)?.sheetProved != nil)
        status = try await test.box.status(QueryFilter())
        #expect(status.ownersWithoutProof.isEmpty)
    }

    @Test func wrongWordsAreToldApart() async throws {
        let test = try await TestBox()
        let (owner, other) = (try await test.owner(), try await test.owner())
        let words = try #require(try test.box.store.secrets(of: owner).words).words
        var letter = words
        letter[3] = "xabab"
        var wrong = words
        wrong[6] = wrong[6] == "babab" ? "dabab" : "babab"
        let others = try #require(try test.box.store.secrets(of: other).words).canonical
        let garbage = ["", "abandon all hope"]
        for (typed, said) in [
            (letter.joined(separator: " "), "Word 4 "), (wrong.joined(separator: "-"), "Word 7 "),
            (others, "not the words of the present sheet"), (garbage[1], "not 45"),
        ] {
            let outcome = await failure(owner, [typed], test)
            #expect(outcome?.exitCode == .key)
            #expect(
                outcome?.explanation.contains(said) == true,
                "\(typed): \(outcome?.explanation ?? "")")
            #expect(outcome?.explanation.contains(words[0]) == false, "words are not repeated")
        }
        #expect(await failure(owner, [], test)?.exitCode == .key)
        #expect(try test.box.store.owner(owner)?.sheetProved == nil)
        // A second try is as good as the first.
        let right = words.joined(separator: ".")
        #expect(try await prove(owner, [others, right], test).isProved)
    }

    @Test func anAbsentDriveIsToldAndAnOldSheetIsNone() async throws {
        let test = try await TestBox()
        let owner = try await test.owner()
        let old = try #require(try test.box.store.secrets(of: owner).words).canonical
        try test.rename("b", to: "away")
        let proof = try await prove(owner, [old], test)
        #expect(proof.exitCode == .notEveryDrive)
        #expect(proof.drives.map(\.state) == [.empty, .failed])
        _ = try await test.box.rotateKeys(
            try await test.box.planRotation(of: owner, removing: []), wait: 0, events: { _ in })
        #expect(try test.box.store.owner(owner)?.sheetProved == nil)
        // Also not where the drive that was away still has the old key files.
        try test.rename("away", to: "b")
        #expect(await failure(owner, [old], test)?.exitCode == .key)
        let new = try #require(try test.box.store.secrets(of: owner).words).canonical
        let states = try await prove(owner, [new], test).drives.map(\.state)
        #expect(states == [.empty, .refused] || states == [.empty, .failed])
    }

    @Test func withoutABackupThereIsNothingToProve() async throws {
        let test = try await TestBox()
        let owner = try await test.box.makeOwner().id
        let words = try #require(try test.box.store.secrets(of: owner).words).canonical
        #expect(await failure(owner, [words], test)?.exitCode == .notFound)
        try test.rename("a", to: "x")
        try test.rename("b", to: "y")
        #expect(await failure(owner, [words], test)?.exitCode == .noDrive)
    }
}
