import BackupCore
import Glibc

/// What may have happened to one of our own files or folders.
enum StateDamage: String, CaseIterable, Sendable {
    case missing, empty, truncated, garbled, older, future, wrongOwner, unreadable, folder, link

    /// Does it to `path` in the installation at `root`.
    func apply(to path: String, in root: String, _ numbers: inout TrialNumbers) {
        let full = "\(root)/\(path)"
        let bytes = TrialFiles.read(full)
        switch self {
        case .missing: Self.remove(full)
        case .empty: Self.replace(full, [])
        case .truncated: Self.replace(full, Array((bytes ?? []).prefix((bytes?.count ?? 0) / 2)))
        case .garbled: Self.replace(full, numbers.bytes(1 + numbers.below(2000)))
        case .older:
            let old = "\(root)/older/\(path)"
            Self.remove(full)
            if access(old, F_OK) == 0 { TrialFiles.copy(old, to: full) }
        case .future: Self.replace(full, Self.future(bytes ?? []))
        case .wrongOwner, .unreadable:
            // A file of its own first: links to it elsewhere keep their owner.
            if let bytes { TrialFiles.write(full, bytes) }
            if self == .wrongOwner { chown(full, 65534, 65534) } else { chmod(full, 0) }
        case .folder:
            Self.remove(full)
            mkdir(full, 0o700)
        case .link:
            Self.remove(full)
            symlink("/etc/hostname", full)
        }
    }

    private static func replace(_ path: String, _ bytes: [UInt8]) {
        remove(path)
        TrialFiles.write(path, bytes)
    }

    private static func remove(_ path: String) {
        if unlink(path) != 0 { TrialFiles.remove(path) }
    }

    /// The file as a later version of the program might write it.
    private static func future(_ bytes: [UInt8]) -> [UInt8] {
        // SQLite keeps the schema's version at 60 (file format, 1.3).
        if bytes.starts(with: Array("SQLite format 3\0".utf8)), bytes.count > 64 {
            var bytes = bytes
            bytes[63] = 99
            return bytes
        }
        let text = String(decoding: bytes, as: UTF8.self)
        if text.contains("\"version\":1") {
            return Array(text.replacing("\"version\":1", with: "\"version\":99").utf8)
        }
        if text.hasPrefix("{") { return Array(("{\"version\":99," + text.dropFirst()).utf8) }
        return Array((text + "\nversion: 99\nsomething_new: true\n").utf8)
    }
}
