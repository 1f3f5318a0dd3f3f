import Glibc

/// The media folder as AFC sees it: a folder of this machine, of which no path leads out.
struct MediaFolder: Sendable {
    let root: String

    /// The path on this machine. "." and empty parts vanish; ".." is refused, as is whatever no
    /// file can be called.
    func place(_ path: String) throws(AFCRefusal) -> String {
        let parts = path.split(separator: "/").filter { $0 != "." }
        guard !parts.contains("..") else { throw AFCRefusal(.denied) }
        return ([root] + parts.map { String($0) }).joined(separator: "/")
    }

    /// Names in the folder, with "." and ".." as phones give them.
    func names(in path: String) throws(AFCRefusal) -> [String] {
        guard let names = directoryNames(at: try place(path)) else {
            throw AFCRefusal(errno: errno)
        }
        return names.sorted()
    }

    /// What GetFileInfo tells.
    func info(_ path: String) throws(AFCRefusal) -> [(key: String, value: String)] {
        let place = try place(path)
        var status = stat()
        // Sound: lstat fills the structure it is given.
        guard unsafe lstat(place, &status) == 0 else { throw AFCRefusal(errno: errno) }
        let modified = "\(nanoseconds(status.st_mtim))"
        var entries = [
            ("st_size", "\(status.st_size)"), ("st_blocks", "\(status.st_blocks)"),
            ("st_nlink", "\(status.st_nlink)"), ("st_ifmt", Self.kind(status.st_mode)),
            ("st_mtime", modified), ("st_birthtime", modified),
        ]
        if status.st_mode & S_IFMT == S_IFLNK { entries.append(("LinkTarget", target(of: place))) }
        return entries.map { (key: $0.0, value: $0.1) }
    }

    private func nanoseconds(_ moment: timespec) -> Int64 {
        Int64(moment.tv_sec) &* 1_000_000_000 &+ Int64(moment.tv_nsec)
    }

    private static func kind(_ mode: mode_t) -> String {
        switch mode & S_IFMT {
        case S_IFDIR: "S_IFDIR"
        case S_IFLNK: "S_IFLNK"
        case S_IFREG: "S_IFREG"
        case S_IFIFO: "S_IFIFO"
        case S_IFSOCK: "S_IFSOCK"
        case S_IFBLK: "S_IFBLK"
        default: "S_IFCHR"
        }
    }

    private func target(of place: String) -> String {
        var buffer = [CChar](repeating: 0, count: Int(PATH_MAX))
        // Sound: readlink writes at most the buffer's length.
        let count = unsafe readlink(place, &buffer, buffer.count)
        let bytes = buffer.prefix(max(0, count)).map { UInt8(bitPattern: $0) }
        return String(decoding: bytes, as: UTF8.self)
    }

    /// Opens a file in one of AFC's modes: 1 "r", 2 "r+", 3 "w", 4 "w+", 5 "a", 6 "a+".
    func open(_ path: String, mode: UInt64) throws(AFCRefusal) -> MediaFile {
        let flags: Int32
        switch mode {
        case 1: flags = O_RDONLY
        case 2: flags = O_RDWR | O_CREAT
        case 3: flags = O_WRONLY | O_CREAT | O_TRUNC
        case 4: flags = O_RDWR | O_CREAT | O_TRUNC
        case 5: flags = O_WRONLY | O_CREAT | O_APPEND
        case 6: flags = O_RDWR | O_CREAT | O_APPEND
        default: throw AFCRefusal(.invalidArgument)
        }
        let place = try place(path)
        // Sound: the path lives through the call.
        let descriptor = unsafe Glibc.open(place, flags | O_CLOEXEC | O_NOFOLLOW, 0o644)
        guard descriptor >= 0 else { throw AFCRefusal(errno: errno) }
        var status = stat()
        // Sound: fstat fills the structure it is given.
        guard unsafe fstat(descriptor, &status) == 0, status.st_mode & S_IFMT != S_IFDIR else {
            close(descriptor)
            throw AFCRefusal(.isFolder)
        }
        return MediaFile(descriptor: descriptor, path: path)
    }

    func remove(_ path: String) throws(AFCRefusal) {
        // Sound: the path lives through the call, here and below.
        try check(unsafe Glibc.remove(try place(path)))
    }

    /// Removes an entry with all below it.
    func removeTree(_ path: String) throws(AFCRefusal) {
        var status = stat()
        // Sound: lstat fills the structure it is given.
        try check(unsafe lstat(try place(path), &status))
        if status.st_mode & S_IFMT == S_IFDIR {
            for name in try names(in: path) where name != "." && name != ".." {
                try removeTree(path + "/" + name)
            }
        }
        try remove(path)
    }

    func rename(_ path: String, to new: String) throws(AFCRefusal) {
        try check(unsafe Glibc.rename(try place(path), try place(new)))
    }

    /// Makes a folder with those above it; one that is there already is no mistake.
    func makeDirectory(_ path: String) throws(AFCRefusal) {
        var made = root
        for part in try place(path).dropFirst(root.count).split(separator: "/") {
            made += "/" + part
            if unsafe mkdir(made, 0o755) != 0, errno != EEXIST { throw AFCRefusal(errno: errno) }
        }
    }

    /// A symbolic link (kind 2), whose target is not looked at, or a hard link (kind 1).
    func makeLink(_ path: String, to target: String, kind: UInt64) throws(AFCRefusal) {
        switch kind {
        case 1: try check(unsafe link(try place(target), try place(path)))
        case 2: try check(unsafe symlink(target, try place(path)))
        default: throw AFCRefusal(.invalidArgument)
        }
    }

    func truncate(_ path: String, to size: UInt64) throws(AFCRefusal) {
        guard let size = off_t(exactly: size) else { throw AFCRefusal(.invalidArgument) }
        try check(unsafe Glibc.truncate(try place(path), size))
    }

    /// Nanoseconds since 1970.
    func setModified(_ path: String, to nanoseconds: UInt64) throws(AFCRefusal) {
        let moment = timespec(
            tv_sec: Int(nanoseconds / 1_000_000_000), tv_nsec: Int(nanoseconds % 1_000_000_000))
        // Sound: utimensat reads the two elements of the array.
        try check(
            unsafe utimensat(AT_FDCWD, try place(path), [moment, moment], AT_SYMLINK_NOFOLLOW))
    }

    private func check(_ result: Int32) throws(AFCRefusal) {
        guard result == 0 else { throw AFCRefusal(errno: errno) }
    }
}

/// An open file of the media folder; it closes when the last user lets go.
final class MediaFile {
    private let descriptor: Int32
    /// As the host named it.
    let path: String

    init(descriptor: Int32, path: String) {
        self.descriptor = descriptor
        self.path = path
    }

    deinit { close(descriptor) }

    /// Up to `count` bytes from the position on, behind `gap` bytes that the caller fills.
    func read(_ count: Int, behind gap: Int) throws(AFCRefusal) -> [UInt8] {
        var code: Int32 = 0
        // Sound: read writes at most `count` bytes behind the gap, which is zeroed.
        let bytes = unsafe [UInt8](unsafeUninitializedCapacity: gap + count) { buffer, filled in
            unsafe buffer.prefix(gap).initialize(repeating: 0)
            filled = gap
            while filled < gap + count {
                let got = unsafe Glibc.read(
                    descriptor, buffer.baseAddress?.advanced(by: filled), gap + count - filled)
                if got < 0, errno == EINTR { continue }
                if got < 0 { code = errno }
                guard got > 0 else { return }
                filled += got
            }
        }
        guard code == 0 else { throw AFCRefusal(errno: code) }
        return bytes
    }

    func write(_ bytes: [UInt8]) throws(AFCRefusal) {
        let code = WholeTransfers.write(bytes[...], to: descriptor)
        guard code == 0 else { throw AFCRefusal(errno: code) }
    }

    /// `whence` as lseek has it.
    func seek(_ offset: Int64, whence: UInt64) throws(AFCRefusal) {
        guard whence <= 2 else { throw AFCRefusal(.invalidArgument) }
        guard lseek(descriptor, off_t(offset), Int32(whence)) >= 0 else {
            throw AFCRefusal(errno: errno)
        }
    }

    var position: UInt64 { UInt64(max(0, lseek(descriptor, 0, SEEK_CUR))) }

    func setSize(_ size: UInt64) throws(AFCRefusal) {
        guard let size = off_t(exactly: size), ftruncate(descriptor, size) == 0 else {
            throw AFCRefusal(.invalidArgument)
        }
    }

    /// AFC's numbers are flock's: 1 shared, 2 exclusive, 4 without waiting, 8 unlock.
    func lock(_ operation: UInt64) throws(AFCRefusal) {
        guard let operation = Int32(exactly: operation) else { throw AFCRefusal(.invalidArgument) }
        guard flock(descriptor, operation) == 0 else { throw AFCRefusal(errno: errno) }
    }
}
