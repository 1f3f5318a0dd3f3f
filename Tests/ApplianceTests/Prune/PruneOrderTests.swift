import BackupCore
import Drives
import Foundation
import ResticFormat
import ResticRepository
import Synchronization
import Testing

@testable import Appliance

/// What a prune does in which order, and what stops it on the way.
@Suite struct PruneOrderTests {
    /// The copies on drives a and b, each opened with options of its own.
    private func copies(
        _ lab: PruneLab, _ adjust: (_ name: String, _ options: inout DriveOptions) -> Void
    ) async throws -> [DriveBackend] {
        var copies: [DriveBackend] = []
        for name in ["a", "b"] {
            var options = DriveOptions(clock: SystemClock(), reserveBytes: 0)
            adjust(name, &options)
            let drive = try await Drive.open(path: lab.root + "/" + name, options: options)
            copies.append(drive.repository(lab.owner))
        }
        return copies
    }

    private func execution(
        _ lab: PruneLab, _ copies: [DriveBackend],
        isTrusted: @escaping @Sendable (DriveID) async -> Bool = { _ in true }
    ) -> PruneExecution {
        var execution = PruneExecution(
            copies: copies, key: lab.key, clock: SystemClock(), isTrusted: isTrusted,
            events: { _ in })
        execution.options.maxUnusedPercent = 0
        execution.options.packByteCount = 60_000
        return execution
    }

    /// Whether all that was to go is still on a drive, and everything that is kept is exact.
    private func isUntouched(_ name: String, _ plan: PrunePlan, _ lab: PruneLab) async throws
        -> Bool
    {
        let copy = try await lab.copies([name])[0]
        let there = Set(try await copy.list(.data).map(\.name) + copy.list(.index).map(\.name))
        guard there.isSuperset(of: plan.retired) else { return false }
        return try await lab.isExact(name)
    }

    @Test func tombstonesStandOnEveryDriveBeforeAnythingGoes() async throws {
        let lab = try await PruneLab.halfForgotten(seed: 11)
        let copies = try await copies(lab) { name, options in
            if name == "a" { options.fault = { $0 == .unlink ? .error(EIO) : nil } }
        }
        let execution = execution(lab, copies)
        let plan = try await execution.plan()
        await #expect(throws: BackendError.self) { try await execution.run(plan) }
        for (name, copy) in zip(["a", "b"], copies) {
            let tombstones = try await copy.drive.journal.tombstones(of: lab.owner)
            #expect(tombstones.isSuperset(of: plan.retired), "\(name)")
            #expect(try await isUntouched(name, plan, lab), "\(name)")
        }
    }

    @Test(arguments: [1, 2, 3]) func aLockThatIsLostOnTheWayStopsThere(trusted: Int) async throws {
        let lab = try await PruneLab.halfForgotten(seed: 12)
        let asked = Mutex(0)
        // Both drives are asked about before the tombstones, and each before it loses anything.
        let execution = execution(lab, try await copies(lab) { _, _ in }) { _ in
            asked.withLock { count in
                count += 1
                return count <= trusted
            }
        }
        let plan = try await execution.plan()
        let error = await #expect(throws: BackendError.self) { try await execution.run(plan) }
        #expect(error?.code == .locked)
        #expect(try await isUntouched("a", plan, lab) == (trusted < 3))
        #expect(try await isUntouched("b", plan, lab))
        #expect(try await lab.isExact("a"))
    }

    @Test func aNewFileThatReadsBackWrongStopsThePrune() async throws {
        let lab = try await PruneLab.halfForgotten(seed: 13)
        let repository = lab.repository("b")
        let wasDone = Mutex(false)
        let damaging: DriveObserver = { effect in
            guard case .renamed(_, _, let bytes, _) = effect else { return }
            let name = String(decoding: bytes, as: UTF8.self)
            // How blobs were packed decides whether there is a new pack at all; an index there is.
            let places = ["data/\(name.prefix(2))/\(name)", "index/\(name)"]
            let path = places.map { "\(repository)/\($0)" }.first {
                FileManager.default.fileExists(atPath: $0)
            }
            wasDone.withLock { wasDone in
                guard !wasDone, let path,
                    var bytes = FileManager.default.contents(atPath: path)
                else { return }
                bytes[bytes.count / 2] ^= 1
                unlink(path)
                wasDone = FileManager.default.createFile(atPath: path, contents: bytes)
            }
        }
        let copies = try await copies(lab) { name, options in
            if name == "b" { options.observer = damaging }
        }
        let execution = execution(lab, copies)
        let plan = try await execution.plan()
        let error = await #expect(throws: BackendError.self) { try await execution.run(plan) }
        #expect(wasDone.withLock { $0 } && error?.drive == DriveID(trusted: "drive-b"))
        for name in ["a", "b"] {
            let copy = try await lab.copies([name])[0]
            let there = Set(try await copy.list(.data).map(\.name))
            #expect(there.isSuperset(of: (plan.removedPacks + plan.repackedPacks).map(\.name)))
        }
    }

    @Test func aDriveThatLosesMoreIsNotFollowedByTheNext() async throws {
        let lab = try await PruneLab.halfForgotten(seed: 14)
        let retired = Mutex<Set<String>>([])
        let data = lab.repository("a") + "/data"
        let removing: DriveFaultHook = { call in
            guard call == .unlink else { return nil }
            // Somebody removes a pack that stays.
            retired.withLock { retired in
                let files = FileManager.default.enumerator(atPath: data)?
                    .compactMap { $0 as? String }
                let kept = (files ?? []).filter {
                    $0.count > 64 && !retired.contains(String($0.suffix(64)))
                }
                if !retired.isEmpty, let pack = kept.min() { unlink(data + "/" + pack) }
                retired = []
            }
            return nil
        }
        let copies = try await copies(lab) { name, options in
            if name == "a" { options.fault = removing }
        }
        let execution = execution(lab, copies)
        let plan = try await execution.plan()
        retired.withLock { $0 = Set(plan.retired.map(\.id.hex)) }
        let error = await #expect(throws: BackendError.self) { try await execution.run(plan) }
        #expect(error?.code == .damaged && error?.drive == DriveID(trusted: "drive-a"))
        #expect(try await isUntouched("b", plan, lab))
    }

    @Test func aBlobThatStandsTwiceIsProvedWhereItStays() async throws {
        let lab = try await PruneLab(["a", "b"])
        var numbers = Seeded(state: 15)
        let files = ["f": numbers.bytes(20_000)]
        // The same content in two packs, because two drives were there one after the other.
        try await lab.backUp("a", files: files)
        try await lab.backUp("b", files: files)
        try await lab.catchUp(try await lab.copies(["a", "b"]))
        let copies = try await lab.copies(["a", "b"])
        let execution = execution(lab, copies)
        let plan = try await execution.plan()
        #expect(!plan.removedPacks.isEmpty)
        // The largest pack that stays holds the file.
        let kept = try await copies[0].list(.data).filter { !plan.retired.contains($0.name) }
        let pack = try #require(kept.max { $0.byteCount < $1.byteCount })
        let path = lab.repository("a") + "/" + pack.name.relativePath
        var bytes = try #require(FileManager.default.contents(atPath: path))
        bytes[bytes.count / 3] ^= 1
        unlink(path)
        #expect(FileManager.default.createFile(atPath: path, contents: bytes))
        await #expect(throws: RepositoryError.self) { try await execution.run(plan) }
        for copy in copies {
            let there = Set(try await copy.list(.data).map(\.name))
            #expect(there.isSuperset(of: plan.removedPacks.map(\.name)))
        }
    }
}
