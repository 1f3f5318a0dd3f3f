import BackupCore
import Testing

@Suite struct HostileTextTests {
    @Test(arguments: [
        ("plain.jpg", "plain.jpg"),
        ("Ünïcödé 写真 👩‍👩‍👧", "Ünïcödé 写真 👩‍👩‍👧"),
        ("a\u{1B}[2Jb", "a\\u{1b}[2Jb"),
        ("line\nbreak\r", "line\\u{a}break\\u{d}"),
        ("right\u{202E}gpj.exe", "right\\u{202e}gpj.exe"),
        ("sep\u{2028}\u{2029}", "sep\\u{2028}\\u{2029}"),
        ("zero\u{200B}width\u{FEFF}", "zero\\u{200b}width\\u{feff}"),
        ("c1\u{9B}31m", "c1\\u{9b}31m"),
        ("back\\slash", "back\\\\slash"),
    ])
    func everythingInvisibleIsShownAsANumber(text: String, expected: String) {
        #expect(HostileText.escaped(text) == expected)
    }

    @Test func bytesThatAreNotUTF8AreShownInHexadecimal() {
        // A lone continuation byte, an overlong slash, a surrogate, a cut sequence.
        #expect(HostileText.escaped([0x80, 0x41]) == "\\x80A")
        #expect(HostileText.escaped([0xC0, 0xAF]) == "\\xc0\\xaf")
        #expect(HostileText.escaped([0xED, 0xA0, 0x80]) == "\\xed\\xa0\\x80")
        #expect(HostileText.escaped([0x41, 0xF0, 0x9F]) == "A\\xf0\\x9f")
    }

    @Test func longTextIsCut() {
        let escaped = HostileText.escaped(String(repeating: "x", count: 5000), limit: 100)
        #expect(escaped == String(repeating: "x", count: 100) + "…")
    }

    @Test func noByteStringReachesATerminalRaw() {
        var generator = SystemRandomNumberGenerator()
        let seed = UInt64.random(in: .min ... .max, using: &generator)
        var random = SeededGenerator(seed: seed)
        for _ in 0..<500 {
            let bytes = (0..<40).map { _ in UInt8.random(in: .min ... .max, using: &random) }
            let escaped = HostileText.escaped(bytes)
            #expect(
                escaped.unicodeScalars.allSatisfy { $0.value >= 0x20 && $0.value != 0x7F },
                "seed \(seed)")
        }
    }
}

/// A generator whose numbers follow from its seed alone (SplitMix64).
struct SeededGenerator: RandomNumberGenerator {
    private var state: UInt64

    init(seed: UInt64) { state = seed }

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var value = state
        value = (value ^ (value >> 30)) &* 0xBF58_476D_1CE4_E5B9
        value = (value ^ (value >> 27)) &* 0x94D0_49BB_1331_11EB
        return value ^ (value >> 31)
    }
}
