import Foundation
import Testing

extension EndToEndTests {
    /// Files that rot, on the box and on the drives.
    @Suite struct DamageTests {
        enum Damage: String, CaseIterable { case truncated, flipped, deleted }

        @Test(arguments: Damage.allCases)
        func damageIsFoundAndHealedToTheSameBytes(damage: Damage) throws {
            let lab = try Lab.backedUp()
            let whole = lab.repositories("b")
            let owner = try lab.owner()
            // All at once, and the config alone, since without it the drive may not look like one
            // that has the repository.
            for parts in [["config"], ["data", "index", "snapshots", "keys", "config"]] {
                for part in parts {
                    let file = try #require(
                        whole.keys.sorted().first {
                            !$0.hasSuffix("/") && $0.hasPrefix("/\(owner)/\(part)")
                        })
                    try harm(lab.drive("a") + "/holdfast/repositories" + file, damage)
                }
                let check = try lab.expect(25, lab.holdfast("check", "--read-data", "--json"))
                let found = try check.summary["findings"].elements.compactMap { $0["file"].text }
                for part in parts {
                    #expect(found.contains { $0.hasPrefix(part) }, "\(part): \(found)")
                }
                try lab.expect(0, lab.holdfast("heal", "--json"))
                #expect(differences(lab.repositories("a"), whole) == [], "\(parts) \(damage)")
            }
            #expect(differences(lab.repositories("b"), whole) == [], "only the bad were touched")
            try lab.expectWholeAndAlike()
        }

        @Test func whatIsLostOnBothDrivesIsNamedAndReadFromThePhoneAgain() throws {
            let lab = try Lab.backedUp()
            let first = try lab.holdfast("snapshots", "--json").json[0]["id"].text
            let blob = try blob(of: "IMG_1003.jpg", lab)
            for drive in ["a", "b"] { try blob.harm(drive, lab) }
            let check = try lab.expect(26, lab.holdfast("check", "--read-data", "--json")).summary
            #expect(paths(check) == ["/Internal shared storage/DCIM/Camera/IMG_1003.jpg"])
            #expect(check["snapshots_concerned"].elements.map(\.text) == [first])
            let heal = try lab.expect(26, lab.holdfast("heal", "--json")).summary
            #expect(paths(heal) == paths(check))
            for drive in ["a", "b"] {
                let aside = files(in: lab.drive(drive) + "/holdfast/quarantine")
                #expect(aside.count == 2, "the pack and the index that named it: \(aside)")
                let originals = aside.filter { $0.contains("-data-\(blob.pack)") }
                #expect(originals.count == 1)
            }
            try lab.expect(26, lab.holdfast("check", "--read-data"))
            // The phone has it still: this file alone is read again, by itself.
            try lab.phone.control("reset-counters")
            try lab.expect(0, lab.backup())
            #expect(try lab.phone.filesRead == ["0:DCIM/Camera/IMG_1003.jpg"])
            try lab.expect(0, lab.holdfast("check", "--read-data"))
            try lab.expectWholeAndAlike()
            let other = try lab.restic("b", "check", "--read-data")
            #expect(other.exitCode == 0, "\(other.story)")
            try lab.expectRestores(try #require(first))
        }

        @Test func packBadOnBothDrivesIsRebuiltFromTheGoodBlobsOfBoth() throws {
            let lab = try Lab.backedUp()
            let (left, right) = (
                try blob(of: "IMG_1002.jpg", lab), try blob(of: "IMG_1005.jpg", lab)
            )
            try #require(left.pack == right.pack)
            try left.harm("a", lab)
            try right.harm("b", lab)
            try lab.expect(25, lab.holdfast("check", "--read-data", "--json"))
            try lab.expect(0, lab.holdfast("heal", "--json"))
            try lab.expect(0, lab.holdfast("check", "--read-data"))
            try lab.expectWholeAndAlike()
            try lab.phone.control("reset-counters")
            try lab.expect(0, lab.backup())
            #expect(try lab.phone.filesRead == [])
            try lab.expectRestores()
        }

        @Test func indexesLostOnBothDrivesAreRebuiltFromThePacks() throws {
            let lab = try Lab.backedUp()
            for drive in ["a", "b"] {
                for index in files(in: try lab.repository(drive) + "/index") {
                    try harm(try lab.repository(drive) + "/index/" + index, .flipped)
                }
            }
            try lab.expect(26, lab.holdfast("check", "--read-data", "--json"))
            try lab.expect(0, lab.holdfast("heal", "--json"))
            try lab.expect(0, lab.holdfast("check", "--read-data"))
            try lab.expectWholeAndAlike()
            try lab.expectRestores()
        }

        @Test func snapshotLostOnBothDrivesIsToldOnceAndTheRestIsWhole() throws {
            let lab = try Lab.backedUp()
            try lab.expect(0, lab.backup())
            let first = try #require(lab.holdfast("snapshots", "--json").json[0]["id"].text)
            for drive in ["a", "b"] {
                try harm(try lab.repository(drive) + "/snapshots/" + first, .flipped)
            }
            let heal = try lab.expect(26, lab.holdfast("heal", "--json")).summary
            let named = heal["findings"].elements.compactMap { $0["file"].text }
            #expect(Set(named) == ["snapshots/" + first])
            try lab.expect(0, lab.holdfast("check", "--read-data"))
            try lab.expectWholeAndAlike()
            try lab.expectRestores()
        }

        @Test func withADriveAwayNothingThatItMayHaveIsGivenUp() throws {
            let lab = try Lab.backedUp()
            let blob = try blob(of: "IMG_1003.jpg", lab)
            try blob.harm("a", lab)
            let whole = lab.repositories("a")
            try FileManager.default.moveItem(
                atPath: lab.drive("b"), toPath: lab.drive("elsewhere"))
            try lab.expect(26, lab.holdfast("heal", "--json"))
            #expect(differences(lab.repositories("a"), whole) == [])
            try FileManager.default.moveItem(
                atPath: lab.drive("elsewhere"), toPath: lab.drive("b"))
            try lab.expect(0, lab.holdfast("heal", "--json"))
            try lab.expectWholeAndAlike()
        }

        @Test func packLostOnBothAndStoredAgainIsNoLossAndGoesWithHeal() throws {
            let lab = try Lab.backedUp()
            for drive in ["a", "b"] {
                for pack in packs(lab, drive) {
                    try harm(lab.drive(drive) + "/holdfast/repositories" + pack, .deleted)
                }
            }
            try lab.expect(0, lab.backup())
            // Only what the first snapshot alone needed (its own notes) may be missing.
            let check = try lab.holdfast("check", "--json")
            let lost = try paths(check.summary)
            #expect(
                lost.allSatisfy { $0 == "/" || $0.hasPrefix("/holdfast-") }, "\(check.story)")
            _ = try lab.holdfast("heal", "--json")
            let after = try lab.holdfast("check", "--read-data", "--json")
            let files = try after.summary["findings"].elements.compactMap { $0["file"].text }
            #expect(files == [], "no pack is asked for any more: \(after.story)")
            try lab.expectRestores()
        }

        @Test func scrubFindsRotOfOldAndNewAndStatusTellsIt() throws {
            let lab = try Lab.backedUp()
            try lab.expect(0, lab.holdfast("scrub", "--json"))
            let copies = try lab.holdfast("snapshots", "--json").json[0]["copies"].elements
            #expect(copies.map { $0["state"].text } == ["verified", "verified"])
            try harmPack(lab, on: ["a"], .flipped)
            try lab.expect(25, lab.holdfast("scrub", "--percent", "100", "--json"))
            #expect(try lab.holdfast("status").output.contains("known to be damaged"))
            let states = try lab.holdfast("snapshots", "--json").json[0]["copies"].elements
            #expect(Set(states.map { $0["state"].text }) == ["durable", "verified"])
            try lab.expect(0, lab.holdfast("heal", "--json"))
            try lab.expect(0, lab.holdfast("scrub", "--json"))
            #expect(try !lab.holdfast("status").output.contains("known to be damaged"))
        }

        @Test func backupThatVerifiesReadsBackWhatItWrote() throws {
            let lab = try Lab.ready()
            let first = try lab.expect(0, lab.backup("--verify"))
            #expect(first.output.contains("phone_may_go"))
            let copies = try first.summary["copies"].elements
            #expect(copies.map { $0["state"].text } == ["verified", "verified"])
            #expect(try first.summary["snapshots"][0]["copies"].elements.count == 2)
            #expect(try #require(first.summary["read_back"]["files"].number) > 8)
            // Nothing new of the phone: an index and a snapshot are all there is to read.
            try lab.expect(0, lab.backup())
            let states = try lab.holdfast("snapshots", "--json").json
            #expect(states[0]["copies"][0]["state"].text == "verified")
            #expect(states[1]["copies"][0]["state"].text == "durable")
        }

        /// Where the sealed bytes of a photo's only blob lie.
        private struct PlacedBlob {
            let pack: String
            let offset: Int

            func harm(_ drive: String, _ lab: Lab) throws {
                let path = try lab.repository(drive) + "/data/\(pack.prefix(2))/\(pack)"
                var bytes = try #require(FileManager.default.contents(atPath: path))
                try FileManager.default.removeItem(atPath: path)
                bytes[offset + 100] ^= 0x10
                try bytes.write(to: URL(fileURLWithPath: path))
            }
        }

        private func blob(of photo: String, _ lab: Lab) throws -> PlacedBlob {
            let path = "/Internal shared storage/DCIM/Camera/" + photo
            let folder = try lab.restic("a", "cat", "blob", try tree(of: path, lab))
            let nodes = try JSON(text: folder.output)["nodes"].elements
            let node = try #require(nodes.first { $0["name"].text == photo }, "\(folder.story)")
            let id = try #require(node["content"][0].text)
            for index in files(in: try lab.repository("a") + "/index") {
                let text = try lab.restic("a", "cat", "index", index).output
                for pack in try JSON(text: text)["packs"].elements {
                    for blob in pack["blobs"].elements where blob["id"].text == id {
                        return PlacedBlob(
                            pack: try #require(pack["id"].text),
                            offset: try #require(blob["offset"].number))
                    }
                }
            }
            throw CancellationError()
        }

        /// The id of the folder that holds a path of the latest snapshot.
        private func tree(of path: String, _ lab: Lab) throws -> String {
            let snapshots = try lab.restic("a", "snapshots", "--json", "--latest", "1")
            var tree = try #require(snapshots.json[0]["tree"].text, "\(snapshots.story)")
            for name in path.split(separator: "/").dropLast() {
                let folder = try lab.restic("a", "cat", "blob", tree)
                let nodes = try JSON(text: folder.output)["nodes"].elements
                let node = nodes.first { $0["name"].text == String(name) }
                tree = try #require(node?["subtree"].text, "\(folder.story)")
            }
            return tree
        }

        /// The phone's entries that a summary names.
        private func paths(_ summary: JSON) -> Set<String> {
            Set(summary["findings"].elements.flatMap { $0["paths"].elements.compactMap(\.text) })
        }

        @Test func differentPacksDamagedOnEitherDriveAreHealed() throws {
            let lab = try Lab.backedUp()
            try lab.phone.storage.photos(30..<34, size: 100_000)
            try lab.expect(0, lab.backup())
            let packs = self.packs(lab, "a")
            try harm(lab.drive("a") + "/holdfast/repositories" + packs[0], .flipped)
            try harm(
                lab.drive("b") + "/holdfast/repositories" + packs[packs.count - 1], .truncated)
            try lab.expect(25, lab.holdfast("check", "--read-data", "--json"))
            try lab.expect(0, lab.holdfast("heal", "--json"))
            try lab.expectWholeAndAlike()
        }

        @Test func restoreReadsAroundADamagedDrive() throws {
            let lab = try Lab.backedUp()
            try harmPack(lab, on: ["a"], .flipped)
            try lab.expectRestores()
        }

        @Test func wrongPasswordIsRefused() throws {
            let lab = try Lab.backedUp()
            let other = try Lab.backedUp()
            let owner = lab.state + "/owners/\(try lab.owner())/"
            let (password, words) = (Child.text(owner + "password"), Child.text(owner + "words"))
            let before = lab.repositories("a")
            try write(
                String(repeating: "0123456789abcdef", count: 4) + "\n", to: owner + "password")
            try write(
                Child.text(other.state + "/owners/\(try other.owner())/words"), to: owner + "words")
            try lab.expect(41, lab.backup())
            try lab.expect(41, lab.holdfast("ls", "latest"))
            #expect(differences(before, lab.repositories("a")) == [])
            // The words of the sheet open what the password does not.
            try write(words, to: owner + "words")
            try lab.expect(0, lab.backup())
            try write(password, to: owner + "password")
            try lab.expect(0, lab.backup())
        }

        @Test func garbledConfigurationIsRefusedWithItsLine() throws {
            let lab = try Lab.backedUp()
            let right = Child.text(lab.config)
            let lines = right.split(separator: "\n", omittingEmptySubsequences: false)
            let log = try #require(lines.firstIndex { $0.hasPrefix("log:") }) + 1
            for (text, line) in [
                (right + "waiit: 3\n", lines.count), (right + "\tx: [", lines.count),
                (right.replacing("\nlog: notice", with: "\nlog: loud"), log),
            ] {
                try write(text, to: lab.config)
                for command in [["backup", "--json"], ["snapshots"], ["status"], ["heal"]] {
                    let refused = try lab.start(command).finish()
                    #expect(refused.exitCode == 40, "\(refused.story)")
                    let place = "\(lab.config):\(line):"
                    #expect(refused.errors.contains(place), "\(place) \(refused.errors)")
                }
            }
            try write(right, to: lab.config)
            try lab.expect(0, lab.backup())
        }

        @Test func garbledCatalogIsRebuilt() throws {
            let lab = try Lab.backedUp()
            for file in files(in: lab.state) where file.hasPrefix("catalog") {
                try write("no database at all", to: lab.state + "/" + file)
            }
            #expect(try lab.holdfast("snapshots", "--json").json.elements.count == 1)
            try lab.expect(0, lab.backup())
            #expect(try lab.holdfast("snapshots", "--json").json.elements.count == 2)
            try lab.expect(0, lab.holdfast("status"))
        }

        @Test(arguments: ["", "{\"drive\":", "null\n"])
        func garbledDriveRecordIsRecognisedAndRewritten(text: String) throws {
            let lab = try Lab.backedUp()
            let path = lab.drive("a") + "/holdfast/drive.json"
            let before = try JSON(text: Child.text(path))
            try write(text, to: path)
            try lab.phone.storage.photos(30..<31, size: 20_000)
            try lab.expect(0, lab.backup())
            let after = try JSON(text: Child.text(path))
            for key in before.keys where before[key].text?.contains("-") == true {
                guard key != "nonce", key != "mount_nonce" else { continue }
                #expect(after[key].text == before[key].text, "\(key)")
            }
            try lab.expectWholeAndAlike()
        }

        @Test func missingDriveRecordIsAnAbsentDrive() throws {
            let lab = try Lab.backedUp()
            try FileManager.default.removeItem(atPath: lab.drive("a") + "/holdfast/drive.json")
            let before = contents(of: lab.drive("a"))
            try lab.expect(20, lab.backup())
            #expect(differences(before, contents(of: lab.drive("a"))) == [])
        }

        @Test func lostJournalStopsNothing() throws {
            let lab = try Lab.backedUp()
            for file in files(in: lab.drive("a") + "/holdfast/journal") {
                try write("{", to: lab.drive("a") + "/holdfast/journal/" + file)
            }
            try lab.phone.storage.photos(30..<31, size: 20_000)
            try lab.expect(0, lab.backup())
            try lab.expectRestores()
        }

        private func packs(_ lab: Lab, _ drive: String) -> [String] {
            lab.repositories(drive).filter { $0.key.contains("/data/") && !$0.key.hasSuffix("/") }
                .keys.sorted()
        }

        private func harmPack(_ lab: Lab, on drives: [String], _ damage: Damage) throws {
            // The largest one holds content.
            let largest = lab.repositories("a").filter { $0.key.contains("/data/") }
                .max { size($0.value) < size($1.value) }
            let pack = try #require(largest?.key)
            for drive in drives {
                try harm(lab.drive(drive) + "/holdfast/repositories" + pack, damage)
            }
        }

        private func size(_ description: String) -> Int {
            description.split(separator: " ").first.flatMap { Int($0) } ?? 0
        }

        private func harm(_ path: String, _ damage: Damage) throws {
            var bytes = try #require(FileManager.default.contents(atPath: path))
            try FileManager.default.removeItem(atPath: path)
            switch damage {
            case .truncated: bytes.removeLast(bytes.count / 3 + 1)
            case .flipped: bytes[bytes.count / 2] ^= 0x10
            case .deleted: return
            }
            try bytes.write(to: URL(fileURLWithPath: path))
        }

        private func write(_ text: String, to path: String) throws {
            try Data(text.utf8).write(to: URL(fileURLWithPath: path))
        }
    }
}
