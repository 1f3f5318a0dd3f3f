import BackupCore
@testable import BackupEngine
import TestKit
import Testing

@Suite struct NameMappingTests {
    private let mapping = NameMapping(hash: testHash)

    @Test(arguments: [
        ("IMG_1.jpg", "IMG_1.jpg"), ("100%.txt", "100%.txt"), ("a%2Fb", "a%2Fb"),
        ("a/b", "a%2Fb"), ("50%/x", "50%25%2Fx"), ("", "%"), (".", "%2E"), ("..", "%2E%2E"),
        ("../x", "..%2Fx"), ("a\0b", "a%00b"), ("...", "..."), ("ä\u{202E}gpj", "ä\u{202E}gpj"),
    ])
    func aNameThatCannotStandIsEscapedAndOthersStay(name: String, expected: String) {
        #expect(mapping.treeName(of: EntryName(name)) == EntryName(expected))
    }

    @Test(arguments: [256, 300, 5000])
    func aLongNameIsShortenedKeepsItsExtensionAndStaysItsOwn(length: Int) {
        let long = EntryName(String(repeating: "é", count: length / 2) + ".jpeg")
        let other = EntryName(String(repeating: "é", count: length / 2) + "e.jpeg")
        let short = mapping.treeName(of: long)
        #expect(short.isTreeName)
        #expect(short.bytes.count <= 255)
        #expect(short.bytes.suffix(5) == Array(".jpeg".utf8)[...])
        #expect(short == mapping.treeName(of: long))
        #expect(short != mapping.treeName(of: other))
        #expect(String(validating: short.bytes, as: UTF8.self) != nil)
    }

    @Test func equalNamesAreNumberedBeforeTheExtension() {
        let names = assign(["a.jpg", "a.jpg", "a.jpg", "b", "b", ".hidden", ".hidden"])
        #expect(
            names == [
                ".hidden", ".hidden (2)", "a (2).jpg", "a (3).jpg", "a.jpg", "b", "b (2)",
            ])
    }

    @Test func anEscapedNameMakesWayForARealOne() {
        #expect(assign(["a/b", "a%2Fb"]) == ["a%2Fb", "a%2Fb (2)"])
        #expect(assign(["a", "a", "a (2)"]) == ["a", "a (2)", "a (3)"])
    }

    @Test func caseTwinsAndFormsOfOneLetterAreDifferentNames() {
        #expect(assign(["A", "a", "e\u{301}", "é"]).count == 4)
        #expect(assign(["A", "a", "e\u{301}", "é"]) == ["A", "a", "e\u{301}", "é"])
    }

    @Test func theOrderOfListingDoesNotMatter() {
        let entries = (0..<6).map { index in
            entry("x.jpg", size: UInt64(index), object: UInt64(index))
        }
        let straight = mapping.assign(entries).map { [$0.name.description, "\($0.entry.object)"] }
        let reversed = mapping.assign(entries.reversed()).map {
            [$0.name.description, "\($0.entry.object)"]
        }
        #expect(straight == reversed)
    }

    @Test(arguments: 1...20 as ClosedRange<UInt64>)
    func everyEntryGetsATreeNameOfItsOwn(seed: UInt64) {
        var numbers = SeededNumbers(seed: seed)
        let alphabet: [UInt8] = [0x2F, 0x25, 0, 0x2E, 0x61, 0x41, 0xC3, 0xFF, 0x20, 0x32]
        let entries = (0..<200).map { index in
            let count = Int.random(in: 0...3, using: &numbers)
            let bytes = (0..<count).map { _ in alphabet.randomElement(using: &numbers) ?? 0 }
            let tail = index % 40 == 0 ? [UInt8](repeating: 0x78, count: 254) : []
            return PhoneEntry(
                storage: 1, object: UInt64(index), name: EntryName(bytes: bytes + tail),
                isFolder: index % 3 == 0, byteCount: UInt64(index), modified: .zero)
        }
        let named = mapping.assign(entries)
        #expect(named.count == 200, "seed \(seed)")
        #expect(Set(named.map(\.name)).count == 200, "seed \(seed)")
        #expect(named.allSatisfy { $0.name.isTreeName }, "seed \(seed)")
    }

    @Test func aMillionEqualNamesWouldNotTakeForEver() {
        let entries = (0..<20_000).map { entry("same", size: 1, object: UInt64($0)) }
        #expect(Set(mapping.assign(entries).map(\.name)).count == 20_000)
    }

    private func assign(_ names: [String]) -> [EntryName] {
        let entries = names.enumerated().map { index, name in
            entry(name, size: 1, object: UInt64(index))
        }
        return mapping.assign(entries).map(\.name)
    }

    private func entry(_ name: String, size: UInt64, object: UInt64) -> PhoneEntry {
        PhoneEntry(
            storage: 1, object: object, name: EntryName(name), isFolder: false, byteCount: size,
            modified: .zero)
    }
}
