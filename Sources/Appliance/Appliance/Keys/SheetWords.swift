import BackupCore

/// The words of a recovery sheet: 128 random bits and a checksum as nine pronounceable words.
///
/// Each word carries 16 bits as consonant-vowel-consonant-vowel-consonant (4, 2, 4, 2, 4 bits,
/// most significant first; the alphabet of Wilkerson's "A Proposal for Proquints"). The ninth
/// word is the CRC-16 (polynomial 0x1021, start 0xFFFF) of the eight before. A CRC rather than a
/// cut hash: it finds every error that stays within one word for certain, not only with good
/// odds, and typing one letter wrong is what people do.
package struct SheetWords: Hashable, Sendable {
    /// Random bytes in the words: 128 bits.
    package static let byteCount = 16

    /// Why words that were typed in cannot be right.
    package enum Problem: Error, Hashable {
        /// Not 45 letters in all; the number found.
        case length(Int)
        /// A letter that no word can have at its place; the word's number from 1.
        case letter(word: Int)
        /// All letters are possible, but together they are not a sheet's.
        case checksum

        /// The problem in one sentence for the person who typed.
        package var sentence: String {
            switch self {
            case .length(let count):
                "The words have \(count) letters in all and not 45: a word or a letter is "
                    + "missing or too many."
            case .letter(let word): "Word \(word) has a letter that is never there."
            case .checksum: "The words do not fit together: a letter is wrong or words are swapped."
            }
        }
    }

    /// The 16 bytes that the words stand for.
    package let bytes: [UInt8]

    /// The words for exactly ``byteCount`` bytes, else nil.
    package init?(bytes: [UInt8]) {
        guard bytes.count == Self.byteCount else { return nil }
        self.bytes = bytes
    }

    /// Reads words as people type them: any case, with numbers, spaces, hyphens, line ends, dots
    /// or commas between words or none at all. Only letters count.
    package init(reading text: String) throws(Problem) {
        let letters = Self.letters(of: text)
        guard letters.count == 45 else { throw Problem.length(letters.count) }
        var values: [UInt16] = []
        for word in 0..<9 {
            guard let value = Self.value(of: Array(letters[word * 5..<word * 5 + 5])) else {
                throw Problem.letter(word: word + 1)
            }
            values.append(value)
        }
        let bytes = values.dropLast().flatMap { [UInt8($0 >> 8), UInt8($0 & 0xFF)] }
        guard values.last == Self.checksum(bytes) else { throw Problem.checksum }
        self.bytes = bytes
    }

    /// Nine words as they were typed, in lower case, right or wrong; nil when their letters are
    /// not nine words' number.
    static func groups(of text: String) -> [String]? {
        let letters = letters(of: text)
        guard letters.count == 45 else { return nil }
        return stride(from: 0, to: 45, by: 5).map {
            String(decoding: letters[$0..<$0 + 5], as: UTF8.self)
        }
    }

    private static func letters(of text: String) -> [UInt8] {
        let alphabet = UInt8(ascii: "a")...UInt8(ascii: "z")
        return text.lowercased().utf8.filter { alphabet.contains($0) }
    }

    /// The nine words in lower case.
    package var words: [String] {
        var values: [UInt16] = []
        for position in stride(from: 0, to: bytes.count, by: 2) {
            values.append(UInt16(bytes[position]) << 8 | UInt16(bytes[position + 1]))
        }
        return (values + [Self.checksum(bytes)]).map(Self.word)
    }

    /// The words joined by hyphens: the password of the owner's second key file.
    package var canonical: String { words.joined(separator: "-") }

    private static let consonants = Array("bdfghjklmnprstvz".utf8)
    private static let vowels = Array("aiou".utf8)

    private static func word(_ value: UInt16) -> String {
        let letters = [
            consonants[Int(value >> 12)], vowels[Int(value >> 10 & 3)],
            consonants[Int(value >> 6 & 15)], vowels[Int(value >> 4 & 3)],
            consonants[Int(value & 15)],
        ]
        return String(decoding: letters, as: UTF8.self)
    }

    private static func value(of letters: [UInt8]) -> UInt16? {
        var value: UInt16 = 0
        for (position, letter) in letters.enumerated() {
            let isVowel = position % 2 == 1
            guard let index = (isVowel ? vowels : consonants).firstIndex(of: letter) else {
                return nil
            }
            value = value << (isVowel ? 2 : 4) | UInt16(index)
        }
        return value
    }

    private static func checksum(_ bytes: [UInt8]) -> UInt16 {
        var register: UInt16 = 0xFFFF
        for byte in bytes {
            register ^= UInt16(byte) << 8
            for _ in 0..<8 {
                register = register & 0x8000 != 0 ? register << 1 ^ 0x1021 : register << 1
            }
        }
        return register
    }
}
