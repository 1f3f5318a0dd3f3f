import BackupCore
import Glibc
import ResticFormat
import Synchronization

/// One owner's repository folder on one drive: blocking work on files, on the drive's threads.
///
/// Every call walks down from the drive's open folder, one component at a time and following no
/// link, so a folder that was removed or replaced meanwhile shows at once.
final class RepositoryFolder: Sendable {
    /// Larger files are damage and are not taken into memory: the largest that are written are
    /// packs of about 128 MiB, indexes of a few and keys, locks and snapshots of a few KiB.
    static func largestFile(_ kind: FileKind) -> UInt64 {
        switch kind {
        case .data: 1 << 30
        case .index: 128 << 20
        case .config, .key, .lock, .snapshot: 16 << 20
        }
    }

    let drive: Drive
    let owner: OwnerID
    private let pending = Mutex(Pending())
    /// Files other than locks that were stored here since this object was made.
    private let storedFiles = Mutex<Set<FileName>>([])
    /// Whether another program may be writing here.
    private let hasNeighbour = Mutex(false)
    /// Whether the lock that this program holds here is still respected by others.
    private let isLocked = Mutex<@Sendable () -> Bool>({ true })

    /// What the next flush has to make durable.
    struct Pending {
        var folders: Set<[PathBytes]> = []
        var files: [FileName: UInt64] = [:]
        /// The flush that failed: what it was to make durable may be lost, and asking the kernel
        /// again could wrongly succeed.
        var failure: BackendError?
    }

    init(drive: Drive, owner: OwnerID) {
        self.drive = drive
        self.owner = owner
    }

    var system: DriveSyscalls { drive.system }

    // MARK: The lock

    /// Whether temporary files may be another program's.
    var leavesTemporaryFiles: Bool { hasNeighbour.withLock { $0 } }

    /// Another program is at work here.
    func leaveTemporaryFiles() { hasNeighbour.withLock { $0 = true } }

    /// From now on nothing but locks is written or moved while `isLocked` says no.
    func writeOnly(while isLocked: @escaping @Sendable () -> Bool) {
        self.isLocked.withLock { $0 = isLocked }
    }

    /// Throws `locked` once others may be at work here too: what they remove must not be built
    /// upon, and what they have written must not be removed.
    func requireLock() throws(BackendError) {
        guard isLocked.withLock({ $0() }) else {
            throw system.error(.locked, "its lock was taken away or could not be kept fresh")
        }
    }

    // MARK: Folders

    /// The repository's folder; `noSuchFile` when there is none.
    func open() throws(BackendError) -> Descriptor {
        try open([])
    }

    /// A folder beneath the repository's.
    func open(_ path: [PathBytes]) throws(BackendError) -> Descriptor {
        var folder = try system.openFolder("repositories", in: drive.root)
        for name in [PathBytes(owner.rawValue)] + path {
            folder = try system.openFolder(name, in: folder)
        }
        return folder
    }

    /// The folder that holds `file`, beneath the repository's.
    static func folder(of file: FileName) -> [PathBytes] {
        switch file.kind {
        case .config: []
        case .data: ["data", PathBytes(String(file.id.hex.prefix(2)))]
        default: [PathBytes(file.kind.rawValue)]
        }
    }

    /// The last component of a file's path.
    static func lastName(of file: FileName) -> String {
        file.kind == .config ? "config" : file.id.hex
    }

    /// Opens the folder of `file` for writing. A folder that somebody removed from a repository
    /// is made again; without the repository there is nothing to write to.
    func openForWriting(_ file: FileName) throws(BackendError) -> Descriptor {
        let path = Self.folder(of: file)
        do throws(BackendError) {
            return try open(path)
        } catch let error where error.nativeCode == ENOENT {
            var folder = try open()
            for (depth, name) in path.enumerated() {
                if try system.makeFolder(name, in: folder) {
                    noteChange(Array(path.prefix(depth)))
                }
                folder = try system.openFolder(name, in: folder)
            }
            return folder
        }
    }

    /// Whether this is a repository: it has a config or, when that was lost, content. What an
    /// interrupted initialisation leaves (folders, keys) is none.
    func isRepository() throws(BackendError) -> Bool {
        do throws(BackendError) {
            if try system.status("config", in: try open()) != nil { return true }
        } catch let error where error.nativeCode == ENOENT {
            return false
        }
        for kind in [FileKind.snapshot, .index, .data] where try !list(kind).isEmpty {
            return true
        }
        return false
    }

    // MARK: Listing and reading

    /// The files of `kind`; what is no regular file but has a file's name counts as empty, so
    /// that audits see it.
    func list(_ kind: FileKind) throws(BackendError) -> [StoredFile] {
        let repository = try open()
        if kind == .config {
            let size = try system.status("config", in: repository).map(\.listedByteCount)
            return size.map { [StoredFile(name: .config, byteCount: $0)] } ?? []
        }
        guard let folder = try openIfThere(PathBytes(kind.rawValue), in: repository) else {
            return []
        }
        guard kind == .data else { return try files(kind, in: folder, prefix: []) }
        var found: [StoredFile] = []
        for name in try system.names(in: folder) where name.bytes.count == 2 {
            guard let part = try openIfThere(name, in: folder) else { continue }
            found += try files(.data, in: part, prefix: name.bytes)
        }
        return found
    }

    private func openIfThere(
        _ name: PathBytes, in folder: Descriptor
    ) throws(BackendError) -> Descriptor? {
        do throws(BackendError) {
            return try system.openFolder(name, in: folder)
        } catch let error where [ENOENT, ENOTDIR, ELOOP].contains(error.nativeCode) {
            return nil
        }
    }

    private func files(
        _ kind: FileKind, in folder: Descriptor, prefix: [UInt8]
    ) throws(BackendError) -> [StoredFile] {
        var found: [StoredFile] = []
        for name in try system.names(in: folder) {
            guard let id = ContentID(hexDigits: name.bytes), name.bytes.starts(with: prefix),
                let status = try system.status(name, in: folder)
            else { continue }
            found.append(
                StoredFile(name: FileName(kind, id), byteCount: status.listedByteCount))
        }
        return found
    }

    /// The newest date of the folders, which is that of the newest file added or removed.
    func newestChange() throws(BackendError) -> Timestamp {
        let repository = try open()
        var newest = try system.status(repository).modified
        for kind in FileKind.allCases where kind != .config {
            let status = try system.status(PathBytes(kind.rawValue), in: repository)
            newest = max(newest, status?.modified ?? .zero)
        }
        return newest
    }

    /// What has the name of `file`, or nil.
    func status(_ file: FileName) throws(BackendError) -> FileStatus? {
        do throws(BackendError) {
            return try system.status(
                PathBytes(Self.lastName(of: file)), in: try open(Self.folder(of: file)))
        } catch let error where error.nativeCode == ENOENT {
            return nil
        }
    }

    /// The whole file or a part of it; `damaged` when it is shorter than asked for.
    func read(_ file: FileName, range: Range<UInt64>?) throws(BackendError) -> [UInt8] {
        let source = try openFile(file)
        let size = try system.status(source).byteCount
        let range = range ?? 0..<size
        guard range.upperBound <= size, UInt64(range.count) <= Self.largestFile(file.kind)
        else {
            throw system.error(.damaged, "\(file.relativePath) has another size than expected")
        }
        let bytes = try system.read(source, offset: range.lowerBound, count: range.count)
        guard bytes.count == range.count else {
            throw system.error(.damaged, "\(file.relativePath) ends too early")
        }
        return bytes
    }

    /// Drops what the page cache has of a file, so that the next read comes from the medium.
    func dropCache(of file: FileName) throws(BackendError) {
        system.dropCache(of: try openFile(file))
    }

    /// Drops what the page cache has of a file and has the kernel read it ahead.
    func fetch(_ file: FileName) throws(BackendError) {
        let source = try openFile(file)
        system.dropCache(of: source)
        system.fetch(source)
    }

    /// Opens a file for reading; `noSuchFile` when it is not there, `damaged` when it is no file.
    func openFile(_ file: FileName) throws(BackendError) -> Descriptor {
        let source: Descriptor
        do throws(BackendError) {
            source = try system.openFile(
                PathBytes(Self.lastName(of: file)), in: try open(Self.folder(of: file)))
        } catch let error where error.nativeCode == ENOENT {
            throw system.error(.noSuchFile, "\(file.relativePath) is not there")
        } catch let error where error.nativeCode == ELOOP {
            throw system.error(.damaged, "\(file.relativePath) is a link")
        }
        guard try system.status(source).kind == .regular else {
            throw system.error(.damaged, "\(file.relativePath) is no file")
        }
        return source
    }

    /// Whether a file is there and its bytes have the hash it is named by, read from the medium.
    func isGood(_ file: FileName) throws(BackendError) -> Bool {
        do throws(BackendError) {
            return try hash(file) == file.id
        } catch let error where error.code == .damaged || error.code == .noSuchFile {
            return false
        }
    }

    /// The SHA-256 of a file, read from the medium in pieces of 1 MiB.
    func hash(_ file: FileName) throws(BackendError) -> ContentID {
        let reading = try FileReading(file, in: self)
        while try reading.hash(upTo: 32 << 20) {}
        return reading.finish()
    }

    // MARK: What is not durable yet

    /// Remembers that a folder's entries changed.
    func noteChange(_ folder: [PathBytes]) {
        pending.withLock { _ = $0.folders.insert(folder) }
    }

    /// Remembers a file that the next flush must find.
    func noteFile(_ file: FileName, byteCount: UInt64) {
        pending.withLock { pending in
            pending.folders.insert(Self.folder(of: file))
            pending.files[file] = byteCount
        }
        if file.kind != .lock { storedFiles.withLock { _ = $0.insert(file) } }
    }

    /// Files other than locks that were stored here since this object was made.
    var stored: Set<FileName> { storedFiles.withLock { $0 } }

    func forget(_ file: FileName) { pending.withLock { pending in pending.files[file] = nil } }

    /// How far what was stored has come.
    var copyState: CopyState {
        pending.withLock { pending in
            if let failure = pending.failure { return .behind(failure) }
            return pending.folders.isEmpty ? .durable : .written
        }
    }

    /// Takes what is not durable yet.
    func takePending() -> Pending {
        pending.withLock { pending in
            defer { pending = Pending(failure: pending.failure) }
            return pending
        }
    }

    func noteFailure(_ error: BackendError) { pending.withLock { $0.failure = error } }
}

extension FileStatus {
    /// The size in listings: what is no regular file has none.
    var listedByteCount: UInt64 { kind == .regular ? byteCount : 0 }
}

/// One pass over a file's bytes from the medium, hashing them. Used by one thread at a time.
final class FileReading: Sendable {
    private struct Progress: ~Copyable {
        var offset: UInt64 = 0
        var hash: SHA256? = SHA256()
    }

    let name: FileName
    let byteCount: UInt64
    private let source: Descriptor
    private let system: DriveSyscalls
    private let progress = Mutex(Progress())

    /// Opens the file and drops what the page cache has of it, unless it was just fetched.
    init(
        _ file: FileName, in folder: RepositoryFolder, isFetched: Bool = false
    ) throws(BackendError) {
        name = file
        system = folder.system
        source = try folder.openFile(file)
        byteCount = try system.status(source).byteCount
        if !isFetched { system.dropCache(of: source) }
    }

    /// Hashes the next `count` bytes; false at the end of the file.
    func hash(upTo count: Int) throws(BackendError) -> Bool {
        var left = count
        while left > 0 {
            // Small enough to stay in the processor's cache between reading and hashing.
            guard let piece = try next(256 << 10) else { return false }
            left -= piece.count
        }
        return true
    }

    /// The next piece of at most `count` bytes, nil at the end.
    func next(_ count: Int) throws(BackendError) -> [UInt8]? {
        let offset = progress.withLock { $0.offset }
        let bytes = try system.read(source, offset: offset, count: count)
        guard !bytes.isEmpty else { return nil }
        progress.withLock { progress in
            progress.offset += UInt64(bytes.count)
            progress.hash?.update(bytes)
        }
        return bytes
    }

    /// The hash of all that was read. The cache is dropped again, so that an audit does not push
    /// everything else out of memory.
    func finish() -> ContentID {
        system.dropCache(of: source)
        return progress.withLock { progress in
            let hash = progress.hash.take() ?? SHA256()
            return hash.finalize()
        }
    }
}
