import Foundation
import Testing

extension EndToEndTests {
    /// Forgetting by the command, with restic as the judge.
    @Suite struct ForgetTests {
        /// As backed up, and once more for each further count.
        private func prepared(backups: Int) throws -> Lab {
            let lab = try Lab.backedUp(photos: 3, size: 60_000)
            for number in 1..<backups {
                try lab.phone.storage.photos(30 + number..<31 + number, size: 20_000)
                try lab.expect(0, lab.backup())
            }
            return lab
        }

        private func snapshots(_ lab: Lab, _ drive: String) throws -> [String] {
            let listed = try lab.restic(drive, "snapshots", "--json")
            try #require(listed.exitCode == 0, "\(listed.story)")
            return try listed.json.elements.compactMap { $0["id"].text }.sorted()
        }

        @Test func planIsShownAndNothingChangesUntilItIsConfirmed() throws {
            let lab = try prepared(backups: 3)
            let before = contents(of: lab.drive("a")).merging(contents(of: lab.drive("b"))) {
                $0 + $1
            }
            let dry = try lab.holdfast("forget", "--keep-last", "1", "--dry-run", "--json")
            let shown = try lab.expect(0, dry).summary
            let group = shown["plan"][0]["groups"][0]
            #expect(group["forget"].elements.count == 2 && group["keep"].elements.count == 1)
            #expect(group["keep"][0]["reasons"][0].text == "last snapshot")
            #expect(shown["dry_run"].flag == true && shown["forgotten"].number == 0)
            #expect(dry.errors.contains("2 to forget, 1 kept"))
            // Nobody can answer here.
            let unasked = try lab.expect(64, lab.holdfast("forget", "--keep-last", "1"))
            #expect(unasked.errors.contains("--dry-run"))
            try lab.expect(64, lab.holdfast("forget", "--yes"))
            let after = contents(of: lab.drive("a")).merging(contents(of: lab.drive("b"))) {
                $0 + $1
            }
            #expect(differences(before, after) == [])
        }

        @Test func confirmedPlanIsCarriedOutOnBothDrives() throws {
            let lab = try prepared(backups: 4)
            let run = try lab.expect(
                0, lab.holdfast("forget", "--keep-last", "2", "--yes", "--json"))
            #expect(try run.summary["forgotten"].number == 2)
            let keep = try run.summary["plan"][0]["groups"][0]["keep"].elements
            let kept = keep.compactMap { $0["id"].text }.sorted()
            #expect(kept.count == 2)
            #expect(try snapshots(lab, "a") == kept && snapshots(lab, "b") == kept)
            let first = try #require(kept.first)
            try lab.expect(0, lab.holdfast("forget", first, "--yes"))
            // The last one stays, whoever asks.
            let last = try #require(snapshots(lab, "a").first)
            let refused = try lab.expect(64, lab.holdfast("forget", last, "--yes"))
            #expect(refused.errors.contains("last complete snapshot"))
            try lab.expect(0, lab.backup())
            try lab.expectWholeAndAlike()
            #expect(try snapshots(lab, "b").count == 2)
            try lab.expectRestores()
        }

        @Test func absentDriveIsWaitedForAndThenFollows() throws {
            let lab = try Lab(drives: ["a", "b", "c"])
            try lab.plugIn().storage.fill(photos: 3, size: 60_000)
            try lab.setUp()
            for number in 0..<3 {
                try lab.phone.storage.photos(30 + number..<31 + number, size: 20_000)
                try lab.expect(0, lab.backup())
            }
            try FileManager.default.moveItem(atPath: lab.drive("c"), toPath: lab.drive("drawer"))
            let run = try lab.expect(
                20, lab.holdfast("forget", "--keep-last", "1", "--yes", "--json"))
            #expect(try run.summary["forgotten"].number == 2)
            #expect(try snapshots(lab, "a").count == 1)
            try FileManager.default.moveItem(atPath: lab.drive("drawer"), toPath: lab.drive("c"))
            try lab.expect(0, lab.backup())
            // What was forgotten does not come back from the drive that was away.
            #expect(try snapshots(lab, "a").count == 2 && snapshots(lab, "b").count == 2)
            try lab.expectWholeAndAlike()
        }

        @Test func unattendedRunFollowsTheConfiguration() throws {
            let lab = try prepared(backups: 2)
            let nothing = try lab.expect(0, lab.holdfast("forget", "--scheduled", "--json"))
            #expect(try nothing.summary["forgotten"].number == 0)
            let variables = ["HOLDFAST_RETENTION_LAST": "1"]
            let run = try lab.holdfast("forget", "--scheduled", "--json", variables: variables)
            // Four complete ones stay whatever the rules.
            #expect(try lab.expect(0, run).summary["forgotten"].number == 0)
            let byHand = try lab.holdfast("forget", "--yes", "--json", variables: variables)
            #expect(try lab.expect(0, byHand).summary["forgotten"].number == 1)
            try lab.expectWholeAndAlike()
        }

        @Test func resticMayForgetInOurRepositories() throws {
            let lab = try prepared(backups: 3)
            for drive in lab.driveNames {
                let forgets = try lab.restic(drive, "forget", "--keep-last", "1")
                #expect(forgets.exitCode == 0, "\(forgets.story)")
            }
            #expect(try lab.holdfast("snapshots", "--json").json.elements.count == 1)
            // The journals tell of more than the drives have: nobody is there to be asked.
            let held = try lab.holdfast(
                "forget", "--scheduled", "--json", variables: ["HOLDFAST_RETENTION_LAST": "9"])
            #expect(try lab.expect(24, held).summary["verdict"].text == "held")
            try lab.expect(0, lab.backup())
            try lab.expectWholeAndAlike()
        }

        @Test func resticsOwnSnapshotsGoByNameOnly() throws {
            let lab = try prepared(backups: 2)
            let note = lab.folder + "/out/note"
            try Data("Not a phone's.".utf8).write(to: URL(fileURLWithPath: note))
            let made = try lab.restic("a", "backup", note, "--json")
            #expect(made.exitCode == 0, "\(made.story)")
            try lab.expect(0, lab.holdfast("forget", "--keep-last", "1", "--yes"))
            #expect(try snapshots(lab, "b").count == 2)
            let foreign = try #require(
                try made.lines.last { $0["message_type"].text == "summary" }?["snapshot_id"].text)
            try lab.expect(0, lab.holdfast("forget", String(foreign.prefix(8)), "--yes"))
            #expect(try snapshots(lab, "a").count == 1 && snapshots(lab, "b").count == 1)
            try lab.expect(0, lab.backup())
            try lab.expectWholeAndAlike()
        }
    }
}
