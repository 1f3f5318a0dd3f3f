import Foundation
import Testing

extension EndToEndTests {
    /// What programs and people may rely on.
    @Suite struct CommandLineTests {
        private static let commands = [
            [], ["setup"], ["phones"], ["backup"], ["snapshots"], ["show"], ["ls"], ["restore"],
            ["check"], ["heal"], ["forget"], ["drives"], ["owners"], ["key"], ["key", "password"],
            ["key", "sheet"], ["status"],
        ]

        @Test func everyCommandExplainsItself() throws {
            let lab = try Lab()
            for command in Self.commands {
                let help = try lab.expect(0, lab.start(command + ["--help"]).finish())
                #expect(help.output.contains("USAGE"), "\(help.story)")
                #expect(help.errors.isEmpty, "\(help.story)")
            }
            #expect(files(in: lab.folder) == ["a", "b", "out"], "help makes nothing")
        }

        @Test func typingErrorsAreUsage() throws {
            let lab = try Lab()
            try lab.setUp()
            let complete = [["show"]: ["x"], ["ls"]: ["x"], ["restore"]: ["x", "--to", "y"]]
            let owner = [["key", "password"], ["key", "sheet"]]
            for command in Self.commands {
                // The parser names what is missing first, so nothing is.
                var rest = complete[command] ?? []
                if owner.contains(command) { rest = ["--owner", "x"] }
                let refused = try lab.start(command + rest + ["--tpyo"]).finish()
                #expect(refused.exitCode == 64, "\(refused.story)")
                #expect(refused.errors.contains("--tpyo"), "\(refused.story)")
                #expect(refused.output.isEmpty, "\(refused.story)")
            }
            for words in [
                ["bakcup"], ["key", "sheat"], ["backup", "--wait"], ["backup", "--wait", "soon"],
                ["backup", "--wait", "-1"], ["backup", "--capture", "vinyl"],
                ["restore", "latest"],
                ["restore", "--to", "x"], ["ls"], ["show"], ["key", "password"],
                ["snapshots", "extra"], ["setup", "--drive"], ["forget", "--keep-last", "-1"],
                ["forget", "--keep-within", "3 weeks"], ["forget", "--keep-tag", ","],
                ["forget", "abcd", "--keep-last", "3"], ["forget", "--dry-run", "--yes"],
                ["forget", "--scheduled", "--keep-last", "3"],
            ] {
                let refused = try lab.start(words).finish()
                #expect(refused.exitCode == 64, "\(refused.story)")
                #expect(!refused.errors.isEmpty)
            }
        }

        @Test func withoutConfigurationThereIsASentence() throws {
            let lab = try Lab()
            for command in [["backup", "--json"], ["snapshots"], ["status"], ["phones"], ["heal"]] {
                let refused = try lab.start(command).finish()
                #expect(refused.exitCode == 40, "\(refused.story)")
                #expect(refused.errors.contains("holdfast setup"), "\(refused.story)")
            }
            #expect(files(in: lab.folder) == ["a", "b", "out"])
        }

        @Test func whatIsUnknownIsNotFound() throws {
            let lab = try Lab.backedUp()
            let target = lab.folder + "/out/none"
            for words in [
                ["ls", "0123abcd"], ["show", "zzz"], ["restore", "ffffffff", "--to", target],
                ["snapshots", "--phone", "android-0123456789abcdef"],
                ["snapshots", "--owner", "nobody"], ["snapshots", "--drive", "drive-9"],
                ["key", "password", "--owner", "nobody"], ["key", "sheet", "--owner", "x/../y"],
                ["backup", "--phone", "android-0123456789abcdef", "--wait", "1"],
                ["ls", "latest", "--path", "/no/such"],
                ["restore", "latest", "--path", "/no/such", "--to", target],
                ["check", "--owner", "nobody"], ["forget", "--yes", "0123abcd"],
                ["forget", "--yes", "--keep-last", "1", "--owner", "nobody"],
                ["heal", "--drive", "nothing"],
            ] {
                let refused = try lab.start(words).finish()
                #expect(refused.exitCode == 43, "\(refused.story)")
                #expect(!refused.errors.isEmpty)
            }
            #expect(files(in: target).isEmpty)
        }

        @Test func documentsHaveTheirKeys() throws {
            let lab = try Lab.ready()
            try lab.plugIn("Second", bay: 2, ["--locked"])
            let finished = try lab.expect(0, lab.backup("--phone", "1-1"))
            let summary = try finished.summary
            expect(
                summary,
                has: [
                    "verdict", "exit_code", "snapshots", "files", "bytes", "copies",
                    "duration_seconds", "message",
                ])
            expect(summary["files"], has: ["new", "changed", "unchanged", "removed", "skipped"])
            expect(summary["bytes"], has: ["read", "added", "stored"])
            for line in try finished.lines {
                #expect(["status", "event", "summary"].contains(line["message_type"].text))
            }
            let copy = summary["snapshots"][0]["copies"][0]
            expect(copy, has: ["drive", "state"])
            let listed = try lab.holdfast("snapshots", "--json").json[0]
            for snapshot in [summary["snapshots"][0], listed] {
                expect(
                    snapshot,
                    has: [
                        "id", "time", "owner", "phone", "phone_name", "capture", "complete",
                        "files", "bytes", "copies",
                    ])
                #expect(snapshot["files"].number == 12)
                #expect(snapshot["phone_name"].text == "Anna")
                #expect(snapshot["capture"].text == "media")
                #expect(snapshot["complete"].flag == true)
                #expect(snapshot["phone"].text?.contains(/^android-[0-9a-f]{16}$/) == true)
            }
            let phones = try lab.expect(0, lab.holdfast("phones", "--json")).json.elements
            #expect(phones.count == 2)
            for phone in phones {
                expect(
                    phone,
                    has: [
                        "id", "owner", "family", "name", "model", "os_version", "bay", "state",
                        "message",
                    ])
                #expect(phone["family"].text == "android")
            }
            for drive in try lab.expect(0, lab.holdfast("drives", "--json")).json.elements {
                expect(
                    drive,
                    has: [
                        "id", "name", "path", "state", "free_bytes", "total_bytes", "last_verified",
                        "unverified_files", "damaged_files",
                    ])
            }
            let entries = try lab.expect(0, lab.holdfast("ls", "latest", "--json")).json.elements
            for entry in entries { expect(entry, has: ["path", "type", "size", "mtime"]) }
            let photo = try #require(
                entries.first { $0["path"].text?.hasSuffix("/IMG_1001.jpg") == true })
            #expect(photo["size"].number == 150_001)
            #expect(photo["mtime"].text == "2023-11-14T22:14:20Z")
            try lab.expect(0, lab.holdfast("owners", "--json"))
            try lab.expect(0, lab.holdfast("status", "--json"))
            for words in [
                ["check", "--json"], ["heal", "--json"],
                ["restore", "latest", "--to", lab.folder + "/out/r", "--json"],
            ] {
                let run = try lab.expect(0, lab.start(words).finish())
                #expect(try run.summary["exit_code"].number == 0)
            }
        }

        @Test func absentKnownPhoneIsAway() throws {
            let lab = try Lab.backedUp()
            lab.phone.end()
            let phones = try lab.expect(0, lab.holdfast("phones", "--json")).json.elements
            #expect(phones.map { $0["state"].text } == ["away"])
            #expect(phones[0]["bay"].isNull)
            #expect(phones[0]["name"].text == "Anna")
        }

        @Test func restoreNeverOverwritesUnlessTold() throws {
            let lab = try Lab.backedUp()
            let target = lab.folder + "/out/mine"
            let mine = PhoneFolder(path: target + "/Internal shared storage")
            try mine.write("Notes/a.txt", Data("Mine.\n".utf8))
            let first = try lab.holdfast("restore", "latest", "--to", target, "--json")
            #expect([0, 27].contains(first.exitCode), "\(first.story)")
            #expect(Child.text(mine.path + "/Notes/a.txt") == "Mine.\n")
            try lab.expect(
                0, lab.holdfast("restore", "latest", "--to", target, "--overwrite"))
            let found = contents(of: mine.path, dates: true)
            #expect(differences(found, contents(of: lab.phone.storage.path, dates: true)) == [])
        }

        @Test func restoreOfAPathWritesThatPathOnly() throws {
            let lab = try Lab.backedUp()
            let target = lab.folder + "/out/part"
            let path = "/Internal shared storage/Notes"
            try lab.expect(
                0, lab.holdfast("restore", "latest", "--path", path, "--to", target))
            let found = contents(of: target).keys.filter { !$0.hasSuffix("/") }
            #expect(Array(found) == [path + "/a.txt"])
        }

        @Test func setupIsRefusedWithAReasonAndRepeatsHarmlessly() throws {
            let lab = try Lab()
            let missing = lab.folder + "/missing"
            let refused = try lab.holdfast("setup", "--state", lab.state, "--drive", missing)
            #expect(refused.exitCode != 0 && !refused.errors.isEmpty, "\(refused.story)")
            #expect(!FileManager.default.fileExists(atPath: missing))
            let twice = try lab.holdfast(
                "setup", "--state", lab.state, "--drive", lab.drive("a"), "--drive",
                lab.drive("a"))
            #expect(twice.exitCode == 64, "\(twice.story)")
            try lab.setUp()
            let before = contents(of: lab.drive("a"))
            let config = Child.text(lab.config)
            try lab.expect(
                0,
                lab.holdfast(
                    "setup", "--state", lab.state, "--drive", lab.drive("a"), "--drive",
                    lab.drive("b")))
            #expect(differences(before, contents(of: lab.drive("a"))) == [])
            #expect(Child.text(lab.config) == config)
        }

        private func expect(
            _ document: JSON, has keys: Set<String>,
            at location: SourceLocation = #_sourceLocation
        ) {
            let missing = keys.subtracting(document.keys)
            #expect(missing.isEmpty, "\(document.value)", sourceLocation: location)
        }
    }
}
