import Foundation
import Glibc
import Testing

extension EndToEndTests {
    /// Runs that are killed after they have read for long, and what the next one reads again.
    @Suite struct ContinuationTests {
        /// Photos on the phone beside the five other files of `fill`.
        private static let photos = 60

        @Test func killedFirstRunIsContinuedFromItsList() throws {
            let lab = try slow()
            try kill(lab, after: 5_000_000)
            try expectContinued(lab)
        }

        @Test(arguments: [20_261_124, 7, 99] as [UInt64])
        func killedAtAnyMomentNothingListedIsReadAgain(seed: UInt64) throws {
            var random = Seeded(seed)
            let lab = try slow()
            // Killed twice in a row; the second list stands on the first.
            for round in 0..<2 {
                let moment = UInt64.random(in: 200_000...4_000_000, using: &random)
                print("seed \(seed), round \(round), killed when \(moment) bytes were read")
                try kill(lab, after: moment)
            }
            try expectContinued(lab)
        }

        @Test func killedRunWithAParentIsContinued() throws {
            let lab = try Lab.backedUp()
            try lab.phone.storage.photos(100..<140, size: 150_000)
            try lab.phone.control("set", "bandwidth", "2")
            try lab.phone.control("reset-counters")
            try kill(lab, after: 4_000_000)
            let partial = try expectContinued(lab)
            // What the run read, and not what the parent has.
            #expect(partial.allSatisfy { $0.contains("IMG_11") || $0.contains("IMG_12") })
        }

        @Test func fileThatChangedAfterTheKillIsReadAgain() throws {
            let lab = try slow()
            try kill(lab, after: 5_000_000)
            let changed = "DCIM/Camera/IMG_1000.jpg"
            try lab.phone.storage.write(changed, Data("another".utf8), date: 1_710_000_000)
            try lab.phone.control("reset-counters")
            try continued(lab)
            #expect(try lab.phone.filesRead.contains("0:" + changed))
            try lab.expectRestores()
            try lab.expectWholeAndAlike()
        }

        @Test func listWhoseContentIsGoneCostsASecondReading() throws {
            let lab = try slow()
            try kill(lab, after: 5_000_000)
            for drive in ["a", "b"] {
                let data = try lab.repository(drive) + "/data"
                for folder in files(in: data) {
                    for pack in files(in: data + "/" + folder) {
                        try FileManager.default.removeItem(atPath: "\(data)/\(folder)/\(pack)")
                    }
                }
            }
            try lab.phone.control("reset-counters")
            try continued(lab)
            // An empty file has nothing to be read.
            #expect(try lab.phone.filesRead.count == Self.photos + 3)
            try lab.expectRestores()
            #expect(lists(lab) == [])
        }

        @Test(arguments: ["", "garbage", "\0\0\0\u{5}hello", "\u{7f}\u{7f}\u{7f}\u{7f}x"])
        func garbledListIsNone(content: String) throws {
            let lab = try slow()
            try kill(lab, after: 4_000_000)
            let list = try #require(lists(lab).first)
            try Data(content.utf8).write(to: URL(fileURLWithPath: list))
            try continued(lab)
            #expect(try lab.holdfast("snapshots", "--json").json.elements.count == 1)
            #expect(lists(lab) == [])
            try lab.expectRestores()
            try lab.expectWholeAndAlike()
        }

        @Test func listCutShortCountsUpToThere() throws {
            let lab = try slow()
            try kill(lab, after: 5_000_000)
            let list = try #require(lists(lab).first)
            let bytes = try #require(FileManager.default.contents(atPath: list))
            try bytes.dropLast(1).write(to: URL(fileURLWithPath: list))
            try expectContinued(lab, isCut: true)
        }

        @Test func noNameOfAFileStandsInTheListForOthersToRead() throws {
            let lab = try slow()
            try kill(lab, after: 4_000_000)
            let list = try #require(lists(lab).first)
            let bytes = try #require(FileManager.default.contents(atPath: list))
            #expect(bytes.range(of: Data("IMG_".utf8)) == nil)
            #expect(bytes.range(of: Data("Camera".utf8)) == nil)
            let mode = try FileManager.default.attributesOfItem(atPath: list)[.posixPermissions]
            #expect(mode as? Int == 0o600)
        }

        // MARK: Parts

        private func slow() throws -> Lab {
            let lab = try Lab()
            try lab.plugIn("Anna", ["--bandwidth", "2"]).storage
                .fill(photos: Self.photos, size: 150_000)
            try lab.setUp()
            return lab
        }

        /// Runs with a checkpoint each second and kills the program after so many bytes.
        private func kill(_ lab: Lab, after bytes: UInt64) throws {
            try lab.phone.control("reset-counters")
            let run = try lab.start(
                ["backup", "--json"], variables: ["HOLDFAST_CHECKPOINT": "1"])
            #expect(lab.phone.hasRead(bytes), "\(run.outputSoFar)")
            try #require(run.isRunning, "it was done before it could be killed")
            run.signal(SIGKILL)
            #expect(run.finish().exitCode == 128 + SIGKILL)
        }

        private func continued(_ lab: Lab) throws {
            try lab.phone.control("set", "bandwidth", "1000")
            try lab.expect(0, lab.backup())
        }

        /// The lists of files in the state folder.
        private func lists(_ lab: Lab) -> [String] {
            files(in: lab.state + "/owners").flatMap { owner in
                files(in: "\(lab.state)/owners/\(owner)/read").map {
                    "\(lab.state)/owners/\(owner)/read/\($0)"
                }
            }
        }

        /// The next run reads what the list lacks and nothing else, and makes of the list a
        /// partial snapshot that restores; gives that snapshot's files.
        @discardableResult
        private func expectContinued(
            _ lab: Lab, isCut: Bool = false, at location: SourceLocation = #_sourceLocation
        ) throws -> Set<String> {
            let before = try lab.holdfast("snapshots", "--json").json.elements.count
            let wasListed = !lists(lab).isEmpty
            try lab.phone.control("reset-counters")
            try continued(lab)
            let all = try lab.holdfast("snapshots", "--json").json.elements
            let read = try Set(lab.phone.filesRead.map { String($0.dropFirst(2)) })
            #expect(lists(lab) == [], sourceLocation: location)
            try lab.expectRestores(at: location)
            try lab.expectWholeAndAlike(at: location)
            guard wasListed, !isCut || all.count > before + 1 else { return [] }
            let partial = try #require(
                all.last { $0["complete"].flag == false }, sourceLocation: location)
            let id = try #require(partial["id"].text)
            let kept = try restored(id, lab)
            #expect(!kept.isEmpty, sourceLocation: location)
            #expect(kept.isDisjoint(with: read), "\(kept.intersection(read))")
            let tags = try lab.restic("b", "snapshots", id, "--json")
            #expect(tags.output.contains("\"partial\""), "\(tags.story)")
            return kept
        }

        /// The files of a snapshot as a restore of it gives them, all as the phone has them.
        private func restored(_ snapshot: String, _ lab: Lab) throws -> Set<String> {
            let target = lab.folder + "/out/partial-" + UUID().uuidString
            try lab.expect(0, lab.holdfast("restore", snapshot, "--to", target))
            let found = contents(of: target + "/Internal shared storage", dates: true)
                .filter { !$0.key.hasSuffix("/") }
            let there = contents(of: lab.phone.storage.path, dates: true)
            for (path, what) in found { #expect(there[path] == what, "\(path)") }
            return Set(found.keys.map { String($0.dropFirst()) })
        }
    }
}
