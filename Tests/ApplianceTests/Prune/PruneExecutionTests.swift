import BackupCore
import Drives
import Foundation
import ResticFormat
import ResticRepository
import Testing

@testable import Appliance

/// Pruning two drives, cut short anywhere, with restic and a model as judges.
@Suite struct PruneExecutionTests {
    @Test func bothDrivesAreFreedAndStayAlike() async throws {
        let lab = try await PruneLab.halfForgotten(seed: 1)
        let plan = try await lab.prune("a", "b")
        #expect(plan.freedBytes > 50_000 && !plan.repackedPacks.isEmpty)
        for name in ["a", "b"] {
            #expect(try await lab.isExact(name))
            #expect(try lab.isSoundToRestic(name))
        }
        let files = try ["a", "b"].map {
            try FileManager.default.subpathsOfDirectory(atPath: lab.repository($0)).sorted()
        }
        #expect(files[0] == files[1])
        let again = try await lab.prune("a", "b")
        #expect(again.isEmpty)
        #expect(try lab.restic("a", "prune").status == 0)
        #expect(try lab.isSoundToRestic("a"))
    }

    @Test(arguments: ["a", "b"])
    func pruneCutShortAnywhereLosesNothingAndTheNextOneEndsIt(failing: String) async throws {
        let lab = try await PruneLab.halfForgotten(seed: 2)
        for name in ["a", "b"] { try lab.copyFolder(name, to: name + "-before") }
        let counting = StickyFault()
        try await lab.prune(try await lab.copies(["a", "b"], faults: [failing: counting]))
        var judged = 0
        // Every call of the removal, and some of the writing before it.
        for call in 1...counting.count where call % 3 == 0 || call > counting.count - 40 {
            for name in ["a", "b"] { try lab.copyFolder(name + "-before", to: name) }
            let fault = StickyFault(call)
            await #expect(throws: (any Error).self, "call \(call)") {
                try await lab.prune(
                    try await lab.copies(["a", "b"], faults: [failing: fault]))
            }
            for name in ["a", "b"] {
                #expect(try await lab.isExact(name), "\(name) after call \(call)")
                judged += 1
                if judged % 12 == 0 { #expect(try lab.isSoundToRestic(name), "call \(call)") }
            }
            try await lab.prune("a", "b")
            let again = try await lab.prune("a", "b")
            #expect(again.isEmpty && again.totalBytes < 110_000, "after call \(call)")
            for name in ["a", "b"] {
                #expect(try await lab.isExact(name), "\(name), pruned after call \(call)")
            }
        }
        #expect(judged > 40)
        #expect(try lab.isSoundToRestic("a") && lab.isSoundToRestic("b"))
    }

    @Test func damageOnOneDriveIsFoundBeforeAnythingGoes() async throws {
        let lab = try await PruneLab.halfForgotten(seed: 3)
        let packs = try await lab.copies(["b"])[0].list(.data)
        for pack in packs {
            let path = lab.repository("b") + "/" + pack.name.relativePath
            let bytes = try #require(FileManager.default.contents(atPath: path))
            var bad = bytes
            bad[bad.count / 2] ^= 4
            try replace(path, bad)
            // Plain verification looks at folders; reading everything finds each flip.
            let execution = PruneExecution(
                copies: try await lab.copies(["a", "b"]), key: lab.key, clock: SystemClock(),
                isTrusted: { _ in true }, events: { _ in })
            let error = await #expect(throws: BackendError.self) {
                try await execution.verify(readsAll: true)
            }
            #expect(error?.code == .damaged && error?.exitCode == .damageRecoverable)
            try replace(path, bytes)
        }
    }

    @Test func damageOnAllDrivesIsToldAsLost() async throws {
        let lab = try await PruneLab.halfForgotten(seed: 4)
        let index = try #require(try await lab.copies(["a"])[0].list(.index).first)
        for name in ["a", "b"] {
            try replace(lab.repository(name) + "/" + index.name.relativePath, Data([1, 2, 3]))
        }
        let error = await #expect(throws: RepositoryError.self) {
            try await lab.prune("a", "b")
        }
        #expect(error?.exitCode == .damageLost)
    }

    private func replace(_ path: String, _ bytes: Data) throws {
        try FileManager.default.removeItem(atPath: path)
        try bytes.write(to: URL(fileURLWithPath: path))
    }

    @Test func withoutATrustedLockNothingGoes() async throws {
        let lab = try await PruneLab.halfForgotten(seed: 5)
        var execution = PruneExecution(
            copies: try await lab.copies(["a", "b"]), key: lab.key, clock: SystemClock(),
            isTrusted: { $0 != DriveID(trusted: "drive-b") }, events: { _ in })
        execution.options.maxUnusedPercent = 0
        let plan = try await execution.plan()
        await #expect(throws: BackendError.self) { try await execution.run(plan) }
        for name in ["a", "b"] {
            let packs = Set(try await lab.copies([name])[0].list(.data).map(\.name))
            #expect(packs.isSuperset(of: plan.removedPacks.map(\.name)))
            #expect(try await lab.isExact(name))
        }
    }

    @Test func resticsOwnPruneOnOneDriveLosesNothing() async throws {
        let lab = try await PruneLab.halfForgotten(seed: 6)
        #expect(try lab.restic("a", "prune", "--max-unused", "0").status == 0)
        #expect(try lab.isSoundToRestic("a"))
        // A missing file is never a wish: what restic removed on one drive comes back.
        try await lab.backUp("a", "b", files: ["x": [1, 2, 3]])
        for name in ["a", "b"] {
            #expect(try await lab.isExact(name))
            #expect(try lab.isSoundToRestic(name))
        }
        let plan = try await lab.prune("a", "b")
        #expect(plan.freedBytes > 50_000)
        for name in ["a", "b"] {
            #expect(try await lab.isExact(name))
            #expect(try lab.isSoundToRestic(name))
        }
    }
}
