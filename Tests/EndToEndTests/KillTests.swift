import Foundation
import Glibc
import Testing

extension EndToEndTests {
    /// Runs that are ended by force, or politely, at some moment.
    @Suite struct KillTests {
        @Test func killedWorkerNeverMakesAFalseSnapshot() throws {
            let lab = try slow()
            let run = try lab.startBackup(wait: 2)
            #expect(lab.phone.hasRead(500_000))
            let worker = try #require(run.worker, "there is a worker")
            kill(worker, SIGKILL)
            let ended = run.finish()
            // A new worker may finish the run; if none does, the run is cut short.
            #expect([0, 21, 50].contains(ended.exitCode), "\(ended.story)")
            let snapshot = try ended.summary["snapshots"][0]
            #expect(snapshot["complete"].flag == (ended.exitCode == 0))
            try fast(lab)
            try lab.expect(0, lab.backup())
            try lab.expectRestores()
            try lab.expectWholeAndAlike()
        }

        @Test func killedProgramLeavesNothingBehindAfterTheNextRun() throws {
            let seed: UInt64 = 20_261_121
            var random = Seeded(seed)
            let lab = try slow()
            for round in 0..<5 {
                try lab.phone.storage.photos(100 + round * 10..<108 + round * 10, size: 150_000)
                try lab.phone.control("reset-counters")
                try lab.phone.control("set", "bandwidth", "3")
                let run = try lab.startBackup()
                let moment = UInt64.random(in: 1...1_500_000, using: &random)
                print("seed \(seed), round \(round), killed when \(moment) bytes were read")
                #expect(lab.phone.hasRead(moment))
                run.signal(SIGKILL)
                #expect(run.finish().exitCode == 128 + SIGKILL)
                try fast(lab)
                try lab.expect(0, lab.backup())
                lab.expectNoLeftOvers()
            }
            try lab.expectRestores()
            try lab.expectWholeAndAlike()
        }

        @Test func killedProgramTakesItsWorkerAlong() throws {
            let lab = try slow()
            let run = try lab.startBackup()
            #expect(lab.phone.hasRead(200_000))
            let worker = try #require(run.worker)
            run.signal(SIGKILL)
            _ = run.finish()
            #expect(eventually { kill(worker, 0) != 0 }, "the worker ends when its parent is gone")
        }

        @Test(arguments: [SIGINT, SIGTERM]) func signalEndsWithAPartialSnapshot(
            number: Int32
        ) throws {
            let lab = try slow()
            let run = try lab.startBackup()
            #expect(lab.phone.hasRead(800_000))
            run.signal(number)
            // Ten seconds are promised.
            let ended = try lab.expect(130, run.finish(within: 10)).summary
            #expect(ended["snapshots"][0]["complete"].flag == false)
            lab.expectNoLeftOvers()
            let partial = try #require(ended["snapshots"][0]["id"].text)
            let listed = try lab.holdfast("ls", partial, "--json").json.elements
            let saved = Set(
                listed.filter { $0["type"].text == "file" }.compactMap { $0["path"].text })
            #expect(saved.count > 1, "what was read is in it")
            try fast(lab)
            try lab.phone.control("reset-counters")
            try lab.expect(0, lab.backup())
            let again = try lab.phone.filesRead.filter {
                saved.contains($0.replacing(/^0:/, with: "/Internal shared storage/"))
            }
            #expect(again == [])
            try lab.expectRestores()
            try lab.expectWholeAndAlike()
        }

        @Test func signalWhileWaitingEndsTheRun() throws {
            let lab = try Lab()
            try lab.setUp()
            let run = try lab.startBackup(wait: 100)
            #expect(eventually { run.outputSoFar.contains("waiting_for_phone") })
            run.signal(SIGINT)
            try lab.expect(130, run.finish(within: 10))
        }

        @Test func killedCheckAndHealLeaveNothingBehind() throws {
            let lab = try Lab.backedUp(photos: 12, size: 1_000_000)
            for command in [["check", "--read-data"], ["heal"]] {
                let run = try lab.start(command)
                let locks = try lab.repository("a") + "/locks"
                #expect(eventually { !files(in: locks).isEmpty || !run.isRunning })
                run.signal(SIGKILL)
                _ = run.finish()
            }
            try lab.expect(0, lab.backup())
            try lab.expectWholeAndAlike()
        }

        private func slow() throws -> Lab {
            let lab = try Lab()
            try lab.plugIn("Anna", ["--bandwidth", "3"]).storage.fill(photos: 14, size: 200_000)
            try lab.setUp()
            return lab
        }

        private func fast(_ lab: Lab) throws {
            try lab.phone.control("set", "bandwidth", "1000")
        }
    }
}
