import BackupCore
import Drives
import Foundation
import ResticFormat
import ResticRepository
import Testing

@testable import Appliance

/// Drives that were away while others forgot and pruned.
@Suite struct StaleDriveTests {
    private func files(_ seed: UInt64, _ numbers: Range<Int>) -> [String: [UInt8]] {
        var files: [String: [UInt8]] = [:]
        for number in numbers {
            var source = Seeded(state: seed &* 1000 &+ UInt64(number))
            files["f\(number)"] = source.bytes(12_000)
        }
        return files
    }

    @Test func aStaleDriveLosesWhatTheOthersRemoved() async throws {
        let lab = try await PruneLab(["a", "b", "c"])
        let first = try await lab.backUp("a", "b", "c", files: files(1, 0..<6))
        try await lab.backUp("a", "b", "c", files: files(1, 3..<9))
        try await lab.forget([first], on: "a", "b")
        try await lab.prune("a", "b")
        try await lab.backUp("a", "b", files: files(1, 4..<11))
        try await lab.catchUp(try await lab.copies(["a", "b", "c"]))
        for name in ["a", "b", "c"] {
            #expect(try await lab.isExact(name), "\(name)")
            #expect(try lab.isSoundToRestic(name))
        }
        let names = try ["a", "b", "c"].map {
            try FileManager.default.subpathsOfDirectory(atPath: lab.repository($0)).sorted()
        }
        #expect(names[0] == names[1] && names[1] == names[2])
    }

    @Test func whatOnlyTheStaleDriveHasComesBackWithAllItNeeds() async throws {
        let lab = try await PruneLab(["a", "b", "c"])
        let first = try await lab.backUp("a", "b", "c", files: files(2, 0..<6))
        try await lab.backUp("a", "b", "c", files: files(2, 4..<9))
        try await lab.forget([first], on: "a", "b")
        try await lab.prune("a", "b")
        // A run on the stale drive alone, of files that the others have just removed.
        let lonely = try await lab.backUp("c", files: files(2, 0..<5))
        let packs = try await lab.copies(["a"])[0].list(.data).count
        try await lab.catchUp(try await lab.copies(["a", "b", "c"]))
        #expect(lab.kept.contains(lonely))
        #expect(try await lab.copies(["a"])[0].list(.data).count > packs)
        for name in ["a", "b", "c"] {
            #expect(try await lab.isExact(name), "\(name)")
            #expect(try lab.isSoundToRestic(name))
        }
        // And it stays: nothing is removed or revived again.
        let before = try FileManager.default.subpathsOfDirectory(atPath: lab.repository("c"))
        try await lab.catchUp(try await lab.copies(["a", "b", "c"]))
        #expect(
            try FileManager.default.subpathsOfDirectory(atPath: lab.repository("c")).sorted()
                == before.sorted())
        try await lab.prune("a", "b", "c")
        for name in ["a", "c"] { #expect(try await lab.isExact(name)) }
    }

    @Test(arguments: ["a", "c"])
    func comingBackCutShortAnywhereLosesNothing(failing: String) async throws {
        let lab = try await PruneLab(["a", "b", "c"])
        let first = try await lab.backUp("a", "b", "c", files: files(3, 0..<4))
        try await lab.backUp("a", "b", "c", files: files(3, 3..<6))
        try await lab.forget([first], on: "a", "b")
        try await lab.prune("a", "b")
        try await lab.backUp("c", files: files(3, 0..<3))
        let all = ["a", "b", "c"]
        for name in all { try lab.copyFolder(name, to: name + "-before") }
        let counting = StickyFault()
        try await lab.catchUp(try await lab.copies(all, faults: [failing: counting]))
        for call in stride(from: 1, through: counting.count, by: 2) {
            for name in all { try lab.copyFolder(name + "-before", to: name) }
            let fault = StickyFault(call)
            // It may end whole: one drive that fails does not stop the others.
            _ = try? await lab.catchUp(try await lab.copies(all, faults: [failing: fault]))
            for name in all {
                #expect(try await lab.isExact(name, all: false), "\(name), call \(call)")
            }
            try await lab.catchUp(try await lab.copies(all))
            for name in all {
                #expect(try await lab.isExact(name), "\(name), after call \(call)")
            }
        }
        for name in all { #expect(try lab.isSoundToRestic(name)) }
    }

    @Test func aDriveAloneLosesNothing() async throws {
        let lab = try await PruneLab(["a", "b"])
        let first = try await lab.backUp("a", "b", files: files(4, 0..<4))
        try await lab.backUp("a", "b", files: files(4, 2..<6))
        // Tombstones, and a power cut before anything went.
        let copies = try await lab.copies(["a", "b"])
        for copy in copies { try await copy.bury([FileName(.snapshot, first)], at: lab.now()) }
        let stayed = try await lab.catchUp([copies[0]])
        #expect(stayed == [FileName(.snapshot, first)])
        #expect(try await copies[0].list(.snapshot).count == 2)
        try await lab.catchUp(copies)
        lab.kept.remove(first)
        for name in ["a", "b"] { #expect(try await lab.isExact(name)) }
    }

    @Test func aNewDriveGetsWhatIsKeptAndNothingElse() async throws {
        let lab = try await PruneLab(["a", "b"])
        let first = try await lab.backUp("a", "b", files: files(5, 0..<4))
        try await lab.backUp("a", "b", files: files(5, 2..<6))
        try await lab.forget([first], on: "a", "b")
        try await lab.prune("a", "b")
        try await lab.enrol("c")
        try await lab.catchUp(try await lab.copies(["a", "b", "c"]))
        #expect(try await lab.isExact("c"))
        #expect(try lab.isSoundToRestic("c"))
    }

    /// Seeded histories of three drives, each compared with the model.
    @Test(arguments: 0..<6)
    func randomHistoriesKeepEverySnapshot(seed: Int) async throws {
        let all = ["a", "b", "c"]
        let lab = try await PruneLab(all)
        var numbers = Seeded(state: UInt64(seed) + 77)
        var present = all
        var log: [String] = []
        for step in 0..<18 {
            switch Int.random(in: 0..<8, using: &numbers) {
            case 0, 1, 2:
                let start = Int.random(in: 0..<8, using: &numbers)
                let generation = UInt64.random(in: 0..<3, using: &numbers)
                try await lab.backUp(present, files: files(generation, start..<start + 4))
                log.append("\(step) backup on \(present)")
            case 3, 4:
                let known = try await lab.copies(present)[0].list(.snapshot).map(\.name.id)
                    .filter(lab.kept.contains).sorted()
                guard present.count > 1, known.count > 1 else { continue }
                let going = known.filter { _ in Bool.random(using: &numbers) }.dropLast()
                try await lab.forget(Array(going), on: present)
                log.append("\(step) forget \(going.count) on \(present)")
            case 5, 6:
                guard present.count > 1, !lab.kept.isEmpty else { continue }
                try await lab.prune(try await lab.copies(present))
                log.append("\(step) prune \(present)")
            default:
                present = all.filter { _ in Int.random(in: 0..<3, using: &numbers) > 0 }
                if present.isEmpty { present = ["b"] }
                log.append("\(step) present \(present)")
            }
            for name in all {
                #expect(
                    try await lab.isExact(name, all: false), "seed \(seed), \(name), \(log)")
            }
        }
        try await lab.catchUp(try await lab.copies(all))
        guard !lab.kept.isEmpty else { return }
        for _ in 0..<2 {
            for name in all {
                #expect(try await lab.isExact(name), "seed \(seed), \(name), \(log)")
                #expect(try lab.isSoundToRestic(name), "seed \(seed), \(log)")
            }
            try await lab.prune(try await lab.copies(all))
        }
    }
}
