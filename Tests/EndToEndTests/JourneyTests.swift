import Foundation
import Testing

extension EndToEndTests {
    /// The main journey, and runs that find little to do.
    @Suite struct JourneyTests {
        @Test func firstBackupIsOnBothDrivesAndResticAgrees() throws {
            let lab = try Lab.ready()
            let summary = try lab.expect(0, lab.backup()).summary
            #expect(summary["verdict"].text == "safe")
            #expect(summary["files"]["new"].number == 12)
            #expect(Set(summary["copies"].elements.map { $0["state"].text }) == ["durable"])
            try lab.expectWholeAndAlike()
            let other = try lab.restic("b", "check", "--read-data")
            #expect(other.exitCode == 0, "\(other.story)")
            try lab.expectRestores()
        }

        @Test func resticRestoresWithThePasswordCommand() throws {
            let lab = try Lab.backedUp()
            let target = lab.folder + "/out/restic"
            let command = "\(Programs.holdfast) key password --owner \(try lab.owner())"
            let restored = try lab.restic(
                "b", "restore", "latest", "--target", target,
                variables: [
                    "RESTIC_PASSWORD": "", "RESTIC_PASSWORD_COMMAND": command,
                    "HOLDFAST_CONFIG": lab.config,
                ])
            #expect(restored.exitCode == 0, "\(restored.story)")
            let found = contents(of: target + "/Internal shared storage", dates: true)
            let there = contents(of: lab.phone.storage.path, dates: true)
            #expect(differences(found, there) == [])
        }

        @Test func resticBackupOfTheRestoredFolderAddsNoDataBlobButForSQLite() throws {
            let lab = try Lab.backedUp(photos: 4, size: 3_000_000)
            let target = lab.folder + "/out/again"
            try lab.expect(0, lab.holdfast("restore", "latest", "--to", target))
            try FileManager.default.removeItem(
                atPath: target + "/Internal shared storage/WhatsApp/Databases/msgstore.db")
            let again = try lab.restic("a", "backup", "--json", target)
            #expect(again.exitCode == 0, "\(again.story)")
            let summary = try #require(try again.lines.last)
            #expect(summary["data_blobs"].number == 0, "\(again.story)")
        }

        @Test func unchangedPhoneIsNotReadAndNothingIsWritten() throws {
            let lab = try Lab.backedUp()
            let tree = try tree(of: lab)
            let packs = contents(of: try lab.repository("a") + "/data")
            try lab.phone.control("reset-counters")
            let summary = try lab.expect(0, lab.backup()).summary
            #expect(try lab.phone.filesRead == [])
            #expect(try lab.phone.contentRequests == 0)
            #expect(summary["bytes"]["read"].number == 0)
            #expect(summary["files"]["unchanged"].number == 12)
            #expect(differences(packs, contents(of: try lab.repository("a") + "/data")) == [])
            #expect(try self.tree(of: lab) == tree)
            try lab.expectWholeAndAlike()
        }

        @Test func onePhotoMoreIsAllThatIsRead() throws {
            let lab = try Lab.backedUp()
            try lab.phone.storage.photos(50..<51, size: 70_000)
            try lab.phone.control("reset-counters")
            let summary = try lab.expect(0, lab.backup()).summary
            #expect(try lab.phone.filesRead == ["0:DCIM/Camera/IMG_1050.jpg"])
            #expect(summary["files"]["new"].number == 1)
            #expect(summary["bytes"]["read"].number == 70_050)
            try lab.expectRestores()
        }

        @Test func rereadReadsEverything() throws {
            let lab = try Lab.backedUp()
            try lab.phone.control("reset-counters")
            let summary = try lab.expect(0, lab.backup("--reread")).summary
            // An empty file has nothing to be read.
            #expect(try lab.phone.filesRead.count == 11)
            #expect(summary["bytes"]["added"].number == 0, "nothing new was read")
        }

        @Test func filesGoneAndChangedAreToldAndEarlierSnapshotsKeepThem() throws {
            let lab = try Lab.backedUp()
            let first = try lab.holdfast("snapshots", "--json").json[0]["id"].text
            let before = contents(of: lab.phone.storage.path, dates: true)
            try lab.phone.storage.remove("DCIM/Camera/IMG_1000.jpg")
            try lab.phone.storage.write(
                "Notes/a.txt", Data("Another note.\n".utf8), date: 1_710_000_000)
            let summary = try lab.expect(0, lab.backup()).summary
            #expect(summary["files"]["removed"].number == 1)
            #expect(summary["files"]["changed"].number == 1)
            try lab.expectRestores()
            let target = lab.folder + "/out/first"
            try lab.expect(0, lab.holdfast("restore", try #require(first), "--to", target))
            let found = contents(of: target + "/Internal shared storage", dates: true)
            #expect(differences(found, before) == [])
        }

        @Test func resticForgetKeepsOneOfEachPhone() throws {
            let lab = try Lab.ready()
            try lab.expect(0, lab.backup())
            // A second phone of the same person: linking phones is a later issue's command, so the
            // box's record is changed as that will.
            let owner = try lab.owner()
            let second = try lab.plugIn("Old phone", bay: 2)
            try second.storage.fill(photos: 3)
            try lab.expect(0, lab.backup("--phone", "1-2"))
            let newcomer = try #require(files(in: lab.state + "/owners").first { $0 != owner })
            for file in files(in: lab.state + "/phones") {
                let path = lab.state + "/phones/" + file
                let text = Child.text(path).replacing(newcomer, with: owner)
                try Data(text.utf8).write(to: URL(fileURLWithPath: path))
            }
            try FileManager.default.removeItem(atPath: lab.state + "/owners/" + newcomer)
            try lab.expect(0, lab.backup())
            try lab.expect(0, lab.backup())
            let plan = try lab.restic("a", "forget", "--keep-last", "1", "--dry-run", "--json")
            #expect(plan.exitCode == 0, "\(plan.story)")
            let groups = try JSON(text: String(plan.output.prefix { $0 != "\n" })).elements
            #expect(groups.count == 2)
            for group in groups { #expect(group["keep"].elements.count == 1) }
        }

        @Test func deletedCatalogIsRebuilt() throws {
            let lab = try Lab.backedUp()
            let before = try lab.holdfast("snapshots", "--json").json[0]
            for file in files(in: lab.state) where file.hasPrefix("catalog") {
                try FileManager.default.removeItem(atPath: lab.state + "/" + file)
            }
            let after = try lab.holdfast("snapshots", "--json").json[0]
            #expect(after["id"].text == before["id"].text)
            #expect(after["files"].number == 12)
            #expect(after["bytes"].number == before["bytes"].number)
        }

        private func tree(of lab: Lab) throws -> String {
            let listed = try lab.restic("a", "snapshots", "--json", "--latest", "1")
            return try #require(try listed.json[0]["tree"].text, "\(listed.story)")
        }
    }
}
