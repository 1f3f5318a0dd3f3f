import Foundation
import Testing

extension EndToEndTests {
    /// Phones that wait for somebody, look emptier, or go away.
    @Suite struct PhoneTests {
        @Test func noPhoneIsWaitingThatRanOut() throws {
            let lab = try Lab()
            try lab.setUp()
            let summary = try lab.expect(23, lab.backup(wait: 1)).summary
            #expect(summary["verdict"].text == "waiting")
            #expect(summary["snapshots"].elements.isEmpty)
        }

        @Test(arguments: ["--locked", "--charge-only", "--functions=adb"])
        func phoneThatShowsNothingIsWaitingThatRanOut(option: String) throws {
            let lab = try Lab()
            let phone = try lab.plugIn("Anna", [option])
            try phone.storage.fill()
            try lab.setUp()
            let phones = try lab.expect(0, lab.holdfast("phones", "--json")).json.elements
            #expect(phones.count <= 1)
            try lab.expect(23, lab.backup(wait: 1))
            #expect(files(in: lab.state + "/owners").count <= 1)
            let snapshots = try lab.expect(0, lab.holdfast("snapshots", "--json")).json
            #expect(snapshots.elements.isEmpty)
        }

        @Test func phoneUnlockedWhileTheRunWaitsIsBackedUp() throws {
            let lab = try Lab()
            let phone = try lab.plugIn("Anna", ["--locked"])
            try phone.storage.fill()
            try lab.setUp()
            let run = try lab.startBackup(wait: 60)
            let waits = eventually { run.outputSoFar.contains("waiting_for_user") }
            try #require(waits, "\(run.outputSoFar) \(run.errorsSoFar)")
            try phone.control("unlock")
            try lab.expect(0, run.finish())
            try lab.expectRestores()
        }

        @Test func phoneThatLostMuchIsAQuestion() throws {
            let lab = try Lab.backedUp(photos: 40, size: 3000)
            for number in 0..<30 {
                try lab.phone.storage.remove("DCIM/Camera/IMG_\(1000 + number).jpg")
            }
            try lab.phone.storage.photos(70..<72, size: 5000)
            let held = try lab.expect(24, lab.backup()).summary
            #expect(held["verdict"].text == "held")
            #expect(held["snapshots"][0]["complete"].flag == false)
            #expect(held["snapshots"][0]["files"].number == 46, "nothing is missing, two are new")
            let id = try #require(held["snapshots"][0]["id"].text)
            let listed = try lab.holdfast("ls", id, "--json").json.elements
            #expect(listed.contains { $0["path"].text?.hasSuffix("/IMG_1007.jpg") == true })
            try lab.expect(24, lab.backup())
            try lab.phone.control("reset-counters")
            let accepted = try lab.expect(0, lab.backup("--accept-shrink")).summary
            #expect(accepted["snapshots"][0]["files"].number == 16)
            #expect(try lab.phone.filesRead == [], "the new ones are in the partial snapshot")
            try lab.expectRestores()
            try lab.expectWholeAndAlike()
        }

        @Test func cardThatIsGoneIsAQuestion() throws {
            let lab = try Lab()
            let phone = try lab.plugIn(card: true)
            try phone.storage.fill(photos: 4)
            try phone.card.photos(20..<23, size: 20_000)
            try lab.setUp()
            try lab.expect(0, lab.backup())
            phone.end()
            try lab.plugIn()
            let held = try lab.expect(24, lab.backup()).summary
            let id = try #require(held["snapshots"][0]["id"].text)
            let listed = try lab.holdfast("ls", id, "--json").json.elements
            #expect(listed.contains { $0["path"].text == "/SD card/DCIM/Camera/IMG_1020.jpg" })
            try lab.expect(0, lab.backup("--accept-shrink"))
            try lab.expectWholeAndAlike()
        }

        @Test func lockedPhoneThatWasKnownLosesNothing() throws {
            let lab = try Lab.backedUp()
            try lab.phone.control("lock")
            try lab.expect(23, lab.backup(wait: 1))
            #expect(try lab.holdfast("snapshots", "--json").json.elements.count == 1)
            try lab.phone.control("unlock")
            try lab.expect(0, lab.backup())
            try lab.expectRestores()
        }

        @Test func unpluggedAtAnyByteIsPartialAndTheNextRunReadsOnlyTheRest() throws {
            let seed: UInt64 = 20_260_117
            var random = Seeded(seed)
            let lab = try Lab.ready(photos: 4, size: 60_000)
            for round in 1...6 {
                try lab.phone.storage.photos(round * 10..<round * 10 + 5, size: 120_000)
                let position = Int.random(in: 1000...620_000, using: &random)
                print("seed \(seed), round \(round), unplugged after \(position) bytes")
                try lab.phone.control("unplug-after", "\(position)")
                let cut = try lab.backup(wait: 0)
                // Before the session is open the phone was never reached.
                try #require([21, 23].contains(cut.exitCode), "\(position): \(cut.story)")
                var saved: Set<String> = []
                if let partial = try cut.summary["snapshots"][0]["id"].text {
                    #expect(try cut.summary["snapshots"][0]["complete"].flag == false)
                    let listed = try lab.expect(0, lab.holdfast("ls", partial, "--json")).json
                    saved = Set(listed.elements.compactMap { $0["path"].text })
                }
                try lab.phone.control("replug")
                try lab.phone.control("reset-counters")
                try lab.expect(0, lab.backup())
                let again = try lab.phone.filesRead.filter {
                    saved.contains($0.replacing(/^0:/, with: "/Internal shared storage/"))
                }
                #expect(again == [], "\(position): what the partial snapshot has was read again")
            }
            try lab.expectRestores()
            try lab.expectWholeAndAlike()
        }

        @Test func phoneThatComesBackIsFinishedInTheSameRun() throws {
            let lab = try Lab()
            let phone = try lab.plugIn("Anna", ["--bandwidth", "2"])
            try phone.storage.fill(photos: 10)
            try lab.setUp()
            let run = try lab.startBackup(wait: 60)
            #expect(phone.hasRead(400_000))
            try phone.control("unplug")
            let waits = eventually { run.outputSoFar.contains("waiting_for_phone") }
            #expect(waits, "\(run.outputSoFar)")
            try phone.control("replug")
            try lab.expect(0, run.finish())
            try lab.expectRestores()
            try lab.expectWholeAndAlike()
        }

        @Test func twoPhonesAreTwoOwnersApart() throws {
            let lab = try Lab.ready()
            let second = try lab.plugIn("Ben", bay: 2)
            try second.storage.photos(0..<3, size: 10_000, seed: 5)
            let summary = try lab.expect(0, lab.backup()).summary
            #expect(summary["snapshots"].elements.count == 2)
            #expect(files(in: lab.drive("a") + "/holdfast/repositories").count == 2)
            let ambiguous = try lab.holdfast("restore", "latest", "--to", lab.folder + "/out/x")
            try lab.expect(43, ambiguous)
            #expect(files(in: lab.folder + "/out/x").isEmpty)
        }
    }
}
