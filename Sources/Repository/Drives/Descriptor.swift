import BackupCore
import Glibc
import Synchronization

/// An open file or folder; closed once, at the latest with its last reference.
final class Descriptor: Sendable {
    /// The descriptor's number, valid until ``takeForClosing()``.
    let number: Int32
    private let isOpen = Atomic(true)

    /// Takes over an open descriptor.
    init(owning number: Int32) { self.number = number }

    /// Whether the caller is the one who must close it now.
    func takeForClosing() -> Bool { isOpen.exchange(false, ordering: .acquiringAndReleasing) }

    deinit {
        // An error here has nobody to go to; writers close through `DriveSyscalls.close`.
        if takeForClosing() { _ = Glibc.close(number) }
    }
}

/// One component of a path, or a whole path, as the kernel takes it.
struct PathBytes: Sendable, Hashable, ExpressibleByStringLiteral {
    let bytes: [UInt8]

    init(_ bytes: [UInt8]) { self.bytes = bytes }
    init(_ text: String) { bytes = Array(text.utf8) }
    init(stringLiteral text: String) { self.init(text) }
}

/// What the filesystem says of an entry, without following links.
struct FileStatus: Sendable, Hashable {
    enum Kind: Sendable { case regular, directory, other }

    /// The device and inode that tell one file from all others while it is open.
    struct Identity: Sendable, Hashable {
        let device: UInt64
        let inode: UInt64
    }

    let identity: Identity
    let kind: Kind
    let byteCount: UInt64
    let modified: Timestamp

    init(_ raw: stat) {
        identity = Identity(device: UInt64(raw.st_dev), inode: UInt64(raw.st_ino))
        byteCount = UInt64(max(0, raw.st_size))
        modified = Timestamp(
            seconds: Int64(raw.st_mtim.tv_sec),
            nanoseconds: UInt32(clamping: raw.st_mtim.tv_nsec))
        kind =
            switch raw.st_mode & S_IFMT {
            case S_IFREG: .regular
            case S_IFDIR: .directory
            default: .other
            }
    }
}
