import Foundation
import Glibc

/// Where the programs under test lie, and which foreign ones are there.
enum Programs {
    /// The build's folder: the programs lie beside the tests.
    static let folder: String = {
        var path = [UInt8](repeating: 0, count: 4096)
        // Sound: the buffer's size is told.
        let length = unsafe readlink("/proc/self/exe", &path, path.count)
        let own = String(decoding: path.prefix(max(0, length)), as: UTF8.self)
        return String(own[..<(own.lastIndex(of: "/") ?? own.startIndex)])
    }()

    static var holdfast: String { folder + "/holdfast" }
    static var agent: String { folder + "/holdfast-agent" }
    static var simulator: String { folder + "/holdfast-simulator" }
    static let restic = "/usr/bin/restic"

    /// Whether this machine lets the tests mount filesystems of their own, tried once.
    static let canMount: Bool = {
        let folder = NSTemporaryDirectory() + "e2e-mount-" + UUID().uuidString.prefix(8)
        guard mkdir(folder, 0o700) == 0 else { return false }
        defer { rmdir(folder) }
        guard TemporaryMount.mount(folder, bytes: 1 << 20) else {
            print("Skipped: this user cannot mount a tmpfs.")
            return false
        }
        TemporaryMount.unmount(folder)
        return true
    }()
}

/// Filesystems in memory that stand for drives of a size.
enum TemporaryMount {
    static func mount(_ folder: String, bytes: Int) -> Bool {
        // Sound: the strings are lent for the call.
        unsafe Glibc.mount("tmpfs", folder, "tmpfs", 0, "size=\(bytes)") == 0
    }

    /// Every write from now on meets EROFS; files that are open for writing must be none, so it
    /// is tried until one moment has none.
    static func makeReadOnly(_ folder: String) -> Bool {
        for _ in 0..<20_000 {
            let flags = UInt(MS_REMOUNT) | UInt(MS_RDONLY)
            // Sound: as above; a remount looks at no source.
            if unsafe Glibc.mount(nil, folder, nil, flags, nil) == 0 { return true }
            usleep(200)
        }
        return false
    }

    static func unmount(_ folder: String) {
        // Detached: a process that still looks at it cannot hold the test up.
        umount2(folder, Int32(MNT_DETACH))
    }
}

extension TemporaryMount {
    /// Undoes ``makeReadOnly(_:)``.
    static func makeWritable(_ folder: String) -> Bool {
        // Sound: the strings are lent for the call.
        unsafe Glibc.mount(nil, folder, nil, UInt(MS_REMOUNT), nil) == 0
    }
}
