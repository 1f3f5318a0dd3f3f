import BackupCore
import Testing

@Suite struct JSONValueTests {
    @Test(arguments: [
        #"{"a":1,"b":[true,false,null],"c":"x\ny"}"#, "[]", "{}", #""""#, "-12", "1.5",
        "18446744073709551615", #"{"b":1,"a":2}"#,
    ])
    func whatIsReadIsWrittenTheSame(text: String) throws {
        #expect(try JSONValue.read(Array(text.utf8)).line == text)
    }

    @Test(arguments: [
        "", "{", "[1,]", #"{"a"}"#, "nul", #""\ud800""#, "\"\u{1}\"", "1 2", "--1", "1e999",
        #"{"a":1"#, #""\x""#,
    ])
    func garbledTextIsAnErrorAndNeverATrap(text: String) {
        #expect(throws: JSONSyntaxError.self) { try JSONValue.read(Array(text.utf8)) }
    }

    @Test func deepNestingIsRefused() {
        let bytes = [UInt8](repeating: UInt8(ascii: "["), count: 100_000)
        #expect(throws: JSONSyntaxError.self) { try JSONValue.read(bytes) }
    }

    @Test func controlAndDirectionCharactersNeverLeaveUnescaped() throws {
        let hostile = "a\u{1b}[31m\u{202e}\u{7f}\u{85}\u{2028}\u{e0041}é"
        let line = JSONValue.string(hostile).line
        for scalar in line.unicodeScalars {
            #expect(scalar.isASCII ? (0x20..<0x7f).contains(scalar.value) : scalar == "é")
        }
        #expect(try JSONValue.read(Array(line.utf8)).text == hostile)
    }

    @Test func everyTruncationOfADocumentIsRefused() {
        let document = Array(#"{"state":"ready","list":[1,2,{"x":"é"}],"n":null}"#.utf8)
        for count in 0..<document.count {
            #expect(throws: JSONSyntaxError.self) {
                try JSONValue.read(Array(document.prefix(count)))
            }
        }
    }
}

@Suite struct RFC3339Tests {
    // The texts were made with GNU date (`date -u -d @N +%FT%TZ`).
    @Test(
        arguments: [
            (0, "1970-01-01T00:00:00Z"), (1_732_160_518, "2024-11-21T03:41:58Z"),
            (951_782_400, "2000-02-29T00:00:00Z"), (4_102_444_800, "2100-01-01T00:00:00Z"),
            (-1, "1969-12-31T23:59:59Z"), (-2_203_977_600, "1900-02-28T00:00:00Z"),
        ] as [(Int64, String)])
    func secondsAndTextAgreeWithGNUDate(seconds: Int64, text: String) {
        #expect(RFC3339.text(Timestamp(seconds: seconds)) == text)
        #expect(RFC3339.time(text) == Timestamp(seconds: seconds))
    }

    @Test func fractionsLoseOnlyTrailingZeros() {
        let time = Timestamp(seconds: 0, nanoseconds: 120_000_000)
        #expect(RFC3339.text(time) == "1970-01-01T00:00:00.12Z")
        #expect(RFC3339.time("1970-01-01T00:00:00.12Z") == time)
    }

    @Test(arguments: [3600, -12_600, 20_700])
    func offsetsNameTheSameMoment(offset: Int) {
        let time = Timestamp(seconds: 1_700_000_000)
        let text = RFC3339.text(time, utcOffsetSeconds: offset)
        #expect(!text.hasSuffix("Z"))
        #expect(RFC3339.time(text) == time)
    }

    @Test(arguments: [
        "", "1970-01-01", "1970-01-01T00:00:00", "1970-13-01T00:00:00Z", "1970-01-01T24:00:00Z",
        "1970-01-01T00:00:00.Z", "1970-01-01T00:00:00+1:00",
        "197a-01-01T00:00:00Z",
    ])
    func otherTextIsNoTime(text: String) { #expect(RFC3339.time(text) == nil) }
}

@Suite struct JSONBytesTests {
    @Test(arguments: [
        [], Array("plain.jpg".utf8), [0xFF, 0x00, 0x41], Array("é\u{1}".utf8), [0xED, 0xA0, 0x80],
    ])
    func bytesThatAreNotTextComeBackToo(bytes: [UInt8]) throws {
        let written = JSONValue.object([.bytes("name", bytes)]).line
        #expect(try JSONValue.read(Array(written.utf8)).bytes("name") == bytes)
    }

    @Test(arguments: [#"{"name_hex":"0"}"#, #"{"name_hex":"zz"}"#, #"{"name":1}"#, "{}", "[]"])
    func whatIsNoSuchMemberIsNil(text: String) throws {
        #expect(try JSONValue.read(Array(text.utf8)).bytes("name") == nil)
    }
}
