import Foundation
import Testing

extension EndToEndTests {
    /// A new box with the drives and the sheet.
    @Suite struct LostBoxTests {
        @Test func wordsOnTheSheetAdoptTheDrives() throws {
            let lab = try Lab.backedUp()
            let owner = try lab.owner()
            let phone = files(in: lab.state + "/phones")
            let sheet = try lab.expect(
                0, lab.holdfast("key", "sheet", "--owner", owner, "--json")
            ).json
            let words = sheet["words"].elements.compactMap(\.text).joined(separator: " ")
            try lose(lab)
            let before = ["a", "b"].map { contents(of: lab.drive($0)) }
            let adopted = try setUp(lab, input: words.uppercased() + "\n")
            try lab.expect(0, adopted)
            #expect(!adopted.errors.contains(words), "words are not repeated")
            let after = ["a", "b"].map { contents(of: lab.drive($0)) }
            #expect(differences(before[0], after[0]) == [])
            #expect(differences(before[1], after[1]) == [])
            #expect(try lab.owner() == owner)
            #expect(try lab.holdfast("snapshots", "--json").json.elements.count == 1)
            try lab.expectRestores()
            try lab.phone.control("reset-counters")
            let run = try lab.expect(0, lab.backup()).summary
            #expect(run["files"]["unchanged"].number == 12)
            #expect(try lab.phone.filesRead == [])
            #expect(try lab.owner() == owner)
            #expect(files(in: lab.state + "/phones") == phone)
            try lab.expectWholeAndAlike()
            let password = try lab.expect(0, lab.holdfast("key", "password", "--owner", owner))
            let command = try lab.restic(
                "a", "snapshots",
                variables: ["RESTIC_PASSWORD": password.output.trimmingCharacters(in: .newlines)])
            #expect(command.exitCode == 0)
        }

        @Test func passwordOfTheSheetOpensTheRepositoryWithPlainRestic() throws {
            let lab = try Lab.backedUp()
            let sheet = try lab.holdfast("key", "sheet", "--owner", lab.owner(), "--json").json
            let password = try #require(sheet["password"].text)
            let listed = try lab.restic(
                "b", "ls", "latest", variables: ["RESTIC_PASSWORD": password])
            #expect(listed.exitCode == 0, "\(listed.story)")
            #expect(listed.output.contains("IMG_1000.jpg"))
        }

        @Test func wrongWordsAreRefusedAndNothingChanges() throws {
            let lab = try Lab.backedUp()
            let sheet = try lab.holdfast("key", "sheet", "--owner", lab.owner(), "--json").json
            var words = sheet["words"].elements.compactMap(\.text)
            words.swapAt(0, 1)
            try lose(lab)
            let before = contents(of: lab.drive("a"))
            let inputs = [words.joined(separator: " "), "", "abandon all hope", "\u{1b}[31m\0x"]
            for input in inputs {
                let refused = try setUp(lab, input: input + "\n")
                #expect(refused.exitCode == 41, "\(refused.story)")
                #expect(!refused.errors.contains("\u{1b}"))
                #expect(differences(before, contents(of: lab.drive("a"))) == [])
            }
        }

        @Test func statusNamesOwnersWhoseSheetWasNeverShown() throws {
            let lab = try Lab.backedUp()
            let owner = try lab.owner()
            let before = try lab.expect(0, lab.holdfast("status", "--json")).json
            #expect(before["owners_without_sheet"].elements.map(\.text) == [owner])
            #expect(try lab.holdfast("status").output.contains(owner))
            try lab.expect(0, lab.holdfast("key", "sheet", "--owner", owner))
            let after = try lab.holdfast("status", "--json").json
            #expect(after["owners_without_sheet"].elements.isEmpty)
        }

        @Test func keysArePrivate() throws {
            let lab = try Lab.backedUp()
            let manager = FileManager.default
            func mode(_ path: String) throws -> Int? {
                let found = try manager.attributesOfItem(atPath: path)[.posixPermissions]
                return (found as? NSNumber)?.intValue
            }
            #expect(try mode(lab.state) == 0o700)
            let folder = lab.state + "/owners/\(try lab.owner())"
            for file in ["password", "words"] {
                #expect(try mode(folder + "/" + file) == 0o600)
            }
            let secrets = try ["password", "words"].map {
                let text = Child.text(folder + "/" + $0)
                return try #require(text.split(separator: "\n").first)
            }
            // Everything the programs have said so far.
            for file in files(in: lab.folder + "/out") {
                let said = Child.text(lab.folder + "/out/" + file)
                for secret in secrets { #expect(!said.contains(secret)) }
            }
        }

        @Test func driveTellsNoNameOutsideTheRepositories() throws {
            let lab = try Lab.backedUp()
            let left = ["/repositories"]
            let folder = lab.drive("a") + "/holdfast"
            for file in contents(of: folder, but: left).keys where !file.hasSuffix("/") {
                let text = Child.text(folder + file)
                for canary in ["Anna", "E2E000", "IMG_", "DCIM", "Übersicht"] {
                    #expect(!text.contains(canary) && !file.contains(canary), "\(file)")
                }
            }
        }

        private func lose(_ lab: Lab) throws {
            try FileManager.default.removeItem(atPath: lab.state)
            try FileManager.default.removeItem(atPath: lab.config)
        }

        private func setUp(_ lab: Lab, input: String) throws -> Finished {
            try lab.holdfast(
                "setup", "--state", lab.state, "--drive", lab.drive("a"), "--drive",
                lab.drive("b"), input: input)
        }
    }
}
