/// One Swift file by lines, as written and as code alone.
struct SwiftSource {
    let path: String
    let lines: [String]
    /// The lines with comments and the insides of string literals blanked, so that a word found
    /// here is a word of the program.
    let code: [String]

    /// The Swift files of a checkout beneath `folder`.
    static func all(in checkout: Checkout, under folder: String) -> [SwiftSource] {
        checkout.files(under: folder, endingIn: ".swift").compactMap { path in
            checkout.text(path).map { SwiftSource(path: path, text: $0) }
        }
    }

    /// Splits `text`.
    init(path: String, text: String) {
        self.path = path
        var blanker = Blanker(bytes: Array(text.utf8))
        lines = Self.split(Array(text.utf8))
        code = Self.split(blanker.blanked())
    }

    private static func split(_ bytes: [UInt8]) -> [String] {
        bytes.split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: false)
            .map { String(decoding: $0, as: UTF8.self) }
    }

    /// The words and operators of a line of code: identifiers with a leading `@` or `#` kept, and
    /// every other character by itself.
    static func tokens(_ line: String) -> [String] {
        var result: [String] = []
        var word: [UInt8] = []
        for byte in line.utf8 {
            if isWordByte(byte) {
                word.append(byte)
                continue
            }
            if !word.isEmpty { result.append(String(decoding: word, as: UTF8.self)) }
            word = byte == UInt8(ascii: "@") || byte == UInt8(ascii: "#") ? [byte] : []
            let isBlank = byte == UInt8(ascii: " ") || byte == UInt8(ascii: "\t")
            if word.isEmpty, !isBlank { result.append(String(decoding: [byte], as: UTF8.self)) }
        }
        if !word.isEmpty { result.append(String(decoding: word, as: UTF8.self)) }
        return result
    }

    static func isWordByte(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
            UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "_"), 0x80...:
            true
        default: false
        }
    }
}

/// Blanks comments and string literals; newlines and the code in interpolations stay.
private struct Blanker {
    let bytes: [UInt8]
    private var position = 0
    private var output: [UInt8] = []

    private static let quote = UInt8(ascii: "\"")
    private static let hash = UInt8(ascii: "#")
    private static let newline = UInt8(ascii: "\n")

    init(bytes: [UInt8]) { self.bytes = bytes }

    mutating func blanked() -> [UInt8] {
        output.reserveCapacity(bytes.count)
        while position < bytes.count { code(endingAtParenthesis: false) }
        return output
    }

    /// Copies code up to the end of the text or, in an interpolation, to its closing parenthesis.
    private mutating func code(endingAtParenthesis: Bool) {
        var depth = 0
        while position < bytes.count {
            let byte = bytes[position]
            if starts("//") {
                blank(until: Self.newline)
            } else if starts("/*") {
                blockComment()
            } else if let hashes = stringStart() {
                string(hashes: hashes)
            } else {
                if byte == UInt8(ascii: "(") { depth += 1 }
                if byte == UInt8(ascii: ")") { depth -= 1 }
                keep()
                if endingAtParenthesis, depth < 0 { return }
            }
        }
    }

    private mutating func blockComment() {
        var depth = 0
        repeat {
            if starts("/*") {
                depth += 1
                blank(2)
            } else if starts("*/") {
                depth -= 1
                blank(2)
            } else {
                blank(1)
            }
        } while depth > 0 && position < bytes.count
    }

    /// The number of `#` before a string literal that starts here; nil when none does.
    private func stringStart() -> Int? {
        var end = position
        while end < bytes.count, bytes[end] == Self.hash { end += 1 }
        guard end < bytes.count, bytes[end] == Self.quote else { return nil }
        return end - position
    }

    private mutating func string(hashes: Int) {
        for _ in 0..<hashes { keep() }
        let isLong = starts("\"\"\"")
        let mark = [UInt8](repeating: Self.quote, count: isLong ? 3 : 1)
        let end = mark + [UInt8](repeating: Self.hash, count: hashes)
        let escape = [UInt8(ascii: "\\")] + [UInt8](repeating: Self.hash, count: hashes)
        for _ in mark { keep() }
        while position < bytes.count {
            if bytes[position...].starts(with: end) {
                for _ in end { keep() }
                return
            }
            if bytes[position...].starts(with: escape) {
                blank(escape.count)
                if peek == UInt8(ascii: "(") {
                    keep()
                    code(endingAtParenthesis: true)
                } else {
                    blank(1)
                }
            } else if !isLong, peek == Self.newline {
                return
            } else {
                blank(1)
            }
        }
    }

    private var peek: UInt8? { position < bytes.count ? bytes[position] : nil }

    private func starts(_ text: String) -> Bool {
        guard peek == text.utf8.first else { return false }
        return bytes[position...].starts(with: text.utf8)
    }

    private mutating func keep() {
        guard let byte = peek else { return }
        output.append(byte)
        position += 1
    }

    private mutating func blank(_ count: Int) {
        for _ in 0..<count where position < bytes.count {
            output.append(bytes[position] == Self.newline ? Self.newline : UInt8(ascii: " "))
            position += 1
        }
    }

    private mutating func blank(until end: UInt8) {
        while let byte = peek, byte != end { blank(1) }
    }
}
