import SimulatedPhones
import Testing

struct CodecTests {
    @Test
    func commandContainerHasTheLayoutOfTheStandard() {
        let command = PTPContainer(
            kind: .command, code: 0x1007, transaction: 5, parameters: [0x0001_0001, 0, 7])
        let expected: [UInt8] = [
            24, 0, 0, 0, 1, 0, 0x07, 0x10, 5, 0, 0, 0, 1, 0, 1, 0, 0, 0, 0, 0, 7, 0, 0, 0,
        ]
        #expect(command.bytes == expected)
        #expect(PTPContainer(expected) == command)
    }

    @Test(arguments: [(0, 12), (500, 512), (0xFFFF_FFF3, 0xFFFF_FFFF), (1 << 40, 0xFFFF_FFFF)])
    func dataLengthIsClampedBeyondFourGiB(content: UInt64, length: UInt32) {
        #expect(PTPContainer(dataFor: 0x1009, transaction: 1, byteCount: content).length == length)
    }

    @Test
    func objectInfoSurvivesTheWire() {
        var info = ObjectInfo()
        info.storage = 0x0001_0001
        info.format = 0x3801
        info.byteCount = 12_345
        info.parent = 9
        // An unpaired surrogate must pass unchanged.
        info.name = [0xD800, 0x61, 0x2E]
        info.modified = Array("20240131T235959".utf16)
        #expect(ObjectInfo(info.bytes) == info)
        #expect(ObjectInfo(Array(info.bytes.prefix(40))) == nil)
    }

    @Test(
        arguments: [
            (0, "19700101T000000"), (951_782_400, "20000229T000000"),
            (1_706_745_599, "20240131T235959"), (-1, "19691231T235959"),
        ] as [(Int64, String)])
    func datesAreThePhonesLocalText(seconds: Int64, text: String) {
        #expect(PTPDate.text(unixSeconds: seconds, zone: 0) == text)
        #expect(PTPDate.unixSeconds(of: Array(text.utf16), zone: 0) == seconds)
        let shifted = PTPDate.text(unixSeconds: seconds, zone: 7200)
        #expect(PTPDate.unixSeconds(of: Array(shifted.utf16), zone: 7200) == seconds)
    }

    @Test
    func generatedTreeHasExactlyWhatWasAsked() throws {
        let spec = try #require(GeneratedTreeSpec("files=500,bytes=40m,seed=3"))
        let files = GeneratedTree.files(spec)
        #expect(files.count == 500)
        #expect(files.reduce(0) { $0 + $1.content.byteCount } == 40_000_000)
        // By bytes: the tree holds two Unicode forms of one name.
        #expect(Set(files.map { Array($0.path.utf8) }).count == 500)
        #expect(GeneratedTree.files(spec).map(\.path) == files.map(\.path))
        #expect(GeneratedTreeSpec("files=many") == nil)
    }

    @Test
    func generatedBytesAreTheSameFromEveryOffset() {
        for texture in [DeterministicBytes.Texture.noise, .text, .database] {
            let content = DeterministicBytes(seed: 42, texture: texture, byteCount: 20_000)
            var whole = [UInt8](repeating: 0, count: 20_000)
            content.fill(&whole, at: 0, count: 20_000, from: 0)
            var random = SeededGenerator(seed: 11)
            for _ in 0..<100 {
                let from = Int.random(in: 0..<20_000, using: &random)
                let count = Int.random(in: 0...(20_000 - from), using: &random)
                var part = [UInt8](repeating: 0xAA, count: count + 3)
                content.fill(&part, at: 3, count: count, from: UInt64(from))
                #expect(Array(part.dropFirst(3)) == Array(whole[from..<(from + count)]))
            }
        }
    }

    @Test
    func scriptsHoldWhatNoFileSystemCould() throws {
        let json = """
            {"entries": [{"name": "D", "children": [
              {"name": "../x", "bytes": 10}, {"name": "same", "text": "a"},
              {"name": "same", "text": "b"}, {"units": [55296], "bytes": 1, "announced": 9},
              {"name": "loop", "cycle": 1}, {"name": "deep", "endless": true}]}]}
            """
        let content = ScriptedContent(try ContentScript(json: Array(json.utf8)))
        let top = try #require(try content.children(of: ContentTree.root).first)
        let entries = try content.children(of: top.node)
        #expect(
            entries.map { String(decoding: $0.name, as: UTF16.self) }.prefix(3)
                == ["../x", "same", "same"])
        #expect(entries[3].name == [0xD800])
        #expect(entries[3].byteCount == 9)
        #expect(entries[4].node == top.node)
        var node = entries[5].node
        for _ in 0..<100 { node = try #require(try content.children(of: node).first).node }
    }
}
