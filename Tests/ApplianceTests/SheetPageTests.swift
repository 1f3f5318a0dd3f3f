import BackupCore
import ControlAPI
import Drives
import Foundation
import Testing

@testable import Appliance

@Suite struct SheetPageTests {
    private func sheet(phones: [String], drives: [String] = ["one", "two"]) throws -> RecoverySheet
    {
        RecoverySheet(
            owner: OwnerID(trusted: "owner-1"),
            words: try #require(SheetWords(bytes: Array(0..<16))),
            drives: drives.enumerated().map {
                ($0.element, DriveID(trusted: "drive-\($0.offset)"))
            },
            phones: phones, printed: Timestamp(seconds: 1_790_000_000))
    }

    @Test func namesOfPhonesAndDrivesAreTextAndNothingElse() throws {
        let hostile = [
            "<script>a(1)</script>", "\"><img src=x>", "a & b 'c'",
            // One character to Swift, and still the byte `<` to a browser.
            "<\u{338}img src=x>",
        ]
        let page = try sheet(phones: hostile, drives: ["<b>", "two"]).page
        let outside = page.replacing(/<style>.*<\/style>/.dotMatchesNewlines(), with: "")
        let tags = Set(outside.matches(of: /<([a-z0-9]+)/).map { String($0.1) })
        #expect(
            tags == [
                "html", "head", "meta", "title", "body", "header", "div", "h1", "p", "table", "tr",
                "th", "td", "figure", "svg", "path", "figcaption", "br", "ol", "li", "section",
                "h2", "b", "pre", "footer", "code",
            ])
        #expect(page.contains("&lt;script&gt;a(1)&lt;/script&gt;"))
        #expect(page.contains("a &amp; b &#39;c&#39;"))
        #expect(!page.contains("<img") && !page.contains("<b>,"))
    }

    @Test func thePageNeedsNothingElse() throws {
        let page = try sheet(phones: ["Ana's phone"]).page
        for word in ["src=", "href=", "url(", "@import", "<script", "<link", "https:"] {
            #expect(!page.contains(word), "\(word)")
        }
        #expect(page.components(separatedBy: "http:").count == 2, "the name of SVG, not fetched")
    }

    @Test func thePageTellsWhatAPersonNeeds() throws {
        let sheet = try sheet(phones: ["Ana's phone"])
        let page = sheet.page
        for word in sheet.words.words { #expect(page.contains("<li>\(word)</li>")) }
        for text in [
            "<pre class=\"password\">\(sheet.words.canonical)</pre>", "owner-1", "drive-0",
            "Ana&#39;s phone", "2026-09-21", "holdfast setup --drive DRIVE",
            "restic -r DRIVE/holdfast/repositories/owner-1 snapshots", "--prove",
        ] {
            #expect(page.contains(text), "\(text)")
        }
    }

    @Test func manyPhonesAreCountedSoThatItStaysOnePage() throws {
        let page = try sheet(phones: (0..<500).map { "Phone \($0)" }).page
        #expect(page.contains("and 496 more"))
        #expect(!page.contains("Phone 499"))
    }

    @Test func theCodeFitsATerminal() throws {
        let text = try #require(try sheet(phones: []).terminalQRCode)
        let lines = text.split(separator: "\n")
        #expect(lines.count <= 23)
        #expect(lines.allSatisfy { $0.hasSuffix("\u{1b}[0m") && $0.count < 60 })
        #expect(QRCode("") == nil)
        #expect(QRCode(String(repeating: "x", count: 10_000)) == nil)
    }

    @Test func aPageIsANewFileOfItsOwnAndNeverOnADrive() async throws {
        let test = try await TestBox()
        let owner = try await test.owner()
        let sheet = try test.box.sheet(of: owner)
        let path = test.state + "/sheet.html"
        try test.box.writePage(sheet, to: path)
        let mode = try FileManager.default.attributesOfItem(atPath: path)[.posixPermissions]
        #expect((mode as? NSNumber)?.intValue == 0o600)
        let links = [test.state + "/link.html", test.state + "/drive"]
        try FileManager.default.createSymbolicLink(
            atPath: links[0], withDestinationPath: test.drive("a") + "/x.html")
        try FileManager.default.createSymbolicLink(
            atPath: links[1], withDestinationPath: test.drive("a"))
        for refused in [
            path, links[0], links[1] + "/x.html", test.drive("a") + "/x.html",
            test.drive("b") + "/holdfast/repositories/x.html",
        ] {
            let error = #expect(throws: ApplianceError.self) {
                try test.box.writePage(sheet, to: refused)
            }
            #expect(error?.exitCode == .usage, "\(refused)")
        }
        #expect(try names(in: test.drive("a")) == ["holdfast"])
    }
}
