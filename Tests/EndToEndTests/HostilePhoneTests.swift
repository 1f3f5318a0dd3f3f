import Foundation
import Testing

extension EndToEndTests {
    /// Phones that lie: names, sizes, folders.
    @Suite struct HostilePhoneTests {
        private static let names: [[UInt16]] = [
            Array("../x".utf16), Array("../../../../../../../../tmp/e2e-escaped".utf16),
            Array("a/b".utf16), Array("/etc/passwd".utf16), Array("..".utf16), Array(".".utf16),
            Array("a\u{1b}[31mred\u{7}".utf16), Array("line\nbreak\r".utf16),
            Array("right\u{202E}gpj.exe".utf16), Array("e\u{301}.jpg".utf16),
            Array("é.jpg".utf16), Array("Twin.jpg".utf16), Array("twin.jpg".utf16),
            Array("same.jpg".utf16), Array("same.jpg".utf16), Array("100%.txt".utf16),
            Array("a%2Fb".utf16), Array(String(repeating: "é", count: 127).utf16),
            Array(String(repeating: "x", count: 254).utf16), [0xD800, 0x61], [0x61, 0xDC00, 0x62],
            Array("-rf".utf16), Array("$(touch e2e-escaped)".utf16),
        ]

        @Test func hostileNamesStayWithinTheTargetAndReachNoTerminal() throws {
            let lab = try Lab()
            let scripted = Self.names.enumerated().map { index, units in
                "{\"units\": \(units), \"text\": \"content \(index)\", "
                    + "\"modified\": 1672531200}"
            }.joined(separator: ",")
            let script = """
                {"entries": [{"name": "DCIM", "children": [\(scripted)]},
                 {"name": "..", "children": [{"name": "deep\\u001b[2J", "text": "deep"}]}]}
                """
            try lab.plugIn("Evil\u{1b}[2J\u{202E}phone", script: script)
            try lab.setUp()
            let run = try lab.start(["backup", "--wait", "20"]).finish()
            #expect([0, 22].contains(run.exitCode), "\(run.story)")
            let target = lab.folder + "/out/t/target"
            let outside = contents(of: lab.folder, but: ["/out", "/state", "/a", "/b"])
            let restored = try lab.holdfast("restore", "latest", "--to", target)
            #expect([0, 27].contains(restored.exitCode), "\(restored.story)")
            #expect(files(in: lab.folder + "/out/t") == ["target"])
            let after = contents(of: lab.folder, but: ["/out", "/state", "/a", "/b"])
            #expect(differences(outside, after) == [])
            #expect(!FileManager.default.fileExists(atPath: "/tmp/e2e-escaped"))

            let found = entries(of: target).map(\.path).filter { !$0.hasSuffix("/") }
            let listed = try lab.expect(0, lab.holdfast("ls", "latest", "--json")).json.elements
            let inSnapshot = listed.filter { $0["type"].text == "file" }.count
            let skipped = try lab.expect(0, lab.holdfast("show", "latest", "--json")).json[
                "skipped"]
            if restored.exitCode == 0 { #expect(found.count == inSnapshot) }
            // Every name is there under some name, or told as skipped; ours are two or less.
            let kept = listed.filter {
                $0["type"].text == "file" && $0["path"].text?.hasPrefix("/Internal") == true
            }
            #expect(kept.count + skipped.elements.count >= Self.names.count + 1, "\(listed)")
            let contentsFound = Set(
                found.filter { $0.hasPrefix("/Internal") }.map { Child.text(target + $0) })
            for index in Self.names.indices where skipped.elements.isEmpty {
                #expect(contentsFound.contains("content \(index)"), "\(Self.names[index])")
            }

            for words in [
                ["status"], ["phones"], ["snapshots"], ["owners"], ["ls", "latest"],
                ["show", "latest"], ["drives"], ["backup", "--wait", "20"],
            ] {
                let said = try lab.start(words).finish()
                expectHarmless(said.output + said.errors, words.joined(separator: " "))
            }
            expectHarmless(run.output + run.errors, "backup")
            expectHarmless(restored.output + restored.errors, "restore")
            expectHarmless(Child.text(lab.state + "/holdfast.log"), "log")
            try lab.expectWholeAndAlike()
        }

        @Test func unreadableFilesAreNamedAndTheRestIsSaved() throws {
            let lab = try Lab()
            let script = """
                {"entries": [{"name": "DCIM", "children": [
                  {"name": "good.jpg", "bytes": 50000, "seed": 3},
                  {"name": "refuses.jpg", "bytes": 100, "readResponse": 8194},
                  {"name": "liar.jpg", "bytes": 100, "announced": 5000},
                  {"name": "short.jpg", "bytes": 50000, "endAfter": 5000}]}]}
                """
            try lab.plugIn(script: script)
            try lab.setUp()
            let run = try lab.expect(22, lab.backup()).summary
            #expect(run["verdict"].text == "unreadable")
            #expect(run["files"]["skipped"].number == 3)
            #expect(run["snapshots"][0]["complete"].flag == true)
            let skipped = Set(run["skipped"].elements.compactMap { $0["path"].text })
            let folder = "/Internal shared storage/DCIM/"
            #expect(skipped == Set(["refuses", "liar", "short"].map { "\(folder)\($0).jpg" }))
            let listed = try lab.holdfast("ls", "latest", "--json").json.elements
            let saved = listed.compactMap { $0["path"].text }.filter { $0.hasSuffix(".jpg") }
            #expect(saved == [folder + "good.jpg"], "what is short is never stored")
            try lab.expectWholeAndAlike()
        }

        @Test func folderThatCannotBeListedKeepsItsEarlierContent() throws {
            let lab = try Lab()
            func script(_ misbehaviour: String) -> String {
                """
                {"entries": [{"name": "DCIM", "children": [
                  {"name": "a.jpg", "bytes": 1000, "seed": 1}]},
                 {"name": "Download", \(misbehaviour) "children": [
                  {"name": "b.pdf", "bytes": 2000, "seed": 2}]}]}
                """
            }
            let first = try lab.plugIn(script: script(""))
            try lab.setUp()
            try lab.expect(0, lab.backup())
            first.end()
            try lab.plugIn(script: script("\"listResponse\": 8194,"))
            let run = try lab.expect(22, lab.backup()).summary
            #expect(run["files"]["removed"].number == 0)
            let listed = try lab.holdfast("ls", "latest", "--json").json.elements
            #expect(
                listed.contains { $0["path"].text == "/Internal shared storage/Download/b.pdf" })
            try lab.expectWholeAndAlike()
        }

        @Test func folderThatListsItsAncestorIsCutThere() throws {
            let lab = try Lab()
            let script = """
                {"entries": [{"name": "DCIM", "children": [
                  {"name": "a.jpg", "bytes": 1000}, {"name": "loop", "cycle": 1}]}]}
                """
            try lab.plugIn(script: script)
            try lab.setUp()
            let run = try lab.expect(22, lab.backup()).summary
            #expect(run["files"]["skipped"].number ?? 0 >= 1)
            try lab.expectWholeAndAlike()
        }

        @Test func endlessFoldersBreakALimit() throws {
            let lab = try Lab()
            try lab.plugIn(script: "{\"entries\": [{\"name\": \"deep\", \"endless\": true}]}")
            try lab.setUp()
            let run = try lab.expect(51, lab.backup()).summary
            #expect(run["snapshots"].elements.isEmpty)
        }

        private func expectHarmless(_ text: String, _ source: String) {
            let raw = text.unicodeScalars.filter {
                ($0.value < 0x20 && $0 != "\n") || (0x7F..<0xA0).contains($0.value)
                    || (0x202A...0x202E).contains($0.value) || (0x2066...0x2069).contains($0.value)
            }
            #expect(
                raw.isEmpty, "\(source) says \(raw.map { $0.value }) in \(text.debugDescription)")
        }
    }
}
