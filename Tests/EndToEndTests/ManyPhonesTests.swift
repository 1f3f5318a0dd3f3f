import Foundation
import Glibc
import SimulatedPhones
import Testing

extension EndToEndTests {
    /// Several phones at the same time, each with a program of its own.
    @Suite struct ManyPhonesTests {
        @Test(arguments: [2, 3]) func phonesOfDifferentOwnersAreSavedAtTheSameTime(
            count: Int
        ) throws {
            let lab = try phones(count)
            for round in 0..<2 {
                let runs = try lab.phones.map { phone in
                    try lab.startBackup(["--phone", "1-\(phone.bay)"], wait: 60)
                }
                for run in runs { try lab.expect(0, run.finish()) }
                try expectEachRestores(lab, snapshots: round + 1)
                for phone in lab.phones {
                    try phone.storage.photos(100..<104, size: 100_000, seed: UInt64(phone.bay))
                }
            }
            #expect(files(in: lab.state + "/owners").count == count)
            try expectWhole(lab)
        }

        @Test func agentsOfThreeBaysSaveTheirPhonesAtTheSameTime() throws {
            let lab = try phones(3)
            let agents = try lab.phones.map { phone in
                try lab.start(["--bay", "1-\(phone.bay)"], program: Programs.agent)
            }
            for phone in lab.phones {
                let path = "\(lab.state)/run/bays/1-\(phone.bay).json"
                // While there is no file there is no state.
                let isDone = eventually {
                    (try? JSON(text: Child.text(path)))?["state"].text == "done"
                }
                #expect(isDone, "\(Child.text(path))")
            }
            for phone in lab.phones { try phone.control("unplug") }
            for agent in agents { #expect(agent.finish().exitCode == 0) }
            try expectEachRestores(lab, snapshots: 1)
            try expectWhole(lab)
        }

        @Test func twoPhonesOfOneOwnerWaitForEachOther() throws {
            let lab = try phones(2)
            try lab.expect(0, lab.backup("--phone", "1-1"))
            let owner = try lab.owner()
            try lab.expect(0, lab.backup("--phone", "1-2"))
            try link(lab, to: owner)
            try lab.phones[0].storage.photos(200..<220, size: 150_000)
            try lab.phones[0].control("set", "bandwidth", "0.2")
            try lab.phones[0].control("reset-counters")
            let first = try lab.startBackup(["--phone", "1-1"])
            #expect(lab.phones[0].hasRead(200_000))
            try lab.expect(34, lab.backup("--phone", "1-2", wait: 1))
            let second = try lab.startBackup(["--phone", "1-2"], wait: 120)
            #expect(eventually { second.outputSoFar.contains("waiting_for_run") })
            #expect(first.isRunning)
            try lab.phones[0].control("set", "bandwidth", "1000")
            try lab.expect(0, first.finish())
            try lab.expect(0, second.finish())
            let held = try lab.holdfast("snapshots", "--owner", owner, "--json").json.elements
            #expect(Set(held.compactMap { $0["phone"].text }).count == 2)
            try expectWhole(lab)
        }

        @Test func killedNeighbourHoldsNobodyUp() throws {
            let lab = try phones(3)
            try lab.phones[0].control("set", "bandwidth", "1")
            let victim = try lab.startBackup(["--phone", "1-1"])
            #expect(lab.phones[0].hasRead(200_000))
            let others = try [2, 3].map { try lab.startBackup(["--phone", "1-\($0)"]) }
            victim.signal(SIGKILL)
            _ = victim.finish()
            for run in others { try lab.expect(0, run.finish()) }
            try lab.phones[0].control("set", "bandwidth", "1000")
            try lab.expect(0, lab.backup("--phone", "1-1"))
            try expectEachRestores(lab, snapshots: 1)
            try expectWhole(lab)
        }

        // MARK: One run for all

        @Test func aPhoneThatAnotherRunHasHoldsUpNoOther() throws {
            let lab = try phones(2)
            try lab.phones[0].control("set", "bandwidth", "0.2")
            let busy = try lab.startBackup(["--phone", "1-1"])
            #expect(lab.phones[0].hasRead(200_000))
            let all = try lab.startBackup(wait: 120)
            try #require(eventually { (try? savedNames(lab)) == ["Phone 2"] })
            #expect(busy.isRunning && all.isRunning)
            #expect(eventually { all.outputSoFar.contains("waiting_for_run") })
            try lab.phones[0].control("set", "bandwidth", "1000")
            try lab.expect(0, busy.finish())
            try lab.expect(0, all.finish())
            #expect(try savedNames(lab) == ["Phone 1", "Phone 2"])
            try expectWhole(lab)
        }

        /// Two iPhones that are told apart by name, each with `options` of its own.
        private func iPhones(_ first: String, _ second: String) throws -> (Lab, IPhone) {
            let lab = try Lab()
            let phone = try lab.plugInIPhone([
                "--phone", "udid=00008110-000A1B2C3D4E801E,name=First" + first,
                "--phone", "udid=00008110-000A1B2C3D4E802E,name=Second" + second,
            ])
            try lab.setUp()
            return (lab, phone)
        }

        private func savedNames(_ lab: Lab) throws -> Set<String> {
            Set(
                try lab.holdfast("snapshots", "--json").json.elements
                    .filter { $0["complete"].flag == true }.compactMap { $0["phone_name"].text })
        }

        @Test(arguments: [true, false]) func aPhoneThatRefusesHoldsUpNoOther(
            isFirst: Bool
        ) throws {
            let (lab, _) = try iPhones(
                isFirst ? ",trust=deny" : "", isFirst ? "" : ",trust=deny")
            let run = try lab.expect(52, lab.startBackup(["--capture", "media"]).finish())
            #expect(try savedNames(lab) == [isFirst ? "Second" : "First"])
            // Both are told by what became of them.
            let message = try #require(try run.summary["message"].text)
            #expect(message.contains("The iPhone in bay mux-"), "\(message)")
            #expect(message.contains("The backup is complete"), "\(message)")
            let failed = try run.summary["runs"].elements.filter { $0["bay"].text != nil }
            #expect(failed.count == 1 && failed.first?["exit_code"].number == 52)
        }

        @Test func aLockedPhoneIsWaitedForAfterTheOther() throws {
            let (lab, phone) = try iPhones(",lock=locked", "")
            let run = try lab.startBackup(["--capture", "media"], wait: 60)
            try #require(eventually { (try? savedNames(lab)) == ["Second"] })
            #expect(run.isRunning)
            try phone.control(bay: 1, "unlock")
            let done = try lab.expect(0, run.finish())
            #expect(try savedNames(lab) == ["First", "Second"])
            let message = try #require(try done.summary["message"].text)
            #expect(message.contains("First: The backup is complete"), "\(message)")
        }

        @Test func aPhoneThatStaysLockedIsNoSuccess() throws {
            let (lab, _) = try iPhones("", ",lock=locked")
            let run = try lab.expect(
                23, lab.startBackup(["--capture", "media"], wait: 3).finish())
            #expect(try savedNames(lab) == ["First"])
            #expect(try run.summary["message"].text?.contains("Unlock the phone.") == true)
        }

        /// The one that is asked for is saved, and the other one is not spoken to.
        @Test func aPhoneThatIsNotMeantIsLeftAlone() throws {
            let (lab, phone) = try iPhones(",trust=deny", "")
            try lab.expect(52, lab.startBackup(["--capture", "media"]).finish())
            let known = try lab.holdfast("phones", "--json").json.elements
            let id = try #require(known.first { $0["name"].text == "Second" }?["id"].text)
            try phone.control(bay: 1, "reset-counters")
            try lab.expect(
                0, lab.startBackup(["--capture", "media", "--phone", id]).finish())
            #expect(try phone.status.counters.bytesReceived.values.allSatisfy { $0 == 0 })
        }

        // MARK: Parts

        private func phones(_ count: Int) throws -> Lab {
            let lab = try Lab()
            for bay in 1...count {
                let phone = try lab.plugIn("Phone \(bay)", bay: bay)
                try phone.storage.photos(0..<(10 + 4 * bay), size: 150_000, seed: UInt64(bay))
                try phone.storage.write("only on \(bay).txt", Data("\(bay)".utf8))
            }
            try lab.setUp()
            return lab
        }

        /// Makes `owner` the owner of every phone, as linking phones will.
        private func link(_ lab: Lab, to owner: String) throws {
            for other in files(in: lab.state + "/owners") where other != owner {
                for file in files(in: lab.state + "/phones") {
                    let path = lab.state + "/phones/" + file
                    let text = Child.text(path).replacing(other, with: owner)
                    try Data(text.utf8).write(to: URL(fileURLWithPath: path))
                }
                try FileManager.default.removeItem(atPath: lab.state + "/owners/" + other)
                for drive in ["a", "b"] {
                    try FileManager.default.removeItem(
                        atPath: "\(lab.drive(drive))/holdfast/repositories/\(other)")
                }
            }
        }

        private func expectEachRestores(_ lab: Lab, snapshots: Int) throws {
            let known = try lab.holdfast("phones", "--json").json.elements
            for phone in lab.phones {
                let id = try #require(known.first { $0["name"].text == "Phone \(phone.bay)" })["id"]
                let of = try lab.holdfast("snapshots", "--phone", id.text ?? "", "--json").json
                #expect(of.elements.filter { $0["complete"].flag == true }.count == snapshots)
                let target = lab.folder + "/out/" + UUID().uuidString
                try lab.expect(
                    0,
                    lab.holdfast(
                        "restore", "latest", "--phone", id.text ?? "", "--to", target))
                let found = contents(of: target + "/Internal shared storage", dates: true)
                let there = contents(of: phone.storage.path, dates: true)
                #expect(differences(found, there) == [])
            }
        }

        /// Both drives hold the same, every repository is whole, every journal's chain too, and
        /// the next run finds both drives to be themselves.
        private func expectWhole(_ lab: Lab) throws {
            #expect(differences(lab.repositories("a"), lab.repositories("b")) == [])
            lab.expectNoLeftOvers()
            try lab.expect(0, lab.holdfast("check", "--read-data", "--json"))
            for drive in ["a", "b"] {
                let folder = lab.drive(drive) + "/holdfast/journal"
                let names = files(in: folder)
                for (index, name) in names.enumerated() {
                    #expect(Int(name.prefix(10)) == index + 1)
                }
            }
            let drives = try lab.expect(0, lab.holdfast("drives", "--json")).json.elements
            #expect(drives.map { $0["state"].text } == ["ready", "ready"])
        }
    }
}
