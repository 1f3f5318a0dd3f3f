import Appliance
import Testing

@Suite struct SheetWordsTests {
    private func some(_ seed: UInt64) throws -> SheetWords {
        var state = seed
        let bytes = (0..<16).map { _ in
            state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
            return UInt8(truncatingIfNeeded: state >> 33)
        }
        return try #require(SheetWords(bytes: bytes))
    }

    @Test(arguments: [1, 2, 3, 1999] as [UInt64])
    func wordsReadBackAsTheSameBytes(seed: UInt64) throws {
        let words = try some(seed)
        #expect(try SheetWords(reading: words.canonical) == words)
        #expect(words.words.count == 9 && words.words.allSatisfy { $0.utf8.count == 5 })
    }

    @Test func peopleMayTypeThemAsTheyLike() throws {
        let words = try some(7)
        for typed in [
            words.canonical.uppercased(), words.words.joined(separator: " "),
            "  " + words.words.joined(separator: "\n") + "\n", words.words.joined(),
            words.words.joined(separator: ", ") + ".",
            words.words.enumerated().map { "\($0.offset + 1). \($0.element)" }
                .joined(separator: "  "),
        ] {
            #expect(try SheetWords(reading: typed).canonical == words.canonical)
        }
    }

    @Test func everySingleLetterTypoIsDetected() throws {
        let words = try some(42)
        let right = Array(words.canonical.utf8)
        for position in right.indices where right[position] != UInt8(ascii: "-") {
            for letter in UInt8(ascii: "a")...UInt8(ascii: "z") where letter != right[position] {
                var wrong = right
                wrong[position] = letter
                #expect(throws: SheetWords.Problem.self) {
                    try SheetWords(reading: String(decoding: wrong, as: UTF8.self))
                }
            }
        }
    }

    @Test func everyMissingLetterAndEveryWordReplacedIsDetected() throws {
        let words = try some(43).words
        let all = Array(words.joined())
        for position in all.indices {
            var shorter = all
            shorter.remove(at: position)
            #expect(throws: SheetWords.Problem.length(44)) {
                try SheetWords(reading: String(shorter))
            }
        }
        for position in words.indices {
            var wrong = words
            wrong[position] = words[position] == "babab" ? "zuzuz" : "babab"
            #expect(throws: SheetWords.Problem.checksum) {
                try SheetWords(reading: wrong.joined(separator: "-"))
            }
        }
    }

    @Test func knownWordsStandForKnownBytes() throws {
        // 127.0.0.1 is "lusab-babad" in Wilkerson's paper.
        let bytes: [UInt8] = [127, 0, 0, 1] + [UInt8](repeating: 0, count: 12)
        let words = try #require(SheetWords(bytes: bytes))
        #expect(words.words.prefix(3) == ["lusab", "babad", "babab"])
    }

    @Test func theProblemNamesTheWord() throws {
        var words = try some(5).words
        words[3] = "aaaaa"
        #expect(throws: SheetWords.Problem.letter(word: 4)) {
            try SheetWords(reading: words.joined(separator: " "))
        }
    }
}
