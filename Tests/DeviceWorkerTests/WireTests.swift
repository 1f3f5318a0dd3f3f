import BackupCore
import Testing

@testable import DeviceWorker

@Suite struct WireTests {
    static let attributes = PhoneAttributes(
        identity: "X\nPixel", name: "Zoë 📱", manufacturer: "G", model: "Pixel", osVersion: "14",
        batteryPercent: 100, notes: ["a", "b"], encryptsBackups: true)
    static let storage = PhoneStorage(
        handle: 0x10001, name: EntryName(bytes: [0xFF, 0x2F, 0]), volumeIdentifier: "v", type: 4,
        totalBytes: .max, freeBytes: 0)
    static let entries = [
        PhoneEntry(
            storage: 9, object: .max, name: EntryName(bytes: []), isFolder: true, byteCount: nil,
            modified: .zero),
        PhoneEntry(
            storage: 9, object: 1, name: EntryName(bytes: [UInt8](repeating: 0x61, count: 4096)),
            isFolder: false, byteCount: 5_000_000_000,
            modified: Timestamp(seconds: -1, nanoseconds: 999_999_999)),
    ]
    static let phones = [
        DetectedPhone(
            family: .android, bay: BayID(trusted: "1-4.2"),
            address: .usb(bus: 1, address: 200, vendor: 0xFFFF, product: 1), unsuitable: "why"),
        DetectedPhone(
            family: .iphone, bay: BayID(trusted: "2-1"),
            address: .usbmux(device: 7, udid: "0000-1")),
    ]

    @Test func valuesComeBackAsTheyWent() throws {
        var writer = WireWriter()
        writer.attributes(Self.attributes)
        writer.storage(Self.storage)
        for entry in Self.entries { writer.entry(entry) }
        for phone in Self.phones { writer.phone(phone) }
        writer.folder(FolderReference(storage: 3, object: nil))
        writer.folder(FolderReference(storage: 3, object: 8))
        var reader = WireReader(writer.bytes)
        #expect(try reader.attributes() == Self.attributes)
        #expect(try reader.storage() == Self.storage)
        for entry in Self.entries { #expect(try reader.entry(storage: 9) == entry) }
        for phone in Self.phones { #expect(try reader.phone() == phone) }
        #expect(try reader.folder() == FolderReference(storage: 3, object: nil))
        #expect(try reader.folder() == FolderReference(storage: 3, object: 8))
        try reader.end()
    }

    @Test(arguments: DeviceError.Code.allCases)
    func errorsComeBackAsTheyWent(code: DeviceError.Code) throws {
        let error = DeviceError(code, "Was für \\u{7} ein", nativeCode: -6)
        var writer = WireWriter()
        writer.error(error)
        var reader = WireReader(writer.bytes)
        #expect(try reader.error() == error)
    }

    @Test func wordsOfAWorkerAreMadeHarmless() throws {
        var writer = WireWriter()
        writer.error(DeviceError(.gone, "\u{1B}[2J\u{202E}evil"))
        var reader = WireReader(writer.bytes)
        #expect(try reader.error().detail == "\\u{1b}[2J\\u{202e}evil")
    }

    /// Seeded hostile bytes: a mutated body decodes to values within the limits or is refused.
    @Test(arguments: 0..<40) func mutatedBodiesNeverTrap(seed: UInt64) {
        var random = SeededGenerator(seed: seed)
        var writer = WireWriter()
        writer.attributes(Self.attributes)
        writer.storage(Self.storage)
        for entry in Self.entries { writer.entry(entry) }
        for phone in Self.phones { writer.phone(phone) }
        for _ in 0..<200 {
            var bytes = writer.bytes
            for _ in 0..<Int.random(in: 1...6, using: &random) {
                bytes[Int.random(in: 0..<bytes.count, using: &random)] = .random(
                    in: 0...255, using: &random)
            }
            bytes.removeLast(Int.random(in: 0..<bytes.count, using: &random) / 2)
            decodeAll(bytes, Int.random(in: 0..<bytes.count, using: &random))
        }
    }

    /// Decodes everything that can be, from a position on; the expectations are the limits.
    private func decodeAll(_ bytes: [UInt8], _ start: Int) {
        let tail = Array(bytes[start...])
        for bytes in [bytes, tail] {
            do throws(DeviceError) {
                var reader = WireReader(bytes)
                let attributes = try reader.attributes()
                #expect(attributes.identity.utf8.count <= 3 * WireLimit.text)
                #expect(attributes.notes.count <= WireLimit.notes)
                _ = try reader.storage()
                while !reader.isAtEnd {
                    let entry = try reader.entry(storage: 1)
                    #expect(entry.name.bytes.count <= WireLimit.name)
                    #expect(abs(entry.modified.seconds) <= WireLimit.seconds + 1)
                }
            } catch {
                #expect(error.code == .protocolViolation)
            }
            var phones = WireReader(bytes)
            _ = try? phones.phone()  // Only that it does not trap.
            var error = WireReader(bytes)
            _ = try? error.error()  // As above.
        }
    }

    @Test(arguments: [
        [0x01, 0x00, 0x40, 0x00, 0x01, 0, 0, 0, 0], [0xFF, 0xFF, 0xFF, 0xFF, 0x01, 0, 0, 0, 0],
        [0, 0, 0, 0, 0x77, 0, 0, 0, 0], [0, 0, 0, 0],
    ])
    func impossibleHeadersAreRefused(bytes: [UInt8]) {
        #expect(throws: DeviceError.self) { try FrameHeader(bytes) }
    }
}

/// xorshift64*, so that a failure can be repeated from its seed.
struct SeededGenerator: RandomNumberGenerator {
    private var state: UInt64
    init(seed: UInt64) { state = seed &* 0x9E37_79B9_7F4A_7C15 | 1 }
    mutating func next() -> UInt64 {
        state ^= state >> 12
        state ^= state << 25
        state ^= state >> 27
        return state &* 0x2545_F491_4F6C_DD1D
    }
}
