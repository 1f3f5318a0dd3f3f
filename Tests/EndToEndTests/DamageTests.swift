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

        @Test func samePackDamagedOnBothDrivesIsLost() throws {
            let lab = try Lab.backedUp()
            try harmPack(lab, on: ["a", "b"], .flipped)
            try lab.expect(26, lab.holdfast("check", "--read-data", "--json"))
            try lab.expect(26, lab.holdfast("heal", "--json"))
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
