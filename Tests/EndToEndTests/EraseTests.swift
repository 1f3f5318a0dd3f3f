import Foundation
import Testing

extension EndToEndTests {
    /// A person who asks to be erased.
    @Suite struct EraseTests {
        @Test func anErasedPersonIsGoneAndThePhoneBeginsAnew() throws {
            let lab = try Lab.ready()
            let second = try lab.plugIn("Ben", bay: 2)
            try second.storage.fill(photos: 3)
            try lab.expect(0, lab.backup())
            let owners = files(in: lab.state + "/owners")
            try #require(owners.count == 2)
            let phones = try lab.holdfast("phones", "--json").json.elements
            let phone = try #require(phones.first { $0["name"].text == "Anna" })
            let owner = try #require(phone["owner"].text)
            let other = try #require(owners.first { $0 != owner })
            let others = ["a", "b"].map {
                contents(of: lab.drive($0) + "/holdfast/repositories/" + other)
            }
            try lab.expect(64, lab.holdfast("owners", "erase", owner))
            let plan = try lab.holdfast("owners", "erase", owner, "--dry-run", "--json").json
            #expect(plan["snapshots"].number == 1 && plan["phones"][0]["name"].text == "Anna")
            #expect(files(in: lab.state + "/owners") == owners, "nothing is done without --yes")
            try lab.expect(43, lab.holdfast("owners", "erase", "owner-none", "--yes"))
            let erased = try lab.holdfast("owners", "erase", owner, "--yes", "--json")
            #expect(try lab.expect(0, erased).json["drives"].elements.count == 2)
            for (position, drive) in ["a", "b"].enumerated() {
                let folder = lab.drive(drive) + "/holdfast/repositories/"
                #expect(files(in: folder) == [other])
                #expect(differences(contents(of: folder + other), others[position]) == [])
            }
            let listed = try lab.holdfast("owners", "--json").json.elements
            #expect(listed.map { $0["id"].text } == [other])
            #expect(!Child.text(lab.state + "/catalog.sqlite").contains("Anna"))
            try lab.expect(0, lab.backup("--phone", try #require(phone["id"].text)))
            let now = files(in: lab.state + "/owners")
            #expect(now.count == 2 && !now.contains(owner))
            #expect(try lab.holdfast("snapshots", "--json").json.elements.count == 2)
            try lab.expect(0, lab.holdfast("check", "--read-data"))
        }

        @Test func neitherAStaleDriveNorANewBoxBringsAnErasedPersonBack() throws {
            let lab = try Lab.backedUp()
            let owner = try lab.owner()
            let away = lab.drive("b") + "-away"
            try FileManager.default.moveItem(atPath: lab.drive("b"), toPath: away)
            try lab.expect(20, lab.holdfast("owners", "erase", owner, "--yes"))
            let waiting = try lab.holdfast("owners", "--json").json
            #expect(waiting[0]["state"].text == "erasing")
            #expect(waiting[0]["pending_drives"].elements.count == 1)
            try FileManager.default.moveItem(atPath: away, toPath: lab.drive("b"))
            let stale = lab.drive("b") + "/holdfast/repositories/" + owner
            try lab.expect(0, lab.holdfast("check"))
            #expect(!contents(of: stale).isEmpty, "a check only looks")
            let drives = try lab.holdfast("drives", "--json").json
            #expect(drives[1]["pending"][0]["kind"].text == "erasure")

            // Another box knows it from the journal: it asks for no words and copies nothing.
            let state = lab.folder + "/state-2"
            let config = lab.folder + "/two.yaml"
            let adopted = try lab.start(
                [
                    "--config", config, "setup", "--state", state, "--drive", lab.drive("a"),
                    "--drive", lab.drive("b"),
                ]
            ).finish()
            try lab.expect(0, adopted)
            #expect(files(in: lab.drive("a") + "/holdfast/repositories") == [])
            let told = try lab.holdfast("--config", config, "status").output
            #expect(told.contains("holdfast owners erase \(owner)"))

            // The box that was asked finishes by itself; the phone gets a new owner.
            try lab.expect(0, lab.backup())
            #expect(contents(of: stale).isEmpty)
            #expect(try lab.owner() != owner)
            try lab.expectWholeAndAlike()
            #expect(try lab.holdfast("drives", "--json").json[1]["pending"].elements.isEmpty)
        }

        @Test func anErasureKilledAtAnyMomentIsFinishedByTheNextRun() throws {
            let seed: UInt64 = 20_261_125
            var random = Seeded(seed)
            let lab = try Lab.ready(photos: 2)
            for round in 0..<8 {
                try lab.expect(0, lab.backup())
                let owner = try lab.owner()
                let run = try lab.start(["owners", "erase", owner, "--yes"])
                let wait = UInt32.random(in: 5...400, using: &random)
                usleep(wait * 1000)
                run.signal(SIGKILL)
                _ = run.finish()
                let isBegun = FileManager.default.fileExists(
                    atPath: lab.state + "/erased/\(owner).json")
                try lab.expect(0, lab.backup())
                let now = try lab.owner()
                #expect((now != owner) == isBegun, "seed \(seed), round \(round), \(wait) ms")
                try lab.expectWholeAndAlike()
            }
        }

        @Test func drivesTellNothingOfManyNames() throws {
            let lab = try Lab()
            let phone = try lab.plugIn("Canary-Phone-4711")
            var canaries = ["Canary-Phone-4711", "E2E0001"]
            for number in 0..<200 {
                let name = "canary\(number * 7919 % 100_003)x\(number)"
                canaries.append(name)
                try phone.storage.write("Ordner-\(name)/\(name).jpg", Data(name.utf8))
            }
            try lab.setUp()
            try lab.expect(0, lab.backup())
            // Something for the quarantine, and runs of every kind for the journal.
            let repository = try lab.repository("a")
            let pack = try #require(
                contents(of: repository + "/data").keys.first { !$0.hasSuffix("/") })
            // Packs are read-only.
            try FileManager.default.removeItem(atPath: repository + "/data" + pack)
            try Data("garbled".utf8).write(
                to: URL(fileURLWithPath: repository + "/data" + pack))
            try lab.expect(25, lab.holdfast("check", "--read-data"))
            try lab.expect(0, lab.holdfast("heal"))
            try lab.expect(0, lab.holdfast("key", "rotate", "--owner", lab.owner(), "--yes"))
            for drive in ["a", "b"] {
                let folder = lab.drive(drive)
                for file in contents(of: folder).keys where !file.hasSuffix("/") {
                    // Also within the repositories: there everything is sealed.
                    let bytes = FileManager.default.contents(atPath: folder + file) ?? Data()
                    for canary in canaries {
                        #expect(!file.contains(canary), "\(file)")
                        #expect(bytes.range(of: Data(canary.utf8)) == nil, "\(file)")
                    }
                }
            }
        }
    }
}
