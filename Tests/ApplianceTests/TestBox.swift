import BackupCore
import ControlAPI
import Drives
import Foundation
import ResticFormat
import Synchronization

@testable import Appliance

/// Where files that tests make durable lie: in memory, and there where the caller says.
enum TestMemory {
    static var folder: String {
        let temporary = FileManager.default.temporaryDirectory.path
        let memory = temporary.hasPrefix("/dev/shm/") ? temporary : "/dev/shm"
        return FileManager.default.isWritableFile(atPath: memory) ? memory : temporary
    }
}

/// An installation in a folder of its own, with two enrolled drives in folders.
final class TestBox {
    let root: String
    let box: Box
    let first: DriveID
    let second: DriveID

    /// `adjust` changes the configuration before anything is made from it.
    init(_ adjust: (inout Configuration) -> Void = { _ in }) async throws {
        // In memory where there is a folder for it: these tests make thousands of files durable, and
        // none can tell whether the medium kept them.
        root = TestMemory.folder + "/holdfast-" + UUID().uuidString
        var configuration = Configuration(
            file: root + "/holdfast.yaml", state: root + "/state", run: root + "/state/run",
            hostname: "box")
        configuration.logLevel = .error
        configuration.reserveBytes = 0
        adjust(&configuration)
        let options = DriveOptions(clock: SystemClock(), reserveBytes: 0)
        let set = DriveSetID(trusted: "set-1")
        var ids: [DriveID] = []
        for name in ["a", "b"] {
            try FileManager.default.createDirectory(
                atPath: root + "/" + name, withIntermediateDirectories: true)
            let drive = try await Drive.enrol(
                path: root + "/" + name, set: set, drive: DriveID(trusted: "drive-" + name),
                options: options)
            ids.append(drive.id)
            configuration.drives.append(
                .init(id: drive.id, name: name, path: root + "/" + name))
        }
        (first, second) = (ids[0], ids[1])
        var box = try Composition.box(
            configuration,
            in: Surroundings(
                variables: [:], isRoot: false, workingFolder: root, hostname: "box"))
        box.keyCost = .forTests
        self.box = box
        try box.store.remember(driveSet: set)
    }

    deinit { try? FileManager.default.removeItem(atPath: root) }  // nothing to do about it

    /// The state folder.
    var state: String { root + "/state" }

    /// An owner's repository on a drive.
    func repository(_ owner: OwnerID, on name: String) -> String {
        root + "/\(name)/holdfast/repositories/\(owner)"
    }

    /// A new owner with an empty repository on both drives.
    func owner() async throws -> OwnerID {
        let owner = try await box.makeOwner().id
        try await prepare(owner)
        return owner
    }

    /// What a backup does with the drives before it reads the phone; the files it gave.
    @discardableResult
    func prepare(_ owner: OwnerID) async throws -> [String] {
        let hold = try await box.hold(
            owner, for: .backup, on: try await box.roster(), wait: .zero, events: { _ in })
        await hold.release()
        return hold.given.map(\.file.relativePath)
    }

    /// A drive's folder.
    func drive(_ name: String) -> String { root + "/\(name)" }

    /// The same installation on drives whose system calls meet `fault`.
    func box(meeting fault: FailingCall) -> Box {
        var box = box
        box.driveFault = fault.hook
        return box
    }

    /// Gives a drive's folder another name, so that the drive is absent; or back.
    func rename(_ name: String, to other: String) throws {
        try FileManager.default.moveItem(
            atPath: root + "/" + name, toPath: root + "/" + other)
    }

    /// Removes a file from an owner's repository on a drive.
    func remove(_ file: FileName, of owner: OwnerID, from name: String) throws {
        try FileManager.default.removeItem(
            atPath: repository(owner, on: name) + "/" + file.relativePath)
    }

    /// The same installation after its catalog was lost.
    func boxWithoutCatalog() throws -> Box {
        for file in try names(in: state) where file.hasPrefix("catalog") {
            try FileManager.default.removeItem(atPath: state + "/" + file)
        }
        return try Composition.box(
            box.configuration,
            in: Surroundings(
                variables: [:], isRoot: false, workingFolder: root, hostname: "box"))
    }

    func check() async -> RunSummary {
        await box.check(QueryFilter(), readData: true, wait: 0, events: { _ in })
    }

    func heal() async -> RunSummary {
        await box.heal(QueryFilter(), wait: 0, events: { _ in })
    }

    /// Remembers a phone of `owner` that is away.
    func rememberPhone(of owner: OwnerID) throws -> PhoneRecord {
        let phone = PhoneRecord(
            id: PhoneID(trusted: "android-0123456789abcdef"), owner: owner, family: .android,
            name: "Ana's phone", model: "M", osVersion: "14", lastSeen: Timestamp(seconds: 9))
        try box.store.remember(phone)
        return phone
    }
}

/// Makes the n-th call that changes a drive fail, once or from then on.
final class FailingCall: Sendable {
    private let count = Mutex(0)
    private let failing: Int
    private let isSticky: Bool

    /// Fails call `failing`, from 1.
    init(_ failing: Int, isSticky: Bool = false) {
        self.failing = failing
        self.isSticky = isSticky
    }

    /// Whether there were so many calls.
    var didFail: Bool { count.withLock { $0 >= failing } }

    var hook: DriveFaultHook {
        let changes: Set<DriveCall> = [
            .create, .allocate, .write, .sync, .close, .rename, .unlink, .makeDirectory,
            .removeDirectory,
        ]
        return { call in
            guard changes.contains(call) else { return nil }
            let number = self.count.withLock { count in
                count += 1
                return count
            }
            return number == self.failing || self.isSticky && number > self.failing
                ? .error(EIO) : nil
        }
    }
}

/// Every file beneath a folder with its bytes.
func tree(_ folder: String) -> [String: Data] {
    var found: [String: Data] = [:]
    let names = FileManager.default.enumerator(atPath: folder)?.compactMap { $0 as? String }
    for name in names ?? [] {
        found[name] = FileManager.default.contents(atPath: folder + "/" + name)
    }
    return found
}

/// The names in a folder, sorted.
func names(in path: String) throws -> [String] {
    try FileManager.default.contentsOfDirectory(atPath: path).sorted()
}

/// Replaces a file's bytes, also when it is read-only.
func garble(_ path: String) throws {
    try? FileManager.default.removeItem(atPath: path)  // a file that is not there is made
    try Data("garbled".utf8).write(to: URL(fileURLWithPath: path))
}
