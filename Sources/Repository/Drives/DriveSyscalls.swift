import BackupCore
import CSystem
import Glibc
import Synchronization

/// Every system call that reaches a drive (or a restore's folder) goes through here, so that
/// tests can make any of them fail and record what they changed.
///
/// Names are single components relative to an open folder and are never followed when they are
/// links; only ``openFolder(path:)`` takes a path. Interrupted calls are repeated, except `fsync`
/// and `close`, whose outcome is unknown then.
final class DriveSyscalls: Sendable {
    private let drive: DriveID?
    private let fault: DriveFaultHook?
    private let observer: DriveObserver?
    private let finished = Atomic<UInt64>(0)

    /// Calls on `drive`, with `fault` asked before each and `observer` told each change.
    init(
        drive: DriveID? = nil, fault: DriveFaultHook? = nil, observer: DriveObserver? = nil
    ) {
        self.drive = drive
        self.fault = fault
        self.observer = observer
    }

    /// The number of calls that came back so far: while it grows, the drive is alive.
    var activity: UInt64 { finished.load(ordering: .relaxed) }

    /// The same hooks for another drive id.
    func named(_ drive: DriveID) -> DriveSyscalls {
        DriveSyscalls(drive: drive, fault: fault, observer: observer)
    }

    /// An error of this drive.
    func error(
        _ code: BackendError.Code, _ detail: String, nativeCode: Int32? = nil
    ) -> BackendError {
        BackendError(code, detail, drive: drive, nativeCode: nativeCode)
    }

    private func failure(_ call: DriveCall, _ number: Int32) -> BackendError {
        error(
            SystemErrors.code(number), "\(call.activity) failed: \(SystemErrors.words(number))",
            nativeCode: number)
    }

    private func perform(
        _ call: DriveCall, repeating: Bool = true, _ body: (_ limit: Int) -> Int
    ) throws(BackendError) -> Int {
        while true {
            var limit = Int.max
            switch fault?(call) {
            case .error(EINTR) where repeating: continue
            case .error(let number): throw failure(call, number)
            case .short(let count): limit = count
            case nil: break
            }
            let result = body(limit)
            let number = errno
            finished.add(1, ordering: .relaxed)
            if result >= 0 { return result }
            if number == EINTR && repeating { continue }
            throw failure(call, number)
        }
    }

    /// `body` with `name` as C text; a name with a NUL in it would be cut short by the kernel and
    /// is refused instead.
    private func named(
        _ call: DriveCall, _ name: PathBytes, _ body: (UnsafePointer<CChar>) -> Int32
    ) throws(BackendError) -> Int {
        guard !name.bytes.contains(0) else { throw failure(call, EINVAL) }
        let text = name.bytes.map { CChar(bitPattern: $0) } + [0]
        return try perform(call) { _ in
            // Sound: the array ends with a NUL and is lent for the call only.
            Int(
                unsafe text.withUnsafeBufferPointer { buffer in
                    guard let base = buffer.baseAddress else { return Int32(-1) }
                    return unsafe body(base)
                })
        }
    }

    private func open(
        _ call: DriveCall, _ name: PathBytes, at folder: Int32, flags: Int32, mode: UInt32 = 0
    ) throws(BackendError) -> Descriptor {
        let opened = Descriptor(
            owning: Int32(
                // Sound: the text is lent for the call.
                try unsafe named(call, name) {
                    unsafe holdfast_openat(folder, $0, flags | O_CLOEXEC, mode)
                }))
        observer?(.opened(opened.number))
        return opened
    }

    // MARK: Opening

    /// A folder by its path; links on the way to a configured path are the administrator's own.
    func openFolder(path: String) throws(BackendError) -> Descriptor {
        try open(.open, PathBytes(path), at: AT_FDCWD, flags: O_RDONLY | O_DIRECTORY)
    }

    /// A folder in `folder`.
    func openFolder(_ name: PathBytes, in folder: Descriptor) throws(BackendError) -> Descriptor {
        try open(
            .open, name, at: folder.number, flags: O_RDONLY | O_DIRECTORY | O_NOFOLLOW)
    }

    /// A file in `folder`, for reading. A pipe in its place does not block.
    func openFile(_ name: PathBytes, in folder: Descriptor) throws(BackendError) -> Descriptor {
        try open(.open, name, at: folder.number, flags: O_RDONLY | O_NOFOLLOW | O_NONBLOCK)
    }

    /// A new file in `folder`, for writing, readable by its owner only.
    func createFile(_ name: PathBytes, in folder: Descriptor) throws(BackendError) -> Descriptor {
        let file = try open(
            .create, name, at: folder.number,
            flags: O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, mode: 0o600)
        observer?(.created(file.number, name: name.bytes, folder: folder.number))
        return file
    }

    /// Closes; an error means that written bytes may be lost. An interrupted close has closed.
    func close(_ file: Descriptor) throws(BackendError) {
        guard file.takeForClosing() else { return }
        // Closed before a test's fault is asked for, or it would leave the descriptor open.
        let result = Glibc.close(file.number)
        let number = errno
        _ = try perform(.close, repeating: false) { _ in 0 }
        if result != 0 && number != EINTR { throw failure(.close, number) }
    }

    // MARK: Bytes

    /// Reserves `byteCount` bytes, so that a full drive shows before anything is written. A
    /// filesystem that cannot is none the worse.
    func allocate(_ file: Descriptor, byteCount: UInt64) throws(BackendError) {
        guard byteCount > 0 else { return }
        _ = try perform(.allocate) { _ in
            let number = posix_fallocate(file.number, 0, off_t(clamping: byteCount))
            if number == 0 || number == EOPNOTSUPP || number == EINVAL || number == ENOSYS {
                return 0
            }
            errno = number
            return -1
        }
        observer?(.allocated(file.number, byteCount: byteCount))
    }

    /// Writes all of `bytes` at the file's position, in pieces of at most 4 MiB.
    func write(_ file: Descriptor, _ bytes: ArraySlice<UInt8>) throws(BackendError) {
        var rest = bytes
        while !rest.isEmpty {
            let piece = rest.prefix(4 << 20)
            let count = try perform(.write) { limit in
                // Sound: the slice lends its storage for the call, which reads at most its count.
                unsafe piece.withUnsafeBytes { buffer in
                    unsafe Glibc.write(file.number, buffer.baseAddress, min(limit, buffer.count))
                }
            }
            guard count > 0 else { throw failure(.write, EIO) }
            observer?(.wrote(file.number, rest.prefix(count)))
            rest = rest.dropFirst(count)
        }
    }

    /// The bytes from `offset` on, `count` of them or fewer at the end of the file.
    func read(
        _ file: Descriptor, offset: UInt64, count: Int
    ) throws(BackendError) -> [UInt8] {
        var failure: BackendError?
        // Sound: pread writes behind `filled`, at most to the end of the array's room.
        let bytes = unsafe [UInt8](unsafeUninitializedCapacity: count) { room, filled in
            // A whole pack would cost 4,096 page faults.
            if count >= 4 << 20 { unsafe holdfast_prefer_huge_pages(room.baseAddress, count) }
            do throws(BackendError) {
                while filled < count {
                    let start = filled
                    let got = try perform(.read) { limit in
                        unsafe pread(
                            file.number, room.baseAddress?.advanced(by: start),
                            min(limit, count - start), off_t(clamping: offset + UInt64(start)))
                    }
                    if got == 0 { break }
                    filled += got
                }
            } catch {
                failure = error
            }
        }
        if let failure { throw failure }
        return bytes
    }

    /// Makes a file's bytes, or a folder's entries, durable. Never to be repeated after an error:
    /// the kernel may have marked the lost pages clean.
    func sync(_ file: Descriptor) throws(BackendError) {
        do throws(BackendError) {
            _ = try perform(.sync, repeating: false) { _ in Int(fsync(file.number)) }
        } catch {
            observer?(.synced(file.number, succeeded: false))
            throw error
        }
        observer?(.synced(file.number, succeeded: true))
    }

    /// Makes a whole filesystem durable.
    func syncFilesystem(of file: Descriptor) throws(BackendError) {
        do throws(BackendError) {
            _ = try perform(.sync, repeating: false) { _ in Int(holdfast_syncfs(file.number)) }
        } catch {
            observer?(.syncedFilesystem(file.number, succeeded: false))
            throw error
        }
        observer?(.syncedFilesystem(file.number, succeeded: true))
    }

    /// Drops what the page cache has of a file, so that the next read comes from the medium.
    func dropCache(of file: Descriptor) {
        // Advice only: a filesystem without a page cache has nothing to drop.
        _ = posix_fadvise(file.number, 0, 0, POSIX_FADV_DONTNEED)
    }

    /// Waits until a file's pages are written out and gives them back. It makes nothing durable and
    /// tells of no error: a sync that follows does.
    func giveBackPages(of file: Descriptor) {
        _ = holdfast_wait_written(file.number)
        dropCache(of: file)
    }

    /// Another descriptor of an open file; nil when there are too many already.
    func duplicate(_ file: Descriptor) -> Descriptor? {
        let number = holdfast_fcntl(file.number, F_DUPFD_CLOEXEC, 0)
        return number < 0 ? nil : Descriptor(owning: number)
    }

    /// Has the kernel read a file's bytes ahead, while others are being hashed.
    func fetch(_ file: Descriptor) {
        // Advice only, as above; the length 0 means to the end.
        _ = posix_fadvise(file.number, 0, 0, POSIX_FADV_WILLNEED)
    }

    // MARK: Names

    /// Renames without replacing: EEXIST when the new name is taken.
    func renameExclusively(
        _ name: PathBytes, in folder: Descriptor, to newName: PathBytes,
        in newFolder: Descriptor
    ) throws(BackendError) {
        do throws(BackendError) {
            try rename(name, in: folder, to: newName, in: newFolder, replacing: false)
        } catch let error where error.nativeCode == EINVAL || error.nativeCode == ENOSYS {
            // Some FUSE filesystems know no flags. Ours is the only writer under its lock, so a
            // look first is as good.
            if try status(newName, in: newFolder) != nil { throw failure(.rename, EEXIST) }
            try rename(name, in: folder, to: newName, in: newFolder, replacing: true)
        }
    }

    /// Renames over what has the new name, at once.
    func rename(
        _ name: PathBytes, in folder: Descriptor, to newName: PathBytes,
        in newFolder: Descriptor, replacing: Bool = true
    ) throws(BackendError) {
        guard !newName.bytes.contains(0) else { throw failure(.rename, EINVAL) }
        let newText = newName.bytes.map { CChar(bitPattern: $0) } + [0]
        // Sound: both texts end with a NUL and are lent for the call only.
        _ = try unsafe named(.rename, name) { old in
            unsafe newText.withUnsafeBufferPointer { buffer in
                guard let new = buffer.baseAddress else { return Int32(-1) }
                return replacing
                    ? unsafe renameat(folder.number, old, newFolder.number, new)
                    : unsafe holdfast_rename_noreplace(
                        folder.number, old, newFolder.number, new)
            }
        }
        observer?(
            .renamed(
                name.bytes, folder: folder.number, to: newName.bytes,
                newFolder: newFolder.number))
    }

    /// Removes a file; false when there was none.
    @discardableResult
    func unlink(_ name: PathBytes, in folder: Descriptor) throws(BackendError) -> Bool {
        do throws(BackendError) {
            // Sound: the text is lent for the call.
            _ = try unsafe named(.unlink, name) { unsafe unlinkat(folder.number, $0, 0) }
            observer?(.unlinked(name.bytes, folder: folder.number))
            return true
        } catch let error where error.nativeCode == ENOENT {
            return false
        }
    }

    /// Removes an empty folder; false when there was none.
    @discardableResult
    func removeFolder(
        _ name: PathBytes, in folder: Descriptor
    ) throws(BackendError) -> Bool {
        do throws(BackendError) {
            // Sound: the text is lent for the call.
            _ = try unsafe named(.removeDirectory, name) {
                unsafe unlinkat(folder.number, $0, AT_REMOVEDIR)
            }
            observer?(.unlinked(name.bytes, folder: folder.number))
            return true
        } catch let error where error.nativeCode == ENOENT {
            return false
        }
    }

    /// Makes a folder, readable by its owner only; false when something has the name already.
    @discardableResult
    func makeFolder(_ name: PathBytes, in folder: Descriptor) throws(BackendError) -> Bool {
        do throws(BackendError) {
            // Sound: the text is lent for the call.
            _ = try unsafe named(.makeDirectory, name) { unsafe mkdirat(folder.number, $0, 0o700) }
            observer?(.madeFolder(name.bytes, folder: folder.number))
            return true
        } catch let error where error.nativeCode == EEXIST {
            return false
        }
    }

    /// What has `name` in `folder`, or nil.
    func status(_ name: PathBytes, in folder: Descriptor) throws(BackendError) -> FileStatus? {
        var raw = stat()
        do throws(BackendError) {
            // Sound: `raw` is lent for the call, which fills it.
            _ = try unsafe named(.status, name) {
                unsafe fstatat(folder.number, $0, &raw, AT_SYMLINK_NOFOLLOW)
            }
        } catch let error where error.nativeCode == ENOENT {
            return nil
        }
        return FileStatus(raw)
    }

    /// What is open.
    func status(_ file: Descriptor) throws(BackendError) -> FileStatus {
        var raw = stat()
        // Sound: `raw` is lent for the call, which fills it.
        _ = try perform(.status) { _ in Int(unsafe fstat(file.number, &raw)) }
        return FileStatus(raw)
    }

    /// The names in a folder, without `.` and `..`, in no order.
    func names(in folder: Descriptor) throws(BackendError) -> [PathBytes] {
        var names: [PathBytes] = []
        _ = try perform(.list) { _ in
            names = []
            return Int(FolderListing.read(folder.number) { names.append(PathBytes($0)) })
        }
        return names
    }

    // MARK: Attributes

    /// Sets permission bits; a filesystem without them (FAT, some FUSE) is left as it is.
    func changeMode(_ file: Descriptor, _ mode: UInt32) throws(BackendError) {
        _ = try perform(.changeMode) { _ in
            let result = fchmod(file.number, mode_t(mode))
            let isUnsupported = errno == EPERM || errno == ENOTSUP || errno == ENOSYS
            return result != 0 && isUnsupported ? 0 : Int(result)
        }
    }

    /// Sets the dates of access and modification.
    func setTimes(_ file: Descriptor, _ time: Timestamp) throws(BackendError) {
        let value = timespec(tv_sec: Int(time.seconds), tv_nsec: Int(time.nanoseconds))
        let times = [value, value]
        // Sound: the call reads the two values lent to it.
        _ = try perform(.setTimes) { _ in
            Int(
                unsafe times.withUnsafeBufferPointer {
                    unsafe futimens(file.number, $0.baseAddress)
                })
        }
    }

    /// Free bytes for ordinary users, and all bytes.
    func space(_ file: Descriptor) throws(BackendError) -> (free: UInt64, total: UInt64) {
        var raw = statvfs()
        // Sound: `raw` is lent for the call, which fills it.
        _ = try perform(.space) { _ in Int(unsafe fstatvfs(file.number, &raw)) }
        let unit = UInt64(raw.f_frsize)
        return (UInt64(raw.f_bavail) * unit, UInt64(raw.f_blocks) * unit)
    }

    /// Waits for the exclusive advisory lock on an open folder; it is freed when the descriptor
    /// is closed. A filesystem without locks has none to wait for.
    func lock(_ folder: Descriptor) throws(BackendError) {
        _ = try perform(.lock) { _ in
            let result = flock(folder.number, LOCK_EX)
            let isUnsupported = errno == ENOLCK || errno == ENOSYS || errno == EOPNOTSUPP
            return result != 0 && isUnsupported ? 0 : Int(result)
        }
    }
}

/// readdir(3) over a folder that is open already.
private enum FolderListing {
    /// Hands each name to `emit`; 0, or -1 with `errno`.
    static func read(_ folder: Int32, emit: ([UInt8]) -> Void) -> Int32 {
        // A descriptor of its own: reading moves the position, which duplicates would share.
        // Sound: the literal is C text.
        let own = unsafe holdfast_openat(folder, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0)
        guard own >= 0 else { return -1 }
        guard let stream = unsafe fdopendir(own) else {
            let number = errno
            _ = Glibc.close(own)
            errno = number
            return -1
        }
        // Sound: the stream owns `own` and is closed exactly once, here.
        defer { unsafe closedir(stream) }
        while true {
            errno = 0
            // Sound: the entry is valid until the next call; its name is copied at once.
            guard let entry = unsafe readdir(stream) else { return errno == 0 ? 0 : -1 }
            let name = unsafe withUnsafeBytes(of: &entry.pointee.d_name) { buffer in
                unsafe Array(buffer.prefix { $0 != 0 })
            }
            if name != [0x2E] && name != [0x2E, 0x2E] { emit(name) }
        }
    }
}
