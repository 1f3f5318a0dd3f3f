import Foundation
import Testing

extension EndToEndTests {
    /// `holdfast prune`, and drives that come late or come back.
    @Suite struct PruneTests {
        /// A second snapshot without half of the photos, and the first one forgotten by restic on
        /// both drives: then nothing brings it back.
        private func forgotten() throws -> Lab {
            let lab = try Lab.backedUp()
            let names = try FileManager.default.subpathsOfDirectory(
                atPath: lab.phone.storage.path
            ).filter { $0.hasSuffix(".jpg") }.sorted()
            for name in names.prefix(4) {
                try FileManager.default.removeItem(
                    atPath: lab.phone.storage.path + "/" + name)
            }
            try lab.expect(0, lab.backup())
            let oldest = try lab.holdfast("snapshots", "--json").json.elements
                .min { ($0["time"].text ?? "") < ($1["time"].text ?? "") }
            let id = try #require(oldest?["id"].text)
            for drive in lab.driveNames {
                try lab.expect(0, lab.restic(drive, "forget", id))
            }
            return lab
        }

        @Test func pruneFreesBothDrivesAlike() throws {
            let lab = try forgotten()
            try lab.expect(64, lab.holdfast("prune"))
            let before = lab.repositories("a")
            let plan = try lab.expect(0, lab.holdfast("prune", "--dry-run", "--json")).summary
            #expect(plan["dry_run"].flag == true)
            #expect(differences(lab.repositories("a"), before) == [])
            let owner = try #require(plan["plan"].elements.first)
            #expect((owner["freed_bytes"].number ?? 0) > 400_000)
            let done = try lab.expect(
                0, lab.holdfast("prune", "--yes", "--json", "--max-unused", "0"))
            #expect(done.errors.contains("written anew"))
            try lab.expectWholeAndAlike()
            try lab.expectRestores()
            let again = try lab.expect(0, lab.holdfast("prune", "--yes", "--json"))
            #expect(try again.summary["message"].text == "There is nothing to prune.")
            try lab.expect(0, lab.holdfast("check", "--read-data"))
            try lab.expect(0, lab.backup())
            try lab.expectWholeAndAlike()
        }

        @Test func aThirdDriveIsFilledAndOneThatWasAwayFollows() throws {
            let lab = try forgotten()
            let third = lab.folder + "/c"
            try FileManager.default.createDirectory(
                atPath: third, withIntermediateDirectories: true)
            try lab.expect(0, lab.holdfast("setup", "--drive", third))
            try lab.expect(0, lab.backup())
            #expect(differences(lab.repositories("a"), lab.repositories("c")) == [])
            let drawer = lab.folder + "/drawer"
            try FileManager.default.moveItem(atPath: third, toPath: drawer)
            let pruned = try lab.expect(
                20, lab.holdfast("prune", "--yes", "--json", "--max-unused", "0"))
            #expect(try pruned.summary["freed_bytes"].number ?? 0 > 400_000)
            #expect(differences(lab.repositories("a"), lab.repositories("b")) == [])
            try FileManager.default.moveItem(atPath: drawer, toPath: third)
            #expect(differences(lab.repositories("a"), lab.repositories("c")) != [])
            try lab.expect(0, lab.backup())
            #expect(differences(lab.repositories("a"), lab.repositories("c")) == [])
            try lab.expectWholeAndAlike()
            try lab.expectRestores()
        }
    }
}
