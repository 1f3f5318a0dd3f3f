import BackupCore
import Glibc

/// Who holds a lock, as other programs are told.
package struct LockHost: Hashable, Sendable {
    package var hostname: String
    package var username: String
    package var pid: Int32
    package var uid: UInt32
    package var gid: UInt32

    /// A holder with every field given.
    package init(hostname: String, username: String, pid: Int32, uid: UInt32, gid: UInt32) {
        self.hostname = hostname
        self.username = username
        self.pid = pid
        self.uid = uid
        self.gid = gid
    }

    /// This process. restic on the same machine tells by hostname and pid whether the holder
    /// lives, so both are the real ones.
    package static func current() -> LockHost {
        var name = [CChar](repeating: 0, count: 256)
        // Sound: the buffer is lent with its size, less one byte that stays NUL.
        let status = unsafe gethostname(&name, name.count - 1)
        let bytes = name.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }
        return LockHost(
            hostname: status == 0 ? String(decoding: bytes, as: UTF8.self) : "",
            username: "holdfast", pid: getpid(), uid: getuid(), gid: getgid())
    }
}
