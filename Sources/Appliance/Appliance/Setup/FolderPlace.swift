import Glibc

/// Where a path really leads: two paths may be one folder, and one folder may lie in another.
struct FolderPlace: Sendable {
    /// The path as it was named.
    let path: String
    /// The path with every link followed; what does not exist is taken by name.
    private let real: String
    /// Device and inode; nil when nothing is there.
    private let identity: Identity?

    private struct Identity: Hashable, Sendable {
        let device: UInt64
        let inode: UInt64
    }

    /// Looks at `path`, absolute.
    init(_ path: String) {
        self.path = path
        real = Self.real(path)
        var status = stat()
        // Sound: the path is lent NUL-terminated and `status` is lent for the call.
        let isThere = unsafe stat(path, &status) == 0
        identity =
            isThere
            ? Identity(device: UInt64(status.st_dev), inode: UInt64(status.st_ino)) : nil
    }

    /// Whether both are one folder, be it through a link or a second mount of it.
    func isSame(as other: FolderPlace) -> Bool {
        real == other.real || identity != nil && identity == other.identity
    }

    /// Whether this lies beneath `other`, at any depth.
    func isInside(_ other: FolderPlace) -> Bool {
        real != other.real && real.hasPrefix(other.real == "/" ? "/" : other.real + "/")
    }

    /// The names that lead from `other` to this; empty for the same folder, nil when this does not
    /// lie in it.
    func names(below other: FolderPlace) -> [String]? {
        if isSame(as: other) { return [] }
        guard isInside(other) else { return nil }
        return real.dropFirst(other.real.count).split(separator: "/").map(String.init)
    }

    /// Whether both are on one filesystem; a folder that is not there is on none.
    func sharesFilesystem(with other: FolderPlace) -> Bool {
        identity != nil && identity?.device == other.identity?.device
    }

    private static func real(_ path: String) -> String {
        // Sound: the path is lent NUL-terminated; the text that comes back is NUL-terminated,
        // ours, copied and freed.
        if let found = unsafe realpath(path, nil) {
            defer { unsafe free(found) }
            return unsafe String(cString: found)
        }
        let parent = StateFiles.parentPath(path)
        guard parent != path, let last = path.split(separator: "/").last else { return path }
        let folder = real(parent)
        return (folder == "/" ? "" : folder) + "/" + last
    }
}
