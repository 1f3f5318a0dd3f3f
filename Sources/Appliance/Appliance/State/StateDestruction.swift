import BackupCore
import CSystem
import Glibc

/// Making secrets of the state folder unreadable, and not only their names.
extension StateFiles {
    /// Overwrites every file beneath `path`, durably, removes them and then the folders. A missing
    /// folder is fine; after an error a repetition does the rest. What a filesystem that writes
    /// elsewhere (btrfs, the memory of an SSD) keeps of old bytes is beyond this: the box's disk
    /// is to be encrypted.
    static func destroyFolder(_ path: String) throws(ApplianceError) {
        guard isFolder(path) else { return }
        // Temporary files of a run that was cut short too: they may hold the same secrets.
        for name in try allNames(in: path) {
            let inner = "\(path)/\(name)"
            var status = stat()
            // Sound: the path is lent NUL-terminated and `status` is lent for the call.
            guard unsafe lstat(inner, &status) == 0 else { continue }
            switch status.st_mode & S_IFMT {
            case S_IFDIR: try destroyFolder(inner)
            case S_IFREG: try destroyFile(inner)
            default: try remove(inner)
            }
        }
        guard unsafe rmdir(path) == 0 || errno == ENOENT else {
            throw failure("The folder \(shown(path)) cannot be removed")
        }
        try syncFolder(parentPath(path))
    }

    /// Overwrites a file in place, durably, and removes it. A missing one is fine.
    static func destroyFile(_ path: String) throws(ApplianceError) {
        let descriptor = unsafe holdfast_openat(
            AT_FDCWD, path, O_WRONLY | O_NOFOLLOW | O_CLOEXEC, 0)
        guard descriptor >= 0 else {
            if errno == ENOENT { return }
            throw failure("\(shown(path)) cannot be overwritten")
        }
        defer { Glibc.close(descriptor) }
        var status = stat()
        // Sound: `status` is lent for the call.
        guard unsafe fstat(descriptor, &status) == 0 else {
            throw failure("\(shown(path)) cannot be looked at")
        }
        // In pieces: a list of a phone's files may be long.
        var left = Int(status.st_size)
        while left > 0 {
            let piece = min(left, 1 << 20)
            try writeAll([UInt8](repeating: 0, count: piece), to: descriptor, path)
            left -= piece
        }
        guard fsync(descriptor) == 0 || errno == EINVAL else {
            throw failure("\(shown(path)) cannot be made durable")
        }
        try remove(path)
        try syncFolder(parentPath(path))
    }
}
