package import BackupCore
import Glibc

extension Drive {
    /// Throws `wrongDrive` when two of `drives` are one folder, or are one drive twice (a clone).
    package static func refuseDuplicates(among drives: [Drive]) throws(BackendError) {
        for (position, drive) in drives.enumerated() {
            for other in drives[..<position] {
                if try drive.isSameFolder(as: other) {
                    throw drive.system.error(
                        .wrongDrive, "two configured drives are the same folder")
                }
                if drive.id == other.id {
                    throw drive.system.error(
                        .wrongDrive, "two connected drives say that they are this one")
                }
            }
        }
    }

    private func isSameFolder(as other: Drive) throws(BackendError) -> Bool {
        try system.status(root).identity == other.system.status(other.root).identity
    }

    /// Whether both lie on one disk, so that one failure takes both. Partitions, subvolumes and
    /// folders of the same disk count; a disk that cannot be told is taken for another one.
    package func sharesDevice(with other: Drive) throws(BackendError) -> Bool {
        let own = try system.status(root).identity.device
        let others = try other.system.status(other.root).identity.device
        return own == others || BlockDevice(of: own).map { $0 == BlockDevice(of: others) } ?? false
    }
}

/// The whole disk beneath a filesystem.
struct BlockDevice: Hashable {
    /// The kernel's name of the disk (`sda`).
    let name: String

    /// The disk of the filesystem with this device number; nil when it has none (tmpfs, network).
    init?(of device: UInt64) {
        let numbers: String
        if Self.major(device) == 0 {
            // btrfs and some others have a made-up number; the mount table names the source.
            guard let source = Self.mountSource(of: Self.text(device)),
                let found = Self.deviceNumber(ofNode: source)
            else { return nil }
            numbers = Self.text(found)
        } else {
            numbers = Self.text(device)
        }
        guard let folder = Self.linkTarget("/sys/dev/block/\(numbers)") else { return nil }
        let components = folder.split(separator: "/")
        let isPartition = Self.exists("/sys/dev/block/\(numbers)/partition")
        guard let name = (isPartition ? components.dropLast() : components[...]).last else {
            return nil
        }
        self.name = String(name)
    }

    // Linux's own layout of dev_t (sys/sysmacros.h), which Swift does not import.
    private static func major(_ device: UInt64) -> UInt64 {
        (device >> 8) & 0xFFF | (device >> 32) & 0xFFFF_F000
    }

    private static func text(_ device: UInt64) -> String {
        "\(major(device)):\(device & 0xFF | (device >> 12) & 0xFFFF_FF00)"
    }

    /// The source field of the mount with these numbers. Source: proc(5), mountinfo.
    static func mountSource(of numbers: String, table: String? = nil) -> String? {
        guard let table = table ?? read("/proc/self/mountinfo") else { return nil }
        for line in table.split(separator: "\n") {
            let fields = line.split(separator: " ")
            guard fields.count > 2, fields[2] == numbers,
                let separator = fields.firstIndex(of: "-"), separator + 2 < fields.count,
                fields[separator + 2].hasPrefix("/dev/")
            else { continue }
            return String(fields[separator + 2])
        }
        return nil
    }

    // The rest asks the kernel, not a drive, so it does not go through `DriveSyscalls`.

    private static func exists(_ path: String) -> Bool {
        // Sound: the text is lent as C text for the call.
        unsafe access(path, F_OK) == 0
    }

    private static func deviceNumber(ofNode path: String) -> UInt64? {
        var raw = stat()
        // Sound: `raw` is lent for the call, which fills it.
        guard unsafe stat(path, &raw) == 0, raw.st_mode & S_IFMT == S_IFBLK else { return nil }
        return UInt64(raw.st_rdev)
    }

    private static func linkTarget(_ path: String) -> String? {
        var buffer = [UInt8](repeating: 0, count: 4096)
        // Sound: the call writes at most the count it is given.
        let count = unsafe buffer.withUnsafeMutableBytes { bytes in
            guard let base = bytes.baseAddress else { return -1 }
            return unsafe readlink(path, base.assumingMemoryBound(to: CChar.self), bytes.count)
        }
        return count > 0 ? String(decoding: buffer[..<count], as: UTF8.self) : nil
    }

    private static func read(_ path: String) -> String? {
        // Sound: the text is lent as C text for the call.
        let file = unsafe open(path, O_RDONLY | O_CLOEXEC)
        guard file >= 0 else { return nil }
        defer { _ = close(file) }
        var content: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 1 << 16)
        while true {
            // Sound: the call writes at most the count it is given.
            let count = unsafe buffer.withUnsafeMutableBytes { bytes in
                unsafe Glibc.read(file, bytes.baseAddress, bytes.count)
            }
            guard count > 0 else { return String(decoding: content, as: UTF8.self) }
            content += buffer[..<count]
        }
    }
}
