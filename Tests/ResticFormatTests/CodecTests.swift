import BackupCore
import Testing

@testable import ResticFormat

@Suite struct CodecTests {
    private let id = ContentID.sha256(of: [1])
    private let other = ContentID.sha256(of: [2])

    @Test func treeIsTheDocumentedText() throws {
        let nodes = [
            TreeNode.directory("b", modified: .zero, subtree: other),
            TreeNode.file(
                "a\u{202F}\"", modified: Timestamp(seconds: 1, nanoseconds: 20_000_000),
                byteCount: 5,
                content: [id]),
        ]
        let times = { (text: String) in
            "\"mtime\":\"\(text)\",\"atime\":\"\(text)\",\"ctime\":\"\(text)\""
        }
        let expected =
            #"{"nodes":[{"name":"a\\u202f\\\"","type":"file","mode":384,"#
            + times("1970-01-01T00:00:01.02Z")
            + #","uid":0,"gid":0,"size":5,"links":1,"content":["\#(id)"]},"#
            + #"{"name":"b","type":"dir","mode":2147484096,"# + times("1970-01-01T00:00:00Z")
            + #","uid":0,"gid":0,"links":1,"content":null,"subtree":"\#(other)"}]}"# + "\n"
        let encoded = try TreeCodec.encode(nodes)
        #expect(String(decoding: encoded, as: UTF8.self) == expected)
        #expect(try TreeCodec.decode(encoded) == nodes.reversed())
        #expect(try TreeCodec.encode(nodes.reversed()) == encoded)
        #expect(try TreeCodec.encode([]) == Array("{\"nodes\":[]}\n".utf8))
    }

    @Test func namesThatNoFolderCanHoldAreNotWritten() {
        for name in ["", ".", "..", "a/b", "a\u{0}"] as [EntryName] {
            let node = TreeNode.file(name, modified: .zero, byteCount: 0, content: [])
            #expect(code { try TreeCodec.encode([node]) } == .malformed)
        }
        let twin = TreeNode.file("a", modified: .zero, byteCount: 0, content: [])
        #expect(code { try TreeCodec.encode([twin, twin]) } == .malformed)
    }

    @Test func foreignTreesAreRead() throws {
        let json = #"""
            { "future": [1, {"x": null}], "nodes": [ {"type":"dev","name":"a\\xff\\101/..","x":-1.5e3,
             "mode":69206454, "mtime":null, "content":null, "device":1,"uid":4294967295},
             {"name":"l\u00e9\ud83d\ude00","type":"symlink","linktarget":"\ufffd","linktarget_raw":"/w==",
              "mtime":"2020-01-01T00:00:00.123456789+02:00"} ] }
            """#
        let nodes = try TreeCodec.decode(Array(json.utf8))
        #expect(
            nodes.map(\.name.bytes) == [[0x61, 0xFF, 0x41] + Array("/..".utf8), Array("lé😀".utf8)])
        #expect(nodes[0].kind == .other("dev"))
        #expect(nodes[0].mode == 69_206_454)
        #expect(nodes[1].kind == .symbolicLink(target: [0xFF]))
        #expect(
            nodes[1].modified == Timestamp(seconds: 1_577_829_600, nanoseconds: 123_456_789))
    }

    @Test(arguments: [
        "", "{", "{\"nodes\":[{}]}", "{\"nodes\":[{\"name\":\"a\"}]}", "{\"nodes\":[]}x", "[]",
        "{\"nodes\":[{\"name\":\"\\\\\",\"type\":\"file\"}]}",
        "{\"nodes\":[{\"name\":\"\\\\ud800\",\"type\":\"file\"}]}",
        "{\"nodes\":[{\"name\":\"a\",\"type\":\"file\",\"size\":-1}]}",
        "{\"nodes\":[{\"name\":\"a\",\"type\":\"file\",\"size\":18446744073709551616}]}",
        "{\"nodes\":[{\"name\":\"a\",\"type\":\"file\",\"content\":[\"00\"]}]}",
    ])
    func brokenTreesAreRefused(text: String) {
        #expect(code { try TreeCodec.decode(Array(text.utf8)) } == .malformed)
    }

    @Test func deepNestingIsRefused() {
        let deep = "{\"x\":" + String(repeating: "[", count: 1_000_000)
        #expect(code { try TreeCodec.decode(Array(deep.utf8)) } == .limitExceeded)
    }

    @Test func snapshotComesBack() throws {
        let draft = SnapshotDraft(
            time: Timestamp(seconds: 1_700_000_000, nanoseconds: 1), utcOffsetSeconds: -12_600,
            tree: id, parent: other, paths: ["/a \"b\""], hostname: "box", username: "u",
            tags: ["phone:x", "<&>"])
        let json = SnapshotCodec.encode(draft, program: "holdfast 1")
        #expect(try SnapshotCodec.decode(json) == draft)
        #expect(
            String(decoding: json, as: UTF8.self)
                == #"{"time":"2023-11-14T18:43:20.000000001-03:30","parent":"\#(other)","tree":"\#(id)","#
                + #""paths":["/a \"b\""],"hostname":"box","username":"u","#
                + #""tags":["phone:x","\u003c\u0026\u003e"],"program_version":"holdfast 1"}"#)
    }

    @Test func lockComesBack() throws {
        let lock = LockRecord(
            time: Timestamp(seconds: 5), utcOffsetSeconds: 3600, isExclusive: true, hostname: "h",
            username: "u", processID: 77, userID: 1000, groupID: 0)
        #expect(try LockCodec.decode(LockCodec.encode(lock)) == lock)
        #expect(code { try LockCodec.decode(Array("{}".utf8)) } == .malformed)
    }

    @Test func configOfAnotherVersionIsToldApart() throws {
        let config = RepositoryConfig.random()
        let json = ConfigCodec.encode(config)
        #expect(try ConfigCodec.decode(json) == config)
        let text = String(decoding: json, as: UTF8.self)
        let next = text.replacing("\"version\":2", with: "\"version\":3")
        #expect(code { try ConfigCodec.decode(Array(next.utf8)) } == .unsupported)
        let reducible = text.replacing(config.polynomial.hex, with: "20000000000000")
        #expect(code { try ConfigCodec.decode(Array(reducible.utf8)) } == .malformed)
    }

    @Test func envelopesOfBothVersionsAreRead() throws {
        let codec = ZstdCodec()
        let json = Array("{\"packs\":[]}".utf8)
        #expect(
            try UnpackedFile.decode(UnpackedFile.encode(json, codec: codec), codec: codec) == json)
        #expect(try UnpackedFile.decode(json, codec: codec) == json)
        #expect(code { try UnpackedFile.decode([3, 1], codec: codec) } == .unsupported)
        #expect(code { try UnpackedFile.decode([], codec: codec) } == .unsupported)
    }

    /// restic's way of writing is read by a shortcut; any other must give the same.
    @Test(arguments: ["", " ", "\n\t"])
    func indexReadsAlikeHoweverItIsSpaced(space: String) throws {
        let blobs = [
            PackedBlob(key: BlobKey(.data, id), offset: 0, length: 32, uncompressedLength: nil),
            PackedBlob(
                key: BlobKey(.tree, other), offset: 32, length: .max, uncompressedLength: .max),
        ]
        let json = IndexCodec.encode([IndexedPack(id: id, blobs: blobs)])
        let text = String(decoding: json, as: UTF8.self)
            .replacing("\"length", with: "\(space)\"length")
            .replacing("{\"id", with: "{\(space)\"id")
        #expect(try IndexCodec.decode(Array(text.utf8)) == [IndexedPack(id: id, blobs: blobs)])
    }

    @Test(arguments: [
        ("\"length\":32", "\"length\":31"), ("\"length\":32", "\"length\":4294967296"),
        ("\"length\":32", "\"length\":00000000004294967296"), ("\"length\":32", "\"length\":3e1"),
        ("\"type\":\"data\"", "\"type\":\"datu\""), ("\"offset\":0", "\"offset\":-1"),
        ("\"offset\":0,", ""), ("\"length\":32}", "\"length\":32"),
        ("\"length\":32", "\"length\":32,\"uncompressed_length\":4294967296"),
    ])
    func indexWithAnImpossibleBlobIsRefused(change: (String, String)) throws {
        let blob = PackedBlob(
            key: BlobKey(.data, id), offset: 0, length: 32, uncompressedLength: nil)
        let json = IndexCodec.encode([IndexedPack(id: other, blobs: [blob])])
        let text = String(decoding: json, as: UTF8.self)
        let changed = text.replacing(change.0, with: change.1)
        #expect(changed != text)
        #expect(code { try IndexCodec.decode(Array(changed.utf8)) } == .malformed)
        let upper = text.replacing(id.hex, with: id.hex.uppercased())
        #expect(code { try IndexCodec.decode(Array(upper.utf8)) } == .malformed)
    }

    @Test func blobsOfAnIndexComeInTheOrderOfTheirPack() throws {
        let blobs = (0..<20).map { number in
            PackedBlob(
                key: BlobKey(.data, id), offset: UInt32(number) * 40, length: 40,
                uncompressedLength: nil)
        }
        let json = IndexCodec.encode([IndexedPack(id: id, blobs: blobs.reversed())])
        let pack = try #require(try IndexCodec.decode(json).first)
        #expect(pack.blobs == blobs && pack.isContiguous)
        #expect(!IndexedPack(id: id, blobs: Array(blobs.dropFirst())).isContiguous)
        #expect(!IndexedPack(id: id, blobs: blobs + [blobs[3]]).isContiguous)
    }

    @Test func indexWithForeignMembersIsRead() throws {
        let json = #"""
            {"supersedes":["\#(id)"],"packs":[{"blobs":[{"type":"tree","id":"\#(other)","location":{"a":[]},
            "offset":0,"length":40,"uncompressed_length":null},{"id":"\#(id)","type":"data","offset":40,
            "length":50,"uncompressed_length":99}],"time":"2024-01-01T00:00:00Z","size":5,"id":"\#(id)"}],
            "packs_to_delete":[{"id":"\#(other)","blobs":[]}]}
            """#
        let blobs = [
            PackedBlob(key: BlobKey(.tree, other), offset: 0, length: 40, uncompressedLength: nil),
            PackedBlob(key: BlobKey(.data, id), offset: 40, length: 50, uncompressedLength: 99),
        ]
        let packs = try IndexCodec.decode(Array(json.utf8))
        #expect(packs == [IndexedPack(id: id, blobs: blobs)])
        #expect(try IndexCodec.decode(IndexCodec.encode(packs)) == packs)
    }

    @Test(arguments: [
        (Int64(0), UInt32(0), 0, "1970-01-01T00:00:00Z"),
        (-1, 999_999_999, 0, "1969-12-31T23:59:59.999999999Z"),
        (951_782_400, 0, 0, "2000-02-29T00:00:00Z"),
        (4_107_542_399, 0, 0, "2100-02-28T23:59:59Z"),
        (-62_135_596_800, 0, 0, "0001-01-01T00:00:00Z"),
        (0, 500_000_000, -3_661, "1969-12-31T22:59:00.5-01:01"),
    ])
    func datesAreGregorian(seconds: Int64, nanoseconds: UInt32, offset: Int, text: String) throws {
        let time = Timestamp(seconds: seconds, nanoseconds: nanoseconds)
        #expect(RFC3339.text(time, utcOffsetSeconds: offset) == text)
        let parsed = try #require(RFC3339.parse(Array(text.utf8)[...]))
        #expect(parsed.time == time)
    }

    @Test func unwritableYearsBecomeTheNearest() {
        for offset in [0, -43_200, 50_400] {
            let early = RFC3339.text(Timestamp(seconds: .min), utcOffsetSeconds: offset)
            let late = RFC3339.text(Timestamp(seconds: .max), utcOffsetSeconds: offset)
            #expect(early.hasPrefix("0000-01-01T"))
            #expect(late.hasPrefix("9999-12-31T"))
        }
    }
}
