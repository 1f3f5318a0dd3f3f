import BackupCore
@testable import BackupEngine
import TestKit
import Testing

@Suite struct SnapshotNotesTests {
    private func notes() -> SnapshotNotes {
        let attributes = PhoneAttributes(
            identity: "x", name: "Ana \"A\"\n", manufacturer: "M", model: "Ü", osVersion: "14",
            batteryPercent: 3, notes: ["changes each run"])
        var notes = SnapshotNotes(attributes, family: .android, capture: .media)
        notes.storages = [
            StorageFacts(
                folder: "Internal", name: EntryName(bytes: [0xFF, 0x00, 0x41]),
                volumeIdentifier: "a\\b", type: 3, totalBytes: .max)
        ]
        return notes
    }

    @Test func theyComeBack() throws {
        let back = try #require(SnapshotNotes(decoding: notes().encoded()))
        #expect(back.name == "Ana \"A\"\n")
        #expect(back.model == "Ü")
        #expect(back.storages == notes().storages)
        #expect(back.capture == "media")
    }

    @Test func nothingThatChangesFromRunToRunStandsInThem() {
        let text = String(decoding: notes().encoded(), as: UTF8.self)
        #expect(!text.contains("changes each run"))
        #expect(notes().encoded() == notes().encoded())
    }

    @Test(arguments: 1...40 as ClosedRange<UInt64>)
    func damagedNotesNeverTrap(seed: UInt64) {
        var numbers = SeededNumbers(seed: seed)
        var bytes = notes().encoded()
        for _ in 0..<Int.random(in: 1...6, using: &numbers) {
            let position = Int.random(in: bytes.indices, using: &numbers)
            bytes[position] = UInt8(truncatingIfNeeded: numbers.next())
        }
        bytes = Array(bytes.prefix(Int.random(in: 0...bytes.count, using: &numbers)))
        let back = SnapshotNotes(decoding: bytes)
        #expect(back?.storages.allSatisfy { $0.folder.isTreeName } ?? true)
    }

    @Test(arguments: [
        "", "[]", "{}", "{\"format\":\"1\"}", "{\"format\":1", "{\"format\":1} x",
        "{\"format\":1,}", "\"\\ud800\"", "nul", "{\"a\":\"\u{1}\"}",
    ])
    func whatIsNoSuchFileIsNil(text: String) {
        #expect(SnapshotNotes(decoding: Array(text.utf8)) == nil)
    }

    @Test func deepNestingIsRefused() {
        func notes(depth: Int) -> [UInt8] {
            let inner = String(repeating: "[", count: depth) + String(repeating: "]", count: depth)
            return Array("{\"format\":1,\"more\":\(inner)}".utf8)
        }
        #expect(SnapshotNotes(decoding: notes(depth: 20)) != nil)
        #expect(SnapshotNotes(decoding: notes(depth: 100_000)) == nil)
    }

    @Test func foreignTypesArePassedOver() throws {
        let text =
            #"{"format":1,"phone":[],"storages":[{"folder":"../x"},3,{"folder":"ok","type":70000}]}"#
        let back = try #require(SnapshotNotes(decoding: Array(text.utf8)))
        #expect(back.storages.map(\.folder) == ["ok"])
    }
}
