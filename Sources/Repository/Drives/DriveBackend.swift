package import BackupCore
import BlockingThread
import CSystem

/// One owner's repository on one drive.
///
/// What `write` stores is whole under its final name when it returns, and durable after
/// ``flush()``. Blocking work happens on the drive's own threads; a drive that hangs gives `io`.
package final class DriveBackend: RepositoryBackend {
    package let drive: Drive
    package let owner: OwnerID
    let folder: RepositoryFolder

    init(drive: Drive, owner: OwnerID) {
        self.drive = drive
        self.owner = owner
        folder = RepositoryFolder(drive: drive, owner: owner)
    }

    /// Whether there is a repository here; one whose config was lost counts, what an interrupted
    /// initialisation left does not.
    package func isInitialised() async throws(BackendError) -> Bool {
        try await reading { (folder) throws(BackendError) in
            try folder.drive.verifyPresent()
            return try folder.isRepository()
        }
    }

    /// Makes the repository durably: folders, keys, and the config last. To be called with the
    /// same bytes on every drive. An interrupted one is started over; where a repository exists,
    /// keys are added and its config must be `config` (`wrongDrive` otherwise).
    package func initialise(
        config: [UInt8], keys: [(ContentID, [UInt8])]
    ) async throws(BackendError) {
        try await writing { (folder) throws(BackendError) in
            try folder.initialise(config: config, keys: keys.map { (id: $0.0, bytes: $0.1) })
        }
    }

    /// What was stored here since this object was made (by a run, its catch-up or a repair), locks
    /// left out: what a reading back of the run's own work has to cover.
    package var storedFiles: Set<FileName> { folder.stored }

    /// Every file of the repository but its locks, as it lies there now.
    package func allFiles() async throws(BackendError) -> Set<FileName> {
        try await reading { (folder) throws(BackendError) in
            try folder.drive.verifyPresent()
            guard try folder.isRepository() else { return [] }
            var files: Set<FileName> = []
            for kind in CopySurvey.kinds { files.formUnion(try folder.list(kind).map(\.name)) }
            return files
        }
    }

    /// Lets this drive's reads wait for everybody else's from now on, as far as the system can.
    package func readIdly() {
        drive.reader.start { holdfast_read_idly() }
    }

    /// From now on nothing but locks is written, moved or removed here while `isLocked` says no; it
    /// is asked before each file, and the answer no is `locked`.
    package func writeOnly(while isLocked: @escaping @Sendable () -> Bool) {
        folder.writeOnly(while: isLocked)
    }

    /// Another program is at work here: temporary files may be its own from now on, because
    /// restic's look like ours, and ``sweep()`` leaves them.
    package func leaveTemporaryFiles() { folder.leaveTemporaryFiles() }

    /// The date of the newest change in the repository: no clock that shows less is right.
    package func newestChange() async throws(BackendError) -> Timestamp {
        try await reading { (folder) throws(BackendError) in
            try folder.drive.verifyPresent()
            return try folder.newestChange()
        }
    }

    /// Removes the temporary files that earlier runs left, and returns how many. What else they
    /// left is durable then: a run that was killed leaves names that are seen and that a power cut
    /// takes away again, and this run may rely on them. Only for who holds the owner's lock on
    /// this box.
    @discardableResult
    package func sweep() async throws(BackendError) -> Int {
        try await writing { (folder) throws(BackendError) in
            try folder.drive.verifyPresent()
            let count = try folder.sweepTemporaryFiles()
            try folder.system.syncFilesystem(of: folder.drive.root)
            return count
        }
    }

    /// Adds a key file durably, to a repository that exists.
    package func addKey(_ id: ContentID, _ bytes: [UInt8]) async throws(BackendError) {
        try await write(FileName(.key, id), bytes)
        try await flush()
    }

    /// Whether a file is there and its bytes have the hash it is named by, read from the medium.
    package func isGood(_ file: FileName) async throws(BackendError) -> Bool {
        try await reading { (folder) throws(BackendError) in try folder.isGood(file) }
    }

    // MARK: RepositoryBackend

    package var copyCount: Int { 1 }

    package func list(_ kind: FileKind) async throws(BackendError) -> [StoredFile] {
        try await reading { (folder) throws(BackendError) in
            try folder.drive.verifyPresent()
            return try folder.list(kind)
        }
    }

    package func read(
        _ file: FileName, range: Range<UInt64>?, copy: Int
    ) async throws(BackendError) -> [UInt8] {
        guard copy == 0 else {
            throw drive.system.error(.noSuchFile, "there is no other copy")
        }
        return try await reading { (folder) throws(BackendError) in
            try folder.read(file, range: range)
        }
    }

    package func write(_ file: FileName, _ bytes: [UInt8]) async throws(BackendError) {
        try await writing { (folder) throws(BackendError) in try folder.store(file, bytes) }
    }

    package func flush() async throws(BackendError) {
        try await writing { (folder) throws(BackendError) in try folder.flush() }
    }

    package func remove(_ file: FileName) async throws(BackendError) {
        try await writing { (folder) throws(BackendError) in try folder.remove(file) }
    }

    package func receipts() async -> [CopyReceipt] {
        [CopyReceipt(drive: drive.id, state: folder.copyState)]
    }

    package func freeBytes() async -> UInt64 {
        // A drive that cannot tell its space takes nothing more; the next write says why.
        (try? await drive.space().usableBytes) ?? 0
    }

    // MARK: Threads

    func reading<Value: Sendable>(
        _ body: @escaping @Sendable (RepositoryFolder) throws(BackendError) -> Value
    ) async throws(BackendError) -> Value {
        let folder = folder
        return try await drive.perform(on: drive.reader) { () throws(BackendError) in
            try body(folder)
        }
    }

    func writing<Value: Sendable>(
        _ body: @escaping @Sendable (RepositoryFolder) throws(BackendError) -> Value
    ) async throws(BackendError) -> Value {
        let folder = folder
        return try await drive.perform(on: drive.writer) { () throws(BackendError) in
            try body(folder)
        }
    }
}
