import BackupCore
import Foundation
import TestKit
import Testing

@testable import ApplePhone

/// Lists come back as they went, are read as Apple's own reader reads them, and whatever a phone
/// sends costs no more than the limits.
@Suite struct PropertyListTests {
    private static let list = PropertyList.dictionary([
        "": .string(""), "Kürbis": .string("Zoë 📱 & <tag>"), "ascii": .string("plain"),
        "numbers": .array([
            .integer(0), .integer(-1), .integer(255), .integer(256), .integer(.max), .integer(.min),
            .unsigned(.max), .integer(1 << 40),
        ]),
        "flags": .array([.boolean(true), .boolean(false)]), "none": .array([]),
        "nothing": .dictionary([:]), "data": .data([0, 1, 0xFF]), "empty": .data([]),
        "long": .data([UInt8](repeating: 7, count: 70_000)),
        "many": .array((0..<300).map { .integer($0) }), "real": .real(-1.5), "date": .date(86_400),
        "same": .array([.string("plain"), .string("plain")]),
    ])

    @Test func listsComeBackAsTheyWent() throws {
        #expect(try PropertyList.decode(Self.list.encodeBinary()) == Self.list)
        #expect(try PropertyList.decode(Self.list.encodeXML()) == Self.list)
        let uid = PropertyList.array([.uid(0), .uid(70_000), .uid(.max)])
        #expect(try PropertyList.decode(uid.encodeBinary()) == uid)
    }

    @Test func theSameListGivesTheSameBytes() {
        let again = PropertyList.dictionary(Self.list.entries ?? [:])
        #expect(again.encodeBinary() == Self.list.encodeBinary())
        #expect(again.encodeXML() == Self.list.encodeXML())
    }

    @Test(arguments: [
        PropertyListSerialization.PropertyListFormat.binary,
        PropertyListSerialization.PropertyListFormat.xml,
    ])
    func foundationReadsOursAndWeReadItsOwn(
        format: PropertyListSerialization.PropertyListFormat
    ) throws {
        let ours = format == .binary ? Self.list.encodeBinary() : Self.list.encodeXML()
        let theirs = try PropertyListSerialization.propertyList(from: Data(ours), format: nil)
        let bytes = try PropertyListSerialization.data(
            fromPropertyList: theirs, format: format, options: 0)
        let back = try PropertyList.decode(Array(bytes))
        for (key, value) in Self.list.entries ?? [:] {
            #expect(back[key] == value, "\(key)")
        }
    }

    // MARK: - Hostile lists

    /// A binary list of given objects with offsets and references of one byte.
    private static func binary(_ objects: [[UInt8]], top: UInt8 = 0) -> [UInt8] {
        var bytes = Array("bplist00".utf8)
        var offsets: [UInt8] = []
        for object in objects {
            offsets.append(UInt8(bytes.count))
            bytes += object
        }
        let table = UInt8(bytes.count)
        let zeros = [UInt8](repeating: 0, count: 7)
        return bytes + offsets + [0, 0, 0, 0, 0, 0, 1, 1]
            + zeros + [UInt8(objects.count)] + zeros + [top] + zeros + [table]
    }

    private static func code(_ bytes: [UInt8], _ limits: PropertyList.Limits = .init())
        -> DeviceError.Code?
    {
        do throws(DeviceError) {
            _ = try PropertyList.decode(bytes, limits: limits)
            return nil
        } catch { return error.code }
    }

    @Test func theListThatTheOthersAreMadeFromIsRead() throws {
        let bytes = Self.binary([[0xA1, 1], [0x10, 7]])
        #expect(try PropertyList.decode(bytes) == .array([.integer(7)]))
    }

    @Test func aListThatContainsItselfIsRefused() {
        #expect(Self.code(Self.binary([[0xA1, 0]])) == .limitExceeded)
        #expect(Self.code(Self.binary([[0xD1, 1, 0], [0x51, 0x61]])) == .limitExceeded)
    }

    @Test func referencesThatMultiplyAreRefused() {
        // Each level holds the next one fifteen times: 15^20 values in some 400 bytes.
        var objects = (0..<10).map { level in
            [UInt8(0xAE)] + [UInt8](repeating: level + 1, count: 14)
        }
        objects.append([0x10, 1])
        #expect(Self.code(Self.binary(objects)) == .limitExceeded)
    }

    @Test func oneTextReferredToOftenCountsEachTime() {
        let text = [0x5F, 0x10, 100] + [UInt8](repeating: 0x61, count: 100)
        let bytes = Self.binary([[0xAE] + [UInt8](repeating: 1, count: 14), text])
        #expect(Self.code(bytes) == nil)
        #expect(Self.code(bytes, .init(bytes: 1000)) == .limitExceeded)
        #expect(Self.code(bytes, .init(text: 99)) == .limitExceeded)
    }

    @Test(
        arguments: [
            [0x5F, 0x13, 0x7F, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF],
            [0x6F, 0x13, 0x7F, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF],
            [0xAF, 0x13, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF],
            [0xDF, 0x13, 0x80, 0, 0, 0, 0, 0, 0, 0], [0x4F, 0x12, 0xFF, 0xFF, 0xFF, 0xFF],
            [0x15, 0], [0x23, 1], [0xA1, 9], [0xD1, 0, 0], [0x00], [0x70 | 0x0F, 0x50],
            [0x14, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0], [0x8F, 1],
        ] as [[UInt8]])
    func aValueThatDoesNotFitIsRefused(object: [UInt8]) {
        let code = Self.code(Self.binary([object]))
        #expect(code == .protocolViolation || code == .limitExceeded)
    }

    @Test func twoValuesForOneKeyAreRefused() {
        let bytes = Self.binary([[0xD2, 1, 1, 2, 2], [0x51, 0x61], [0x10, 1]])
        #expect(Self.code(bytes) == .protocolViolation)
        let xml = "<plist><dict><key>a</key><true/><key>a</key><true/></dict></plist>"
        #expect(Self.code(Array(xml.utf8)) == .protocolViolation)
    }

    @Test(arguments: [
        "<!DOCTYPE plist [<!ENTITY a \"b\">]><plist><string>&a;</string></plist>",
        "<plist><string>&a;</string></plist>", "<plist><string>&#65;</string></plist>",
        "<plist><string><![CDATA[a]]></string></plist>", "<plist><dict><true/></dict></plist>",
        "<plist><dict><key>a</key></dict></plist>", "<plist><array></dict></plist>",
        "<plist><true/><true/></plist>", "<plist><true/>", "<true/>", "", "<plist></plist>",
        "<plist><data>A</data></plist>", "<plist><integer>99999999999999999999</integer></plist>",
        "<plist><integer/></plist>", "<plist><real>x</real></plist>",
        "<plist><date>tomorrow</date></plist>", "<plist><string a=\"b\">c</string></plist>",
        "<plist><true/></plist>x", "<!-- <plist><true/></plist>", "<plist><null/></plist>",
    ])
    func xmlBeyondTheDocumentTypeIsRefused(text: String) {
        #expect(Self.code(Array(text.utf8)) == .protocolViolation)
    }

    @Test func deepXMLIsRefused() {
        let deep = String(repeating: "<array>", count: 100_000)
        #expect(Self.code(Array(("<plist>" + deep).utf8)) == .limitExceeded)
    }

    @Test func longListsAreRefusedBeforeTheyAreRead() {
        #expect(Self.code([UInt8](repeating: 0, count: 101), .init(bytes: 100)) == .limitExceeded)
        let many = PropertyList.array((0..<100).map { .integer($0) })
        #expect(Self.code(many.encodeBinary(), .init(elements: 100)) == .limitExceeded)
        #expect(Self.code(many.encodeXML(), .init(elements: 100)) == .limitExceeded)
        #expect(Self.code(many.encodeXML(), .init(elements: 101)) == nil)
    }

    @Test func mutantsNeverTrap() {
        let seed = UInt64.random(in: 1...UInt64.max)
        print("property lists: seed \(seed)")
        var random = SeededNumbers(seed: seed)
        var refused = 0
        // Short, so that what is changed is mostly structure.
        var entries = Self.list.entries ?? [:]
        for key in ["long", "many"] { entries[key] = nil }
        let list = PropertyList.dictionary(entries)
        for original in [
            list.encodeBinary(), list.encodeXML(), Self.binary([[0xA1, 1], [0x10, 7]]),
        ] {
            for _ in 0..<1000 {
                var mutant = original
                for _ in 0..<Int.random(in: 1...3, using: &random) {
                    let near = mutant.count > 60 && Bool.random(using: &random)
                    let position =
                        near
                        ? mutant.count - 1 - Int.random(in: 0..<48, using: &random)
                        : Int.random(in: 0..<mutant.count, using: &random)
                    mutant[position] = UInt8.random(in: 0...255, using: &random)
                }
                if Bool.random(using: &random) {
                    mutant.removeLast(Int.random(in: 0...8, using: &random))
                }
                if Self.code(mutant) != nil { refused += 1 }
            }
        }
        #expect(refused > 0, "seed \(seed)")
    }
}
