import Foundation
import Glibc
import SimulatedPhones
import Testing

extension EndToEndTests {
    /// An iPhone: how it comes to trust the box, and its media folder.
    @Suite struct IPhoneMediaTests {
        /// Two drives, and an iPhone that trusts the box as soon as it is asked.
        private func ready(_ options: String...) throws -> (lab: Lab, phone: IPhone) {
            let lab = try Lab()
            let phone = try lab.plugInIPhone(options)
            try lab.setUp()
            return (lab, phone)
        }

        private func phones(_ lab: Lab) throws -> [JSON] {
            try lab.expect(0, lab.holdfast("phones", "--json")).json.elements
        }

        private func backUp(_ lab: Lab, _ arguments: String..., wait: Int = 20) throws -> Finished {
            try lab.startBackup(["--capture", "media"] + arguments, wait: wait).finish()
        }

        // MARK: Trust

        @Test func aPhoneIsToldByItsNameWhileItsOwnerActs() throws {
            let (lab, phone) = try ready(
                "--name", "Anna's iPhone", "--lock", "locked", "--trust", "ask")
            let locked = try #require(try phones(lab).first)
            #expect(locked["family"].text == "iphone")
            #expect(locked["name"].text == "Anna's iPhone")
            #expect(locked["model"].text == "iPhone 13")
            #expect(locked["id"].text?.hasPrefix("iphone-") == true)
            #expect(locked["bay"].text?.hasPrefix("mux-") == true)
            #expect(locked["state"].text == "waiting")
            #expect(locked["message"].text?.contains("Unlock the phone.") == true)
            try phone.control("unlock")
            let asking = try #require(try phones(lab).first)
            #expect(asking["state"].text == "waiting")
            #expect(asking["message"].text?.contains("Tap Trust") == true)
            #expect(try phone.status.dialogIsUp)
            try phone.control("trust")
            let trusted = try #require(try phones(lab).first)
            #expect(trusted["state"].text == "ready", "\(trusted.value)")
            #expect(trusted["id"].text == locked["id"].text)
            #expect(files(in: lab.state + "/owners").isEmpty, "nobody was backed up")
        }

        @Test func aRunWaitsAndSaysEachThingItWaitsFor() throws {
            let (lab, phone) = try ready("--lock", "locked", "--trust", "ask")
            let run = try lab.startBackup(["--capture", "media"], wait: 60)
            try #require(eventually { run.outputSoFar.contains("Unlock the phone.") })
            #expect(files(in: lab.state + "/owners").isEmpty, "nobody trusts us yet")
            try phone.control("unlock")
            try #require(eventually { run.outputSoFar.contains("Tap Trust") })
            try phone.control("trust")
            try lab.expect(0, run.finish())
        }

        @Test func aPhoneThatSaysNoIsRefused() throws {
            let (lab, _) = try ready("--trust", "deny")
            let refused = try lab.expect(52, backUp(lab))
            #expect(refused.errors.contains("Don't Trust was tapped"))
            #expect(try phones(lab).first?["state"].text == "refused")
            #expect(files(in: lab.state + "/owners").isEmpty)
        }

        @Test(arguments: ["MCProtected", "FMiPProtected"])
        func aManagedOrProtectedPhoneIsRefused(error: String) throws {
            let (lab, _) = try ready("--trust", error)
            try lab.expect(52, backUp(lab))
        }

        @Test func aPhoneNobodyUnlocksIsWaitingThatRanOut() throws {
            let (lab, phone) = try ready("--lock", "locked")
            try lab.expect(23, backUp(lab, wait: 1))
            try phone.control("unlock")
            try lab.expect(0, backUp(lab))
            try phone.control("before-first-unlock")
            let restarted = try lab.expect(23, backUp(lab, wait: 1))
            #expect(restarted.errors.contains("Enter its passcode once"))
            // Locked, but unlocked since its start: it can be read.
            try phone.control("lock")
            try lab.expect(0, backUp(lab))
        }

        @Test func aPhoneThatForgotUsIsPairedAnew() throws {
            let (lab, phone) = try ready()
            try lab.expect(0, backUp(lab))
            try phone.control("forget-hosts")
            try lab.expect(0, backUp(lab))
            #expect(try phone.status.counters.pairings == 2)
        }

        @Test func noUsbmuxdIsNoPhone() throws {
            let lab = try Lab()
            try lab.setUp()
            #expect(try phones(lab).isEmpty)
        }

        // MARK: Media

        @Test func mediaIsSavedOnceAndComesBackAsItWas() throws {
            let (lab, phone) = try ready("--photos", "30", "--cloud-photos", "3")
            let first = try lab.expect(0, backUp(lab)).summary
            #expect(first["verdict"].text == "safe")
            #expect(first["only_in_cloud"].number == 3)
            #expect(
                first["message"].text?.contains("3 photos and videos exist only in iCloud") == true)
            try lab.expectWholeAndAlike()
            try expectRestores(lab, phone)
            try phone.control("reset-counters")
            let second = try lab.expect(0, backUp(lab)).summary
            #expect(try phone.filesRead == [])
            #expect(second["files"]["new"].number == 0)
            #expect(second["files"]["unchanged"].number == first["files"]["new"].number)
            #expect(second["only_in_cloud"].number == 3, "known from before")
            #expect(second["bytes"]["stored"].number ?? .max < 5000)
        }

        @Test func resticRestoresThePhonesBytesAndDates() throws {
            let (lab, phone) = try ready()
            try lab.expect(0, backUp(lab))
            let target = lab.folder + "/out/restic"
            let restored = try lab.restic("b", "restore", "latest", "--target", target)
            #expect(restored.exitCode == 0, "\(restored.story)")
            #expect(differences(contents(of: target + "/Media", dates: true), phone.saved()) == [])
        }

        @Test func aNewPhotoIsTheOnlyOneRead() throws {
            let (lab, phone) = try ready()
            try lab.expect(0, backUp(lab))
            let new = "/DCIM/100APPLE/IMG_9000.HEIC"
            let path = IPhone.directory(lab.folder) + "/\(IPhone.udid)/Media" + new
            try Data([UInt8](repeating: 7, count: 70_000)).write(to: URL(fileURLWithPath: path))
            try phone.control("reset-counters")
            let summary = try lab.expect(0, backUp(lab)).summary
            #expect(summary["files"]["new"].number == 1)
            #expect(try phone.filesRead.filter { $0.hasPrefix("/DCIM") } == [new])
            try expectRestores(lab, phone)
        }

        @Test(arguments: [2_000, 400_000, 2_500_000])
        func aLineLostComesBackAndTheRunGoesOn(bytes: Int) throws {
            let (lab, phone) = try ready()
            try phone.control("unplug-after", "\(bytes)", "com.apple.afc")
            let run = try lab.startBackup(["--capture", "media"], wait: 60)
            let isLost = eventually { ((try? phone.status)?.plugged == false) || !run.isRunning }
            try #require(isLost && run.isRunning, "\(run.outputSoFar)")
            try phone.control("replug")
            try lab.expect(0, run.finish())
            try lab.expectWholeAndAlike()
            try expectRestores(lab, phone)
        }

        @Test func aPhoneThatStaysAwayLeavesWhatWasRead() throws {
            let (lab, phone) = try ready("--photos", "40")
            try phone.control("unplug-after", "3000000", "com.apple.afc")
            let lost = try lab.expect(21, backUp(lab, wait: 2)).summary
            #expect(lost["snapshots"][0]["complete"].flag == false)
            try phone.control("replug")
            try phone.control("reset-counters")
            try lab.expect(0, backUp(lab))
            let all = phone.saved().keys.filter { !$0.hasSuffix("/") }.count
            #expect(try phone.filesRead.count < all, "what was read is not read again")
            try expectRestores(lab, phone)
        }

        // MARK: Hostile answers

        @Test(arguments: [
            "short-length", "huge", "bad-magic", "bad-number", "more-data", "names",
            "endless-list", "endless-tree",
        ])
        func anAnswerThatBreaksTheRulesEndsTheCaptureOnly(fault: String) throws {
            let (lab, phone) = try ready("--photos", "6")
            try lab.expect(0, backUp(lab))
            let before = lab.repositories("a").keys.filter { $0.contains("/snapshots/") }
            try phone.control("afc-fault", fault)
            let run = try backUp(lab, "--reread", wait: 3)
            #expect([21, 22, 50, 51].contains(run.exitCode), "\(run.story)")
            #expect(!run.errors.contains("\u{1B}"))
            if [50, 51].contains(run.exitCode) {
                let after = lab.repositories("a").keys.filter { $0.contains("/snapshots/") }
                #expect(Set(after) == Set(before), "\(run.story)")
            }
            try phone.control("afc-fault", "none")
            try lab.expect(0, backUp(lab))
            try expectRestores(lab, phone)
            try lab.expectWholeAndAlike()
        }

        @Test(arguments: ["half-data", "odd-info", "read-error"])
        func anEntryThatCannotBeReadKeepsWhatWasSavedOfIt(fault: String) throws {
            let (lab, phone) = try ready("--photos", "6")
            try lab.expect(0, backUp(lab))
            try phone.control("afc-fault", fault, "3")
            let run = try backUp(lab, "--reread")
            #expect([0, 22].contains(run.exitCode), "\(run.story)")
            try expectRestores(lab, phone)
        }

        // MARK: The agent

        @Test func theAgentWaitsForTrustAndBacksUp() throws {
            let (lab, phone) = try ready("--trust", "ask")
            let bay = try #require(try phones(lab).first?["bay"].text)
            let agent = try lab.start(["--bay", bay], program: Programs.agent)
            let file = lab.state + "/run/bays/\(bay).json"
            func state(_ key: String) -> String? {
                // While there is no file there is no state.
                (try? JSON(text: Child.text(file)))?[key].text
            }
            let asks = eventually { state("message")?.contains("Tap Trust") == true }
            #expect(asks && state("state") == "waiting", "\(agent.errorsSoFar)")
            try phone.control("trust")
            #expect(eventually { state("state") == "done" }, "\(agent.errorsSoFar)")
            try phone.control("unplug")
            #expect(agent.finish().exitCode == 0)
            try expectRestores(lab, phone)
        }

        @Test func theAgentLeavesAPhoneThatSaidNoAlone() throws {
            let (lab, phone) = try ready("--trust", "deny")
            let bay = try #require(try phones(lab).first?["bay"].text)
            let agent = try lab.start(["--bay", bay], program: Programs.agent)
            let file = lab.state + "/run/bays/\(bay).json"
            #expect(eventually { Child.text(file).contains("\"refused\"") }, "\(agent.errorsSoFar)")
            try phone.control("unplug")
            #expect(agent.finish().exitCode == 52)
        }

        private func expectRestores(
            _ lab: Lab, _ phone: IPhone, at location: SourceLocation = #_sourceLocation
        ) throws {
            let target = lab.folder + "/out/restored-" + UUID().uuidString
            let restored = try lab.holdfast(
                "restore", "latest", "--capture", "media", "--to", target)
            try #require(restored.exitCode == 0, "\(restored.story)", sourceLocation: location)
            let found = contents(of: target + "/Media", dates: true)
            #expect(differences(found, phone.saved()) == [], sourceLocation: location)
        }
    }
}
