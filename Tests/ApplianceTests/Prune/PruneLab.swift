import BackupCore
import Drives
import Foundation
import ResticFormat
import ResticRepository
import Synchronization
import Testing

@testable import Appliance

/// Fails one changing system call of a drive and all after it.
final class StickyFault: Sendable {
    private static let changes: Set<DriveCall> = [
        .create, .allocate, .write, .sync, .close, .rename, .unlink, .makeDirectory,
    ]
    private let calls = Mutex(0)
    private let failing: Int

    /// Fails from call `failing` on, counted from 1; without one it only counts.
    init(_ failing: Int = .max) { self.failing = failing }

    var count: Int { calls.withLock { $0 } }

    var hook: DriveFaultHook {
        { call in
            guard Self.changes.contains(call) else { return nil }
            return self.calls.withLock { calls in
                calls += 1
                return calls >= self.failing ? .error(EIO) : nil
            }
        }
    }
}

/// Random numbers that a seed repeats (SplitMix64, prng.di.unimi.it).
struct Seeded: RandomNumberGenerator {
    var state: UInt64

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var mixed = state
        mixed = (mixed ^ (mixed >> 30)) &* 0xBF58_476D_1CE4_E5B9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
        return mixed ^ (mixed >> 31)
    }

    mutating func bytes(_ count: Int) -> [UInt8] {
        (0..<count).map { _ in UInt8(truncatingIfNeeded: next()) }
    }
}

/// One owner's repository on drives in folders, and a model of what must be in it.
final class PruneLab {
    let root: String
    let key: MasterKey
    let owner = OwnerID(trusted: "owner-1")
    /// What every snapshot that was made holds: the files' bytes by name.
    var contents: [ContentID: [String: [UInt8]]] = [:]
    /// The snapshots that were not forgotten.
    var kept: Set<ContentID> = []
    private let new: NewRepository
    private var seconds: Int64 = 1_800_000_000

    init(_ names: [String]) async throws {
        // In memory where there is a folder for it: these tests make many files durable.
        root = TestMemory.folder + "/holdfast-prune-" + UUID().uuidString
        new = NewRepository.make(
            passwords: ["secret"], hostname: "box", created: .zero, cost: .forTests)
        key = new.masterKey
        for name in names { try await enrol(name) }
        for copy in try await copies(names) {
            try await copy.initialise(config: new.config, keys: new.keys.map { ($0.id, $0.bytes) })
        }
    }

    /// Two drives with a snapshot that was forgotten and one that shares half of it.
    static func halfForgotten(seed: UInt64) async throws -> PruneLab {
        let lab = try await PruneLab(["a", "b"])
        var numbers = Seeded(state: seed)
        var files: [String: [UInt8]] = [:]
        for number in 0..<8 { files["f\(number)"] = numbers.bytes(15_000) }
        let first = try await lab.backUp("a", "b", files: files)
        for number in stride(from: 0, to: 8, by: 2) { files["f\(number)"] = numbers.bytes(9_000) }
        try await lab.backUp("a", "b", files: files)
        try await lab.forget([first], on: "a", "b")
        return lab
    }

    deinit { try? FileManager.default.removeItem(atPath: root) }  // nothing to do about it

    /// Enrols a drive, with no repository yet.
    func enrol(_ name: String) async throws {
        try FileManager.default.createDirectory(
            atPath: root + "/" + name, withIntermediateDirectories: true)
        _ = try await Drive.enrol(
            path: root + "/" + name, set: DriveSetID(trusted: "set-1"),
            drive: DriveID(trusted: "drive-" + name), options: options())
    }

    private func options(_ fault: DriveFaultHook? = nil) -> DriveOptions {
        DriveOptions(clock: SystemClock(), reserveBytes: 0, fault: fault)
    }

    func copies(
        _ names: [String], faults: [String: StickyFault] = [:]
    ) async throws -> [DriveBackend] {
        var copies: [DriveBackend] = []
        for name in names {
            let drive = try await Drive.open(
                path: root + "/" + name, options: options(faults[name]?.hook))
            copies.append(drive.repository(owner))
        }
        return copies
    }

    func repository(_ name: String) -> String { "\(root)/\(name)/holdfast/repositories/\(owner)" }

    func now() -> Timestamp {
        seconds += 1
        return Timestamp(seconds: seconds)
    }

    /// What a run does before it begins; gives what could not be removed.
    @discardableResult
    func catchUp(_ copies: [DriveBackend]) async throws -> Set<FileName> {
        let keeper = ContentKeeper(masterKey: key)
        let report = await CatchUp(copies, validConfig: Box.judge(key), keeper: keeper).run()
        if let failure = report.behind.values.first { throw failure }
        var stayed: Set<FileName> = []
        for copy in copies {
            guard let files = report.leftOver[copy.drive.id] else { continue }
            if copies.count > 1, try await keeper.retire(files, on: copy, at: now()) { continue }
            stayed.formUnion(files)
        }
        return stayed
    }

    /// A run on the drives named: a snapshot of `files`, added to the model.
    @discardableResult
    func backUp(_ names: String..., files: [String: [UInt8]]) async throws -> ContentID {
        try await backUp(names, files: files)
    }

    @discardableResult
    func backUp(_ names: [String], files: [String: [UInt8]]) async throws -> ContentID {
        let copies = try await copies(names)
        let gone = try await catchUp(copies)
        var options = RepositoryOptions(.writing, clock: SystemClock())
        options.packByteCount = 60_000
        let repository = try await ResticSnapshotRepository.open(
            backend: RemainingFiles(MirroredBackend(copies), without: gone), masterKey: key,
            options: options)
        var nodes: [TreeNode] = []
        for (name, bytes) in files {
            let piece = Mutex<[UInt8]?>(bytes)
            let saved = try await repository.save(
                ByteSource<DeviceError>(
                    next: { () throws(DeviceError) in piece.withLock { $0.take() } },
                    close: {}))
            nodes.append(
                .file(
                    EntryName(name), modified: .zero, byteCount: saved.byteCount,
                    content: saved.content))
        }
        let folder = try await repository.save(tree: nodes)
        let root = try await repository.save(tree: [
            .directory("DCIM", modified: .zero, subtree: folder)
        ])
        let committed = try await repository.commit(
            SnapshotDraft.of(
                phone: PhoneID(trusted: "android-0123456789abcdef"), capture: .media,
                run: RunID(trusted: "run-\(seconds)"), partial: false, tree: root, parent: nil,
                time: now(), utcOffsetSeconds: 0, hostname: "box"))
        await repository.close()
        contents[committed.snapshot.id] = files
        kept.insert(committed.snapshot.id)
        return committed.snapshot.id
    }

    func forget(_ ids: [ContentID], on names: String...) async throws {
        try await forget(ids, on: names)
    }

    func forget(_ ids: [ContentID], on names: [String]) async throws {
        let copies = try await copies(names)
        try await catchUp(copies)
        for copy in copies {
            try await copy.retire(ids.map { FileName(.snapshot, $0) }, at: now())
        }
        kept.subtract(ids)
    }

    /// A prune with no waste allowed; the drives are caught up before.
    @discardableResult
    func prune(_ copies: [DriveBackend]) async throws -> PrunePlan {
        let gone = try await catchUp(copies)
        var execution = PruneExecution(
            copies: copies, key: key, gone: gone, clock: SystemClock(), isTrusted: { _ in true },
            events: { _ in })
        execution.options.maxUnusedPercent = 0
        execution.options.packByteCount = 60_000
        try await execution.verify(readsAll: false)
        let plan = try await execution.plan()
        if !plan.isEmpty { try await execution.run(plan) }
        return plan
    }

    @discardableResult
    func prune(_ names: String...) async throws -> PrunePlan {
        try await prune(try await copies(names))
    }

    /// Whether every kept snapshot that a drive lists is exact there; with `all`, whether it lists
    /// all of them and no other.
    func isExact(_ name: String, all: Bool = true) async throws -> Bool {
        let copy = try await copies([name])[0]
        let repository = try await ResticSnapshotRepository.open(
            backend: copy, masterKey: key,
            options: RepositoryOptions(.reading, clock: SystemClock()))
        let listed = try await repository.snapshots()
        guard !all || Set(listed.map(\.id)) == kept else { return false }
        for snapshot in listed where kept.contains(snapshot.id) {
            let root = try await repository.tree(snapshot.tree)
            guard let folder = root.first?.subtree else { return false }
            var found: [String: [UInt8]] = [:]
            for node in try await repository.tree(folder) {
                var bytes: [UInt8] = []
                for id in node.content { bytes += try await repository.blob(id) }
                found[node.name.description] = bytes
            }
            guard found == contents[snapshot.id] else { return false }
        }
        return try await StructureCheck(backend: copy, masterKey: key).run().isSound
    }

    /// Whether restic reads everything on a drive and finds it whole.
    func isSoundToRestic(_ name: String) throws -> Bool {
        let result = try restic(name, "check", "--read-data")
        if result.status != 0 { Issue.record("restic check on \(name): \(result.output)") }
        return result.status == 0
    }

    func restic(_ name: String, _ arguments: String...) throws -> (status: Int32, output: String) {
        let process = Process()
        process.executableURL = URL(fileURLWithPath: "/usr/bin/restic")
        process.arguments = ["--no-cache", "-r", repository(name)] + arguments
        process.environment = ["RESTIC_PASSWORD": "secret", "HOME": root]
        let output = Pipe()
        process.standardOutput = output
        process.standardError = output
        try process.run()
        let text = output.fileHandleForReading.readDataToEndOfFile()
        process.waitUntilExit()
        return (process.terminationStatus, String(decoding: text, as: UTF8.self))
    }

    /// Copies a drive's folder, or puts a copy back.
    func copyFolder(_ name: String, to other: String) throws {
        // A target that is not there need not be removed.
        try? FileManager.default.removeItem(atPath: root + "/" + other)
        try FileManager.default.copyItem(
            atPath: root + "/" + name, toPath: root + "/" + other)
    }
}
