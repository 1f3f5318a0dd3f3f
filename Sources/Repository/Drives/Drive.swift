package import BackupCore
import BlockingThread
import Glibc
import Synchronization

/// An enrolled drive that is there.
///
/// All work is relative to its open folder, never to its path: when the drive is taken out, the
/// calls fail instead of reaching what lies beneath the mount point. Nothing is ever made outside
/// ``enrol(path:set:drive:options:)`` before the drive has proved who it is.
package final class Drive: Sendable {
    /// The folder on a mount that holds everything.
    package static let folderName = "holdfast"
    static let recordName: PathBytes = "drive.json"
    static let folders: [PathBytes] = ["journal", "quarantine", "repositories"]

    /// The configured path, for messages; it decides nothing.
    package let path: String
    package let id: DriveID
    package let set: DriveSetID
    let options: DriveOptions
    let system: DriveSyscalls
    let root: Descriptor
    private let rootIdentity: FileStatus.Identity
    private let current: Mutex<DriveRecord>
    /// Writes and reads have a thread each: a read never waits behind queued packs.
    let writer = DedicatedThread(name: "drive-write")
    let reader = DedicatedThread(name: "drive-read")
    private let stalledAt = Mutex<UInt64?>(nil)

    init(
        path: String, record: DriveRecord, root: Descriptor, options: DriveOptions
    ) throws(BackendError) {
        self.path = path
        id = record.drive
        set = record.set
        self.options = options
        system = DriveSyscalls(
            drive: record.drive, fault: options.fault, observer: options.observer)
        self.root = root
        rootIdentity = try system.status(root).identity
        current = Mutex(record)
    }

    /// What `drive.json` says.
    package var record: DriveRecord { current.withLock { $0 } }

    /// The journal on this drive.
    package var journal: Journal { Journal(drive: self) }

    /// The files of one owner's repository, made with ``DriveBackend/initialise(config:keys:)``
    /// when there is none yet.
    package func repository(_ owner: OwnerID) -> DriveBackend {
        DriveBackend(drive: self, owner: owner)
    }

    /// The owners that have a repository here: a folder with a config, or with snapshots when the
    /// config was lost. A folder left by an initialisation that did not finish is none.
    package func owners() async throws(BackendError) -> [OwnerID] {
        try await perform(on: reader) { () throws(BackendError) in
            try self.verifyPresent()
            return try self.ownerFolders()
        }
    }

    /// The filesystem's space.
    package func space() async throws(BackendError) -> DriveSpace {
        try await perform(on: reader) { () throws(BackendError) in
            try self.verifyPresent()
            return try self.currentSpace()
        }
    }

    /// Writes the next generation with a nonce of its own, durably, and returns it for the box to
    /// remember.
    package func renew() async throws(BackendError) -> DriveRecord {
        try await perform(on: writer) { () throws(BackendError) in
            try self.verifyPresent()
            let folder = try Self.lockRecord(in: self.root, system: self.system)
            let next = try self.newestRecord().renewed()
            try self.system.writeDurably(
                next.encoded, as: "drive.json", in: folder, replacing: true)
            self.current.withLock { $0 = next }
            return next
        }
    }

    /// Removes the temporary files that programs which ended left outside the repositories.
    package func sweep() async throws(BackendError) {
        try await perform(on: writer) { () throws(BackendError) in
            try self.verifyPresent()
            _ = try Self.lockRecord(in: self.root, system: self.system)
            for name in Self.folders {
                guard try self.system.status(name, in: self.root)?.kind == .directory else {
                    continue
                }
                let folder = try self.system.openFolder(name, in: self.root)
                // Who appends to the journal holds its folder; nobody writes in the others.
                try self.system.lock(folder)
                _ = try self.system.sweep(folder)
            }
        }
    }

    // MARK: On the drive's threads

    /// Throws `absent` unless the path still leads to the open folder and the folder is still a
    /// drive: it may have been unmounted, renamed, emptied or taken out meanwhile.
    func verifyPresent() throws(BackendError) {
        let isThere: Bool
        do throws(BackendError) {
            let mount = try system.openFolder(path: path)
            let found = try system.status(PathBytes(Self.folderName), in: mount)
            let record = try system.status(Self.recordName, in: root)
            isThere = found?.identity == rootIdentity && record != nil
        } catch let error where error.nativeCode == ENOENT || error.nativeCode == ENOTDIR {
            isThere = false
        }
        guard isThere else { throw system.error(.absent, "its folder is no longer there") }
    }

    /// The drive's record, which another run may have renewed since this one opened the drive.
    private func newestRecord() throws(BackendError) -> DriveRecord {
        let own = record
        guard let bytes = try system.readSmallFile(Self.recordName, in: root),
            case .record(let found) = DriveRecord.read(bytes), found.drive == own.drive,
            found.generation > own.generation
        else { return own }
        return found
    }

    func currentSpace() throws(BackendError) -> DriveSpace {
        let space = try system.space(root)
        let reserve =
            options.reserveBytes ?? DriveOptions.defaultReserve(totalBytes: space.total)
        return DriveSpace(
            freeBytes: space.free, totalBytes: space.total,
            usableBytes: space.free > reserve ? space.free - reserve : 0)
    }

    private func ownerFolders() throws(BackendError) -> [OwnerID] {
        let repositories = try system.openFolder("repositories", in: root)
        var owners: [OwnerID] = []
        for name in try system.names(in: repositories) {
            guard let text = String(validating: name.bytes, as: UTF8.self),
                let owner = OwnerID(rawValue: text),
                try system.status(name, in: repositories)?.kind == .directory
            else { continue }
            if try RepositoryFolder(drive: self, owner: owner).isRepository() {
                owners.append(owner)
            }
        }
        return owners.sorted()
    }

    static func write(
        _ record: DriveRecord, to root: Descriptor, system: DriveSyscalls
    ) throws(BackendError) {
        let folder = try lockRecord(in: root, system: system)
        if try system.status(recordName, in: folder)?.kind == .directory {
            // No file can replace a folder, and what is in it may be somebody's.
            try Quarantine(of: folder, system: system).take(
                recordName, from: folder, as: "drive.json")
        }
        try system.writeDurably(
            record.encoded, as: "drive.json", in: folder, replacing: true)
    }

    /// Keeps other programs from writing `drive.json` for as long as the result is open: a
    /// descriptor of its own for the root. Under it nobody else is writing there, so a temporary
    /// file is one that a killed run left, and is removed.
    private static func lockRecord(
        in root: Descriptor, system: DriveSyscalls
    ) throws(BackendError) -> Descriptor {
        let folder = try system.openFolder(".", in: root)
        try system.lock(folder)
        _ = try system.sweep(folder)
        return folder
    }

    // MARK: Threads

    /// Runs `body` on one of the drive's threads. When no system call of the drive comes back
    /// for the stall limit, it throws `io` and leaves the thread to its fate.
    func perform<Value: Sendable>(
        on thread: DedicatedThread,
        _ body: @escaping @Sendable () throws(BackendError) -> Value
    ) async throws(BackendError) -> Value {
        try refuseWhileStalled()
        let reply = Latch<Result<Value, BackendError>>()
        thread.start {
            do throws(BackendError) {
                reply.fulfil(.success(try body()))
            } catch {
                reply.fulfil(.failure(error))
            }
        }
        var seen = system.activity
        while true {
            if let result = await reply.value(within: options.stallLimit, clock: options.clock) {
                return try result.get()
            }
            let activity = system.activity
            if activity == seen { throw markStalled(activity) }
            seen = activity
        }
    }

    /// The error of a drive that hangs, which is remembered until a call comes back.
    func markStalled(_ activity: UInt64) -> BackendError {
        stalledAt.withLock { $0 = activity }
        let seconds = options.stallLimit.components.seconds
        return system.error(.io, "it did not answer for \(seconds) s")
    }

    private func refuseWhileStalled() throws(BackendError) {
        let isStalled = stalledAt.withLock { stalledAt in
            if let activity = stalledAt, activity != system.activity { stalledAt = nil }
            return stalledAt != nil
        }
        guard !isStalled else { throw system.error(.io, "it still does not answer") }
    }
}
