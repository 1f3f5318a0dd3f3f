import Foundation
import Glibc
import Testing

extension EndToEndTests {
    /// Other programs at work in the same repositories, and what ended programs left there.
    @Suite struct NeighbourTests {
        @Test func resticSavesBesideARunAndBothAreWhole() throws {
            let lab = try running()
            let run = try start(lab)
            let file = lab.folder + "/out/theirs"
            try Data("theirs".utf8).write(to: URL(fileURLWithPath: file))
            let theirs = try lab.restic("a", "backup", file)
            #expect(theirs.exitCode == 0, "\(theirs.story)")
            #expect(run.isRunning)
            for words in [["prune"], ["forget", "--keep-last", "1", "--prune"]] {
                let refused = try lab.startRestic("a", words).finish()
                #expect(refused.exitCode != 0 && refused.errors.contains("locked"))
            }
            try finish(run, lab)
            try lab.expect(0, lab.backup())
            try lab.expectWholeAndAlike()
            #expect(try lab.restic("b", "snapshots", "--json").json.elements.count == 4)
        }

        @Test func resticUnlockNeitherEndsARunNorTakesItsLocks() throws {
            let lab = try running()
            let run = try start(lab)
            let locks = try lab.repository("a") + "/locks"
            let before = files(in: locks)
            #expect(before.count == 1)
            run.signal(SIGHUP)
            let unlock = try lab.restic("a", "unlock")
            #expect(unlock.exitCode == 0, "\(unlock.story)")
            #expect(files(in: locks) == before)
            #expect(run.isRunning)
            try finish(run, lab)
            try lab.expectWholeAndAlike()
        }

        /// What others removed meanwhile may be what an index of ours would name: a drive on which
        /// our lock is gone gets none, and the next run makes up for it.
        @Test(arguments: [(["a"], 20), (["a", "b"], 34)] as [([String], Int32)])
        func driveWhoseLockWasTakenByForceFallsBehind(drives: [String], code: Int32) throws {
            let lab = try running()
            let run = try start(lab)
            for drive in drives {
                let unlock = try lab.restic(drive, "unlock", "--remove-all")
                #expect(unlock.exitCode == 0, "\(unlock.story)")
                #expect(files(in: try lab.repository(drive) + "/locks") == [])
            }
            try finish(run, lab, code)
            try lab.expect(0, lab.backup())
            try lab.expectRestores()
            try lab.expectWholeAndAlike()
        }

        @Test func temporaryFilesOfALivingNeighbourAreLeftToIt() throws {
            let lab = try Lab.backedUp()
            // A restic that is at work: it holds a shared lock until it goes on.
            let locks = try lab.repository("a") + "/locks"
            let pipe = lab.folder + "/out/pipe"
            // Sound: the path is lent for the calls. Open for writing too, the pipe never ends.
            try #require(unsafe mkfifo(pipe, 0o600) == 0)
            let end = unsafe open(pipe, O_RDWR | O_CLOEXEC)
            defer { close(end) }
            let theirs = try lab.startRestic("a", ["backup", "--stdin"], input: pipe)
            #expect(eventually { files(in: locks).contains { $0.count == 64 } })
            let name = String(repeating: "ab", count: 32) + "-tmp-1234567"
            let file = try lab.repository("a") + "/data/ab/" + name
            try Data([1, 2, 3]).write(to: URL(fileURLWithPath: file))
            try lab.phone.storage.photos(30..<31, size: 20_000)
            try lab.expect(0, lab.backup())
            #expect(FileManager.default.fileExists(atPath: file), "it may be restic's")
            theirs.signal(SIGKILL)
            _ = theirs.finish()
            for lock in files(in: locks) {
                try FileManager.default.removeItem(atPath: locks + "/" + lock)
            }
            try lab.expect(0, lab.backup())
            lab.expectNoLeftOvers()
        }

        @Test func leftOversAreSweptEverywhereAlsoOnADriveThatWasAway() throws {
            let lab = try running()
            let run = try start(lab)
            run.signal(SIGKILL)
            _ = run.finish()
            let id = String(repeating: "cd", count: 32)
            for drive in ["a", "b"] {
                #expect(files(in: try lab.repository(drive) + "/locks").count == 1)
                let root = lab.drive(drive) + "/holdfast"
                let repository = try lab.repository(drive)
                for place in [
                    root + "/drive.json", root + "/journal/0000000009.json",
                    root + "/quarantine/x", root + "/repositories/y", repository + "/config",
                    repository + "/data/cd/" + id, repository + "/index/" + id,
                    repository + "/keys/" + id, repository + "/snapshots/" + id,
                    repository + "/locks/" + id,
                ] {
                    try Data([1]).write(to: URL(fileURLWithPath: place + "-tmp-17"))
                }
            }
            try FileManager.default.moveItem(
                atPath: lab.drive("b"), toPath: lab.drive("drawer"))
            try lab.phone.control("set", "bandwidth", "1000")
            try lab.expect(20, lab.backup())
            try FileManager.default.moveItem(
                atPath: lab.drive("drawer"), toPath: lab.drive("b"))
            try lab.expect(0, lab.backup())
            try lab.expectWholeAndAlike()
            #expect(files(in: lab.state + "/owners/\(try lab.owner())/read") == [])
        }

        @Test func secondBoxOnTheSameDrivesKeepsOutOfTheWay() throws {
            let lab = try running()
            let sheet = try lab.holdfast("key", "sheet", "--owner", lab.owner(), "--json").json
            let words = sheet["words"].elements.compactMap(\.text).joined(separator: " ")
            let second = lab.folder + "/second.yaml"
            try lab.expect(
                0,
                lab.start(
                    ["--config", second, "setup", "--state", lab.folder + "/second"]
                        + ["a", "b"].flatMap { ["--drive", lab.drive($0)] },
                    input: words + "\n"
                ).finish())
            let run = try start(lab)
            let heal = try lab.start(["--config", second, "heal", "--json"]).finish()
            try lab.expect(34, heal)
            let check = try lab.start(["--config", second, "check", "--json"]).finish()
            // A pack may be on one drive already and on its way to the other.
            #expect([0, 20, 25].contains(check.exitCode), "\(check.story)")
            #expect(run.isRunning)
            try finish(run, lab)
            try lab.expect(0, lab.start(["--config", second, "heal", "--json"]).finish())
            try lab.expect(0, lab.backup())
            try lab.expectWholeAndAlike()
        }

        // MARK: Parts

        /// A phone that was saved once and has more to save, slowly.
        private func running() throws -> Lab {
            let lab = try Lab.backedUp()
            try lab.phone.storage.photos(100..<130, size: 150_000)
            try lab.phone.control("set", "bandwidth", "0.3")
            try lab.phone.control("reset-counters")
            return lab
        }

        private func start(_ lab: Lab) throws -> Child {
            let run = try lab.startBackup()
            #expect(lab.phone.hasRead(300_000), "\(run.outputSoFar)")
            return run
        }

        private func finish(_ run: Child, _ lab: Lab, _ code: Int32 = 0) throws {
            try lab.phone.control("set", "bandwidth", "1000")
            try lab.expect(code, run.finish())
        }
    }
}
