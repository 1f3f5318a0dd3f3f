import Foundation
import Testing

@testable import SimulatedPhones

struct PropertyListTests {
    @Test(arguments: 0..<40 as Range<UInt64>)
    func everyListSurvivesBothForms(seed: UInt64) throws {
        var random = SeededGenerator(seed: seed)
        let list = randomList(&random, depth: 4)
        #expect(try PropertyList.decode(list.encodeBinary()) == list)
        #expect(try PropertyList.decode(list.encodeXML()) == list)
    }

    /// libplist is the judge in both directions.
    @Test(
        .enabled(if: ProgramResult.isInstalled("plistutil")),
        arguments: 0..<12 as Range<UInt64>)
    func libplistAgrees(seed: UInt64) throws {
        let folder = NSTemporaryDirectory() + "pl-" + UUID().uuidString.prefix(8)
        try FileManager.default.createDirectory(
            atPath: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(atPath: folder) }  // only room is lost
        var random = SeededGenerator(seed: seed)
        let list = PropertyList.dictionary([
            "list": randomList(&random, depth: 3), "ö<&>\"": "ä<&>\u{1F4F1}", "none": [:],
            "small": -1, "large": .number(UInt64.max), "bytes": .data(Array(0...255)),
        ])
        for bytes in [list.encodeBinary(), list.encodeXML()] {
            try Data(bytes).write(to: URL(fileURLWithPath: folder + "/in"))
            let result = try ProgramResult.run(
                "plistutil", ["-i", folder + "/in", "-o", folder + "/out"], environment: [:],
                outputIn: folder)
            #expect(result.exitCode == 0, "\(result.output)")
            let other = try Data(contentsOf: URL(fileURLWithPath: folder + "/out"))
            #expect(try PropertyList.decode(Array(other)) == list)
        }
    }

    @Test(arguments: 0..<400 as Range<UInt64>)
    func damagedBytesNeverTrap(seed: UInt64) {
        var random = SeededGenerator(seed: seed)
        let list = randomList(&random, depth: 4)
        var bytes = seed % 2 == 0 ? list.encodeBinary() : list.encodeXML()
        for _ in 0..<Int.random(in: 1...4, using: &random) {
            let place = Int.random(in: bytes.indices, using: &random)
            bytes[place] = UInt8.random(in: 0...255, using: &random)
        }
        if seed % 5 == 0 { bytes.removeLast(Int.random(in: 0..<bytes.count, using: &random)) }
        _ = try? PropertyList.decode(bytes)  // either outcome is right; a trap is not
    }

    @Test func aListThatUnfoldsWithoutEndIsRefused() {
        // Thirty arrays, each of which holds the next one twice.
        var bytes = BinaryPropertyListReader.magic
        var offsets: [UInt8] = []
        for index in 0..<30 as Range<UInt8> {
            offsets.append(UInt8(bytes.count))
            bytes += [0xA2, index + 1, index + 1]
        }
        offsets.append(UInt8(bytes.count))
        bytes.append(0x09)
        let table = UInt8(bytes.count)
        bytes += offsets + [0, 0, 0, 0, 0, 0, 1, 1]
        bytes += [0, 0, 0, 0, 0, 0, 0, 31] + [UInt8](repeating: 0, count: 8)
        bytes += [0, 0, 0, 0, 0, 0, 0, table]
        #expect(throws: PropertyListProblem.self) { try PropertyList.decode(bytes) }
    }

    private func randomList(_ random: inout SeededGenerator, depth: Int) -> PropertyList {
        switch Int.random(in: 0..<(depth > 0 ? 10 : 7), using: &random) {
        case 0: return .boolean(Bool.random(using: &random))
        case 1:
            let bits = Int.random(in: 0..<64, using: &random)
            return .integer(Int64(bitPattern: random.next()) >> Int64(bits))
        case 2: return .real(Double(Int.random(in: -1_000_000...1_000_000, using: &random)) / 64)
        case 3: return .date(Double(Int.random(in: -900_000_000...900_000_000, using: &random)))
        case 4:
            let count = Int.random(in: 0..<40, using: &random)
            return .data((0..<count).map { _ in UInt8.random(in: 0...255, using: &random) })
        case 5, 6: return .string(randomText(&random))
        case 7, 8:
            let count = Int.random(in: 0..<20, using: &random)
            return .array((0..<count).map { _ in randomList(&random, depth: depth - 1) })
        default:
            var entries: [String: PropertyList] = [:]
            for _ in 0..<Int.random(in: 0..<20, using: &random) {
                entries[randomText(&random)] = randomList(&random, depth: depth - 1)
            }
            return .dictionary(entries)
        }
    }

    private func randomText(_ random: inout SeededGenerator) -> String {
        let letters = Array("abcXYZ 0123-_./&<>\"'äöüßéñ日本語📱")
        let count = Int.random(in: 1..<30, using: &random)
        return String((0..<count).map { _ in letters.randomElement(using: &random) ?? "x" })
    }
}
