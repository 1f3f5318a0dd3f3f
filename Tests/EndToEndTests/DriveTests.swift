import Foundation
import Glibc
import Testing

extension EndToEndTests {
    /// Drives that are absent, full, read-only, held by somebody else, or catch up.
    @Suite struct DriveTests {
        @Test func absentDriveFallsBehindAndCatchesUp() throws {
            let lab = try Lab.backedUp()
            try move(lab, "b", "drawer")
            try lab.phone.storage.photos(30..<32, size: 50_000)
            let run = try lab.expect(20, lab.backup())
            #expect(try run.summary["verdict"].text == "one_drive")
            #expect(!FileManager.default.fileExists(atPath: lab.drive("b")))
            let drives = try lab.expect(0, lab.holdfast("drives", "--json")).json.elements
            #expect(drives.map { $0["state"].text } == ["ready", "absent"])
            #expect(journal(lab, "a").contains("\"exit_code\":20"))
            try move(lab, "drawer", "b")
            try lab.expect(0, lab.backup())
            try lab.expectWholeAndAlike()
            let snapshots = try lab.holdfast("snapshots", "--json").json.elements
            #expect(snapshots.allSatisfy { $0["copies"].elements.count == 2 })
        }

        @Test func runsOnEitherDriveAloneConverge() throws {
            let lab = try Lab.backedUp()
            try move(lab, "b", "drawer")
            try lab.phone.storage.photos(30..<32, size: 50_000)
            try lab.expect(20, lab.backup())
            try move(lab, "a", "a-drawer")
            try move(lab, "drawer", "b")
            try lab.phone.storage.photos(40..<42, size: 50_000)
            try lab.expect(20, lab.backup())
            try move(lab, "a-drawer", "a")
            let healed = try lab.holdfast("heal", "--json")
            try lab.expect(0, healed)
            try lab.expectWholeAndAlike()
            try lab.expect(0, lab.backup())
            try lab.expectWholeAndAlike()
            #expect(try lab.holdfast("snapshots", "--json").json.elements.count == 4)
            try lab.expectRestores()
        }

        @Test func bothDrivesAbsentIsNoUsableDrive() throws {
            let lab = try Lab.backedUp()
            try move(lab, "a", "x")
            try move(lab, "b", "y")
            try lab.expect(30, lab.backup())
            try lab.expect(30, lab.holdfast("check", "--json"))
            try lab.expect(0, lab.holdfast("status"))
            #expect(files(in: lab.folder).filter { ["a", "b"].contains($0) }.isEmpty)
        }

        @Test(.enabled(if: Programs.canMount)) func fullDriveFallsBehind() throws {
            let lab = try Lab()
            try lab.mount("b", bytes: 3_000_000)
            let phone = try lab.plugIn()
            try phone.storage.fill(photos: 4)
            try lab.setUp()
            try lab.expect(0, lab.backup())
            try phone.storage.photos(20..<50, size: 150_000)
            let full = try lab.expect(20, lab.backup())
            #expect(full.errors.contains("full") || full.errors.contains("space"), "\(full.errors)")
            let first = try lab.restic("b", "check", "--read-data")
            #expect(first.exitCode == 0, "\(first.story)")
            lab.expectNoLeftOvers()
            try lab.expectRestores()
        }

        @Test(.enabled(if: Programs.canMount)) func fullDrivesAreFull() throws {
            let lab = try Lab()
            try lab.mount("a", bytes: 3_000_000)
            try lab.mount("b", bytes: 3_000_000)
            let phone = try lab.plugIn()
            try phone.storage.fill(photos: 4)
            try lab.setUp()
            try lab.expect(0, lab.backup())
            let before = contents(of: phone.storage.path, dates: true)
            try phone.storage.photos(20..<50, size: 150_000)
            try lab.expect(31, lab.backup())
            for drive in ["a", "b"] {
                let check = try lab.restic(drive, "check", "--read-data")
                #expect(check.exitCode == 0, "\(check.story)")
            }
            lab.expectNoLeftOvers()
            let snapshots = try lab.holdfast("snapshots", "--json").json.elements
            let first = try #require(snapshots.first?["id"].text)
            let target = lab.folder + "/out/first"
            try lab.expect(0, lab.holdfast("restore", first, "--to", target))
            let found = contents(of: target + "/Internal shared storage", dates: true)
            #expect(differences(found, before) == [])
        }

        @Test(.enabled(if: Programs.canMount)) func driveThatTurnsReadOnlyFallsBehind() throws {
            let lab = try Lab()
            try lab.mount("b", bytes: 40_000_000)
            let phone = try lab.plugIn("Anna", ["--bandwidth", "4"])
            try phone.storage.fill(photos: 12, size: 400_000)
            try lab.setUp()
            let run = try lab.startBackup()
            #expect(phone.hasRead(1_000_000))
            #expect(TemporaryMount.makeReadOnly(lab.drive("b")))
            try lab.expect(20, run.finish())
            try lab.expectRestores()
            #expect(TemporaryMount.makeWritable(lab.drive("b")))
            try lab.expect(0, lab.backup())
            try lab.expectWholeAndAlike()
        }

        @Test(.enabled(if: Programs.canMount)) func nothingIsMadeInTheFolderOfAMissingMount() throws
        {
            let lab = try Lab()
            try lab.mount("b", bytes: 40_000_000)
            try lab.plugIn().storage.fill(photos: 4)
            try lab.setUp()
            try lab.expect(0, lab.backup())
            TemporaryMount.unmount(lab.drive("b"))
            try lab.phone.storage.photos(20..<21, size: 10_000)
            try lab.expect(20, lab.backup())
            try lab.expect(20, lab.holdfast("check", "--json"))
            #expect(files(in: lab.drive("b")) == [])
            try lab.expectRestores()
        }

        @Test func strangersExclusiveLockPutsThatDriveBehind() throws {
            let lab = try Lab.backedUp()
            let stranger = try holdLock(lab, "a")
            try lab.phone.storage.photos(30..<31, size: 20_000)
            let run = try lab.expect(20, lab.backup(wait: 1))
            let locks = files(in: try lab.repository("a") + "/locks")
            #expect(locks.count == 1, "the stranger's lock stays: \(run.story)")
            stranger.signal(SIGCONT)
            #expect(stranger.finish().exitCode == 0)
            try lab.expect(0, lab.backup())
            try lab.expectWholeAndAlike()
        }

        @Test func strangersLocksOnEveryDriveAreBusy() throws {
            let lab = try Lab.backedUp()
            let strangers = try [holdLock(lab, "a"), holdLock(lab, "b")]
            try lab.phone.storage.photos(30..<31, size: 20_000)
            try lab.expect(34, lab.backup(wait: 1))
            for stranger in strangers {
                stranger.signal(SIGCONT)
                #expect(stranger.finish().exitCode == 0)
            }
            try lab.expect(0, lab.backup())
            try lab.expectWholeAndAlike()
        }

        @Test func secondRunForTheSameOwnerWaitsOrIsBusy() throws {
            let lab = try Lab()
            let phone = try lab.plugIn("Anna", ["--bandwidth", "1"])
            try phone.storage.fill(photos: 20)
            try lab.setUp()
            let first = try lab.startBackup()
            #expect(phone.hasRead(100_000))
            let second = try lab.backup(wait: 1)
            try #require(first.isRunning)
            try lab.expect(34, second)
            let third = try lab.startBackup(wait: 120)
            #expect(eventually { third.outputSoFar.contains("waiting_for_run") })
            try phone.control("set", "bandwidth", "1000")
            try lab.expect(0, first.finish())
            let waited = try lab.expect(0, third.finish()).summary
            #expect(waited["files"]["unchanged"].number == 24)
            try lab.expectWholeAndAlike()
        }

        @Test func driveOfAnotherSetIsNotWritten() throws {
            let lab = try Lab.backedUp()
            let other = try Lab()
            try other.setUp()
            try move(lab, "b", "drawer")
            try FileManager.default.moveItem(atPath: other.drive("b"), toPath: lab.drive("b"))
            let before = contents(of: lab.drive("b"))
            for run in try [lab.backup(), lab.holdfast("check", "--json")] {
                try lab.expect(20, run)
                #expect(run.errors.contains("another drive is connected"), "\(run.story)")
            }
            #expect(differences(before, contents(of: lab.drive("b"))) == [])
        }

        @Test func runThatSavedNothingNamesNoDriveAsHoldingIt() throws {
            let lab = try Lab.backedUp()
            try lab.phone.control("lock")
            let run = try lab.expect(23, lab.backup(wait: 1)).summary
            #expect(run["copies"].elements.isEmpty)
        }

        @Test func restoreIntoADrivesOwnFilesIsRefused() throws {
            let lab = try Lab.backedUp()
            let before = contents(of: lab.drive("b"))
            let own = lab.drive("b") + "/holdfast"
            try FileManager.default.createSymbolicLink(
                atPath: lab.folder + "/link", withDestinationPath: own)
            for target in [own, own + "/repositories", own + "/new/below", lab.folder + "/link/x"] {
                let refused = try lab.holdfast("restore", "latest", "--to", target, "--json")
                try lab.expect(64, refused)
            }
            #expect(differences(before, contents(of: lab.drive("b"))) == [])
            try lab.expect(
                0, lab.holdfast("restore", "latest", "--to", lab.drive("b") + "/restored"))
        }

        private func move(_ lab: Lab, _ from: String, _ to: String) throws {
            try FileManager.default.moveItem(atPath: lab.drive(from), toPath: lab.drive(to))
        }

        private func journal(_ lab: Lab, _ drive: String) -> String {
            let folder = lab.drive(drive) + "/holdfast/journal"
            return files(in: folder).map { Child.text(folder + "/" + $0) }.joined()
        }

        /// A real restic that stands still while it holds an exclusive lock.
        private func holdLock(_ lab: Lab, _ drive: String) throws -> Child {
            let locks = try lab.repository(drive) + "/locks"
            let child = try lab.startRestic(drive, ["check", "--read-data"])
            let isHeld = eventually {
                files(in: locks).contains { $0.count == 64 } || !child.isRunning
            }
            child.signal(SIGSTOP)
            try #require(isHeld && files(in: locks).count == 1)
            return child
        }
    }
}
