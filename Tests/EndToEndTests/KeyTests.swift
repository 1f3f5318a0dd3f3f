import Foundation
import Glibc
import Testing

extension EndToEndTests {
    /// The sheet on paper, and keys that change.
    @Suite struct KeyTests {
        // MARK: The sheet

        @Test func theCodeOnThePageHoldsThePasswordForRestic() throws {
            let lab = try Lab.backedUp()
            let owner = try lab.owner()
            let path = lab.folder + "/out/sheet.html"
            let written = try lab.holdfast("key", "sheet", "--owner", owner, "--page", path)
            try lab.expect(0, written)
            #expect(written.output.isEmpty && written.errors.contains(path))
            let page = Child.text(path)
            let svg = try #require(page.firstMatch(of: /<svg.*<\/svg>/.dotMatchesNewlines())?.0)
            try Data(svg.utf8).write(to: URL(fileURLWithPath: lab.folder + "/out/code.svg"))
            let picture = lab.folder + "/out/code.png"
            try run(
                lab,
                ["/usr/bin/rsvg-convert", "-w", "400", "-o", picture, lab.folder + "/out/code.svg"])
            let read = try run(lab, ["/usr/bin/zbarimg", "--quiet", "--raw", picture])
            let password = read.output.trimmingCharacters(in: .newlines)
            let opened = try lab.restic(
                "b", "snapshots", variables: ["RESTIC_PASSWORD": password])
            #expect(opened.exitCode == 0, "\(opened.story)")
            #expect(page.contains(">\(password)<"))
            for refused in [path, lab.drive("a") + "/sheet.html"] {
                try lab.expect(
                    64, lab.holdfast("key", "sheet", "--owner", owner, "--page", refused))
            }
            let printed = try lab.holdfast("key", "sheet", "--owner", owner, "--page", "-")
            #expect(printed.output.hasPrefix("<!DOCTYPE html>"))
            let text = try lab.holdfast("key", "sheet", "--owner", owner)
            #expect(text.output.contains(password) && !text.output.contains("\u{1b}"))
        }

        @Test func aPrintedSheetIsProvedByTypingIt() throws {
            let lab = try Lab.backedUp()
            let owner = try lab.owner()
            let words = try words(lab)
            try FileManager.default.removeItem(atPath: lab.state + "/owners/\(owner)/keys")
            var wrong = words
            wrong[1] = wrong[1] == "babab" ? "dabab" : "babab"
            let refused = try prove(lab, wrong.joined(separator: " "))
            #expect(try lab.expect(41, refused).errors.contains("Word 2 "))
            let before = ["a", "b"].map { contents(of: lab.drive($0)) }
            let proved = try prove(lab, "  " + words.joined(separator: "\t").uppercased())
            let proof = try lab.expect(0, proved).json
            #expect(proof["proved"].flag == true)
            #expect(proof["drives"].elements.map { $0["state"].text } == ["opened", "opened"])
            #expect(["a", "b"].map { contents(of: lab.drive($0)) } == before)
            #expect(!proved.errors.contains(words[0]), "words are not repeated")
            let owners = try lab.holdfast("owners", "--json").json
            #expect(owners[0]["sheet_proved"].text != nil)
            let variable = try lab.holdfast(
                "key", "sheet", "--prove", "--owner", owner,
                variables: ["HOLDFAST_WORDS": words.joined(separator: "-")])
            try lab.expect(0, variable)
        }

        // MARK: Rotation

        @Test func afterARotationTheOldSheetIsVoidAndResticTakesTheNewPassword() throws {
            let lab = try Lab.backedUp()
            let owner = try lab.owner()
            let old = try words(lab).joined(separator: "-")
            let oldPassword = try password(lab)
            try lab.expect(64, lab.holdfast("key", "rotate", "--owner", owner))
            let plan = try lab.holdfast("key", "rotate", "--owner", owner, "--dry-run")
            #expect(try lab.expect(0, plan).output.contains("same master key"))
            #expect(try password(lab) == oldPassword, "nothing is done without --yes")
            let rotated = try lab.holdfast("key", "rotate", "--owner", owner, "--yes", "--json")
            #expect(try lab.expect(0, rotated).json["drives"].elements.count == 2)
            let new = try words(lab).joined(separator: "-")
            for drive in ["a", "b"] {
                for (secret, code) in [
                    (old, false), (oldPassword, false), (new, true), (try password(lab), true),
                ] {
                    let listed = try lab.restic(
                        drive, "snapshots", variables: ["RESTIC_PASSWORD": secret])
                    #expect((listed.exitCode == 0) == code, "\(listed.story)")
                }
            }
            try lab.expect(41, prove(lab, old))
            try lab.expect(0, prove(lab, new))
            try lab.phone.storage.photos(50..<52, size: 90_000)
            try lab.expect(0, lab.backup())
            try lab.expect(0, lab.holdfast("check", "--read-data"))
            try lab.expectRestores()
            try lab.expectWholeAndAlike()
        }

        @Test func aNewBoxRefusesTheOldSheetAndFinishesARotation() throws {
            let lab = try Lab.backedUp()
            let owner = try lab.owner()
            let old = try words(lab).joined(separator: " ")
            try take(lab, "b")
            try lab.expect(20, lab.holdfast("key", "rotate", "--owner", owner, "--yes"))
            let new = try words(lab).joined(separator: " ")
            try give(lab, "b")
            for path in [lab.state, lab.config] {
                try FileManager.default.removeItem(atPath: path)
            }
            let setup = [
                "setup", "--state", lab.state, "--drive", lab.drive("a"), "--drive", lab.drive("b"),
            ]
            try lab.expect(41, lab.start(setup, input: old + "\n").finish())
            try lab.expect(0, lab.start(setup, input: new + "\n").finish())
            try lab.expect(0, lab.backup())
            try lab.expectWholeAndAlike()
            let refused = try lab.restic(
                "b", "snapshots",
                variables: ["RESTIC_PASSWORD": old.split(separator: " ").joined(separator: "-")])
            #expect(refused.exitCode != 0)
        }

        @Test func keysThatResticAddsOrChangesWorkOnEveryDrive() throws {
            let lab = try Lab.backedUp()
            try Data("another password\n".utf8).write(
                to: URL(fileURLWithPath: lab.folder + "/out/added"))
            let added = try lab.restic(
                "a", "key", "add", "--new-password-file", lab.folder + "/out/added")
            #expect(added.exitCode == 0, "\(added.story)")
            try lab.expect(0, lab.backup())
            func opens(_ drive: String, _ password: String) throws -> Bool {
                try lab.restic(drive, "snapshots", variables: ["RESTIC_PASSWORD": password])
                    .exitCode == 0
            }
            #expect(try opens("b", "another password"))
            try lab.expect(
                0, lab.holdfast("key", "rotate", "--owner", lab.owner(), "--yes"))
            #expect(try opens("a", "another password") && opens("b", "another password"))
            // restic replaces its own key on one drive; the other's copy of it comes back, and
            // both passwords open both drives.
            try Data("changed password\n".utf8).write(
                to: URL(fileURLWithPath: lab.folder + "/out/changed"))
            let changed = try lab.restic(
                "b", "key", "passwd", "--new-password-file", lab.folder + "/out/changed",
                variables: ["RESTIC_PASSWORD": "another password"])
            #expect(changed.exitCode == 0, "\(changed.story)")
            try lab.expect(0, lab.backup())
            #expect(try opens("a", "changed password") && opens("b", "changed password"))
            #expect(try opens("a", password(lab)) && opens("b", password(lab)))
            try lab.expectWholeAndAlike()
        }

        @Test func aRotationKilledAtAnyMomentLeavesAKeyThatWorks() throws {
            let seed: UInt64 = 20_261_124
            var random = Seeded(seed)
            let lab = try Lab.backedUp()
            let owner = try lab.owner()
            for round in 0..<10 {
                let run = try lab.start(["key", "rotate", "--owner", owner, "--yes"])
                let wait = UInt32.random(in: 0...2_000, using: &random)
                usleep(wait * 1000)
                run.signal(SIGKILL)
                _ = run.finish()
                for drive in ["a", "b"] {
                    // Its lock is left over until the next run.
                    let listed = try lab.restic(drive, "--no-lock", "snapshots")
                    #expect(
                        listed.exitCode == 0,
                        "seed \(seed), round \(round), \(wait) ms, \(listed.story)")
                }
                try lab.expect(0, lab.backup())
            }
            try lab.expect(0, lab.holdfast("key", "rotate", "--owner", owner, "--yes"))
            for drive in ["a", "b"] {
                #expect(try files(in: lab.repository(drive) + "/keys").count == 2)
            }
            try lab.expectWholeAndAlike()
        }

        // MARK: Helpers

        private func words(_ lab: Lab) throws -> [String] {
            try lab.expect(0, lab.holdfast("key", "sheet", "--owner", lab.owner(), "--json"))
                .json["words"].elements.compactMap(\.text)
        }

        private func password(_ lab: Lab) throws -> String {
            try lab.expect(0, lab.holdfast("key", "password", "--owner", lab.owner())).output
                .trimmingCharacters(in: .newlines)
        }

        private func prove(_ lab: Lab, _ typed: String) throws -> Finished {
            try lab.holdfast(
                "key", "sheet", "--prove", "--owner", lab.owner(), "--json", input: typed + "\n")
        }

        @discardableResult
        private func run(_ lab: Lab, _ command: [String]) throws -> Finished {
            try lab.expect(
                0,
                Child(command, variables: ["PATH": "/usr/bin:/bin"], outputIn: lab.folder + "/out")
                    .finish())
        }

        private func take(_ lab: Lab, _ drive: String) throws {
            try FileManager.default.moveItem(
                atPath: lab.drive(drive), toPath: lab.drive(drive) + "-away")
        }

        private func give(_ lab: Lab, _ drive: String) throws {
            try FileManager.default.moveItem(
                atPath: lab.drive(drive) + "-away", toPath: lab.drive(drive))
        }
    }
}
