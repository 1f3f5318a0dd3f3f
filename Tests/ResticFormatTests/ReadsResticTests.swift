import BackupCore
import Foundation
import Glibc
import Testing

@testable import ResticFormat

/// What restic writes, read by us.
@Suite(.serialized) struct ReadsResticTests {
    @Test func wholeRepositoryIsUnderstood() throws {
        let oracle = try ResticOracle()
        let source = oracle.folder.appending(path: "source")
        try FileManager.default.createDirectory(
            at: source.appending(path: "empty folder"), withIntermediateDirectories: true)
        try Data().write(to: source.appending(path: "empty"))
        let text = Data(repeating: UInt8(ascii: "x"), count: 100_000)
        try text.write(to: source.appending(path: "text"))
        try FileManager.default.createSymbolicLink(
            atPath: source.appending(path: "link").path, withDestinationPath: "te xt<&>")
        let random = seededBytes(30 << 20, seed: 2)
        try Data(random).write(to: source.appending(path: "random"))
        try oracle.restic("init")
        try oracle.restic(
            "backup", "source", "--host", "box", "--tag", "a,b", "--time", "2024-02-29 12:30:00")

        let repository = try OpenedRepository(oracle)
        let shown = try JSONSerialization.jsonObject(with: oracle.restic("cat", "config"))
        let config = try #require(shown as? [String: Any])
        #expect(config["id"] as? String == repository.config.id.hex)
        #expect(config["chunker_polynomial"] as? String == repository.config.polynomial.hex)

        let snapshot = try #require(repository.snapshots.first)
        #expect(snapshot.hostname == "box")
        #expect(snapshot.tags == ["a", "b"])
        #expect(snapshot.paths == [source.path])
        #expect(
            RFC3339.text(snapshot.time, utcOffsetSeconds: snapshot.utcOffsetSeconds)
                .hasPrefix("2024-02-29T12:30:00"))

        let nodes = try repository.folder("source").nodes
        #expect(nodes.map(\.name) == ["empty", "empty folder", "link", "random", "text"])
        #expect(nodes[0].kind == .file && nodes[0].content == [])
        #expect(nodes[1].kind == .directory && nodes[1].subtree != nil)
        #expect(nodes[2].kind == .symbolicLink(target: Array("te xt<&>".utf8)))
        #expect(try repository.blob(BlobKey(.data, nodes[4].content[0])) == Array(text))
        try expectModifiedAsOnDisk(nodes[3], source)

        // The boundaries are restic's, with the polynomial that restic chose.
        let lengths = cutLengths(
            of: random, piece: 300_000, polynomial: repository.config.polynomial)
        #expect(lengths == nodes[3].content.map { repository.length($0) })
        var start = 0
        for (id, length) in zip(nodes[3].content, lengths) {
            #expect(ContentID.sha256(of: Array(random[start..<start + length])) == id)
            start += length
        }
        try expectHeadersAgreeWithIndex(repository)
    }

    private func expectModifiedAsOnDisk(_ node: TreeNode, _ source: URL) throws {
        var status = stat()
        // The path lives for the call; the struct is ours.
        let result = unsafe lstat(source.appending(path: "random").path, &status)
        try #require(result == 0)
        let expected = Timestamp(
            seconds: Int64(status.st_mtim.tv_sec), nanoseconds: UInt32(status.st_mtim.tv_nsec))
        #expect(node.modified == expected)
        #expect(node.byteCount == 30 << 20)
    }

    private func expectHeadersAgreeWithIndex(_ repository: OpenedRepository) throws {
        #expect(!repository.packs.isEmpty)
        for pack in repository.packs {
            let file = repository.packFile(pack.id)
            let header = try PackHeader.decode(pack: file, sealer: repository.sealer)
            #expect(header == pack.blobs.sorted { $0.offset < $1.offset })
            #expect(UInt64(file.count) == pack.byteCount)
        }
    }

    @Test func namesAreQuotedAsResticQuotesThem() throws {
        let oracle = try ResticOracle()
        let source = oracle.folder.appending(path: "source")
        try FileManager.default.createDirectory(at: source, withIntermediateDirectories: true)
        let names = Set(Self.nastyNames + Self.namesOfBoundaries())
        for name in names { try touch(name, in: source) }
        try oracle.restic("init")
        try oracle.restic("backup", "source")

        let (nodes, json) = try OpenedRepository(oracle).folder("source")
        #expect(nodes.map(\.name) == names.map { EntryName(bytes: $0) }.sorted())
        let ours = nameMembers(of: try TreeCodec.encode(nodes.shuffled()))
        let theirs = nameMembers(of: json)
        #expect(ours.count == names.count)
        for (our, their) in zip(ours, theirs) {
            #expect(
                our == their, "\(HostileText.escaped(our)) is not \(HostileText.escaped(their))")
        }
    }

    private static let nastyNames: [[UInt8]] =
        [
            "a\"b", "a\\b", "tab\there", "new\nline", "bell\u{7}", "back\u{8}", "feed\u{C}",
            "\u{B}v",
            "del\u{7F}", "esc\u{1B}[31m", "cr\r", "<&>", "'", "`", "$(x)", "-rf", " ", "\u{A0}",
            "\u{202F}PM", "\u{2028}", "\u{2029}", "\u{FEFF}bom", "👨‍👩‍👧", "🏴\u{E0067}\u{E007F}",
            "\u{E9}", "e\u{301}", "\u{FFFD}", "\u{FFFF}", "\u{10FFFF}", "\u{E000}", "\u{AD}soft",
            "日本語", "\u{202E}gpj.exe", "\\x41", "\\u0041", "%s%n", "…", "\u{85}",
        ].map { Array($0.utf8) } + [
            [0xFF], [0xC3], [0xC0, 0xAF], [0xED, 0xA0, 0x80], [0xF4, 0x90, 0x80, 0x80],
            [0xE2, 0x80], [0xF0, 0x9F, 0x98], [0x61, 0x80, 0x62], [0xE2, 0x80, 0xA8, 0xFF],
            [UInt8](repeating: 0xC3, count: 255), [UInt8](repeating: 0x22, count: 255),
        ]

    /// Names of the characters around which Swift's own tables say that something changes, so far
    /// as Unicode 13 knew them: an oracle for the frozen table that does not read it.
    private static func namesOfBoundaries() -> [[UInt8]] {
        var names: [[UInt8]] = []
        var name: [UInt8] = []
        var previous = Unicode.GeneralCategory.control
        for value in UInt32(0x80)...0x10FFFF {
            guard let scalar = Unicode.Scalar(value) else { continue }
            let category = scalar.properties.generalCategory
            guard category != previous else { continue }
            previous = category
            for candidate in [Unicode.Scalar(value - 1), scalar] {
                guard let candidate, isSettled(candidate) else { continue }
                name += Array(String(Character(candidate)).utf8)
            }
            if name.count > 240 {
                names.append(name)
                name = []
            }
        }
        return names + [name]
    }

    private static func isSettled(_ scalar: Unicode.Scalar) -> Bool {
        guard let age = scalar.properties.age else {
            return scalar.properties.generalCategory == .unassigned
        }
        return age.major <= 13
    }

    private func touch(_ name: [UInt8], in folder: URL) throws {
        let path = Array(folder.path.utf8) + [0x2F] + name + [0]
        // The path ends in NUL and lives for the call.
        let descriptor = unsafe open(path.map { CChar(bitPattern: $0) }, O_CREAT | O_WRONLY, 0o600)
        try #require(descriptor >= 0, "\(HostileText.escaped(name))")
        close(descriptor)
    }

    /// The `"name":"…"` members, which each node starts with.
    private func nameMembers(of json: [UInt8]) -> [[UInt8]] {
        let start = Array("{\"name\":\"".utf8)
        let end = Array("\",\"type\":".utf8)
        var members: [[UInt8]] = []
        var rest = json[...]
        while let range = rest.firstRange(of: start) {
            rest = rest[range.upperBound...]
            guard let last = rest.firstRange(of: end) else { break }
            members.append(Array(rest[..<last.lowerBound]))
        }
        return members
    }
}
