import BackupCore
import CSystem
import Glibc

/// The state folder's files: the only place of this part that makes, replaces and reads files.
///
/// Folders are 0700 and files 0600. A file is replaced as a whole: temporary name, sync, rename,
/// sync of the folder, so that a power cut leaves the old file or the new one.
///
/// Where a path goes to a system call it is marked `unsafe` and sound: Swift lends the text
/// NUL-terminated for that one call.
package enum StateFiles {
    /// The largest file that is read: state records are small, and a garbled one must not fill
    /// the memory.
    package static let maximumByteCount = 16 << 20

    /// Makes `path` and its missing ancestors. The last component is set to 0700 when it is made
    /// here; ancestors that exist are left as they are.
    package static func makeFolder(_ path: String) throws(ApplianceError) {
        if isFolder(path) { return }
        let parent = parentPath(path)
        if parent != path { try makeFolder(parent) }
        guard unsafe mkdir(path, 0o700) == 0 || errno == EEXIST else {
            throw failure("The folder \(shown(path)) cannot be made")
        }
        // The entry must outlive a power cut before anything inside it is relied on.
        try syncFolder(parent)
    }

    /// Writes `bytes` under `path` durably, replacing what was there.
    package static func write(_ bytes: [UInt8], to path: String) throws(ApplianceError) {
        try replace(bytes, at: path, isDurable: true)
        try syncFolder(parentPath(path))
    }

    /// Writes `bytes` under `path` as a whole; a power cut may undo it.
    package static func replace(_ bytes: [UInt8], at path: String) throws(ApplianceError) {
        try replace(bytes, at: path, isDurable: false)
    }

    private static func replace(
        _ bytes: [UInt8], at path: String, isDurable: Bool
    ) throws(ApplianceError) {
        let temporary = "\(path)-tmp-\(getpid())"
        let descriptor = unsafe holdfast_openat(
            AT_FDCWD, temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else { throw failure("\(shown(path)) cannot be written") }
        do throws(ApplianceError) {
            defer { Glibc.close(descriptor) }
            try writeAll(bytes, to: descriptor, path)
            guard !isDurable || fsync(descriptor) == 0 else {
                throw failure("\(shown(path)) cannot be made durable")
            }
        } catch {
            unsafe unlink(temporary)
            throw error
        }
        guard unsafe rename(temporary, path) == 0 else {
            let error = failure("\(shown(path)) cannot be put in its place")
            unsafe unlink(temporary)
            throw error
        }
    }

    /// Writes `bytes` durably into a new file for the caller alone (0600); `usage` when something
    /// has the name already, be it a link.
    package static func create(_ bytes: [UInt8], at path: String) throws(ApplianceError) {
        let descriptor = unsafe holdfast_openat(
            AT_FDCWD, path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else {
            guard errno == EEXIST else { throw failure("\(shown(path)) cannot be written") }
            throw ApplianceError(
                .usage, "\(shown(path)) exists already.",
                whatToDo: "Name another file, or remove it first.")
        }
        do throws(ApplianceError) {
            defer { Glibc.close(descriptor) }
            try writeAll(bytes, to: descriptor, path)
            guard fsync(descriptor) == 0 || errno == EINVAL else {
                throw failure("\(shown(path)) cannot be made durable")
            }
        } catch {
            unsafe unlink(path)
            throw error
        }
    }

    /// The whole file, or nil when there is none.
    package static func read(_ path: String) throws(ApplianceError) -> [UInt8]? {
        let descriptor = unsafe holdfast_openat(AT_FDCWD, path, O_RDONLY | O_CLOEXEC, 0)
        guard descriptor >= 0 else {
            if errno == ENOENT || errno == ENOTDIR { return nil }
            throw failure("\(shown(path)) cannot be read")
        }
        defer { Glibc.close(descriptor) }
        var bytes: [UInt8] = []
        var piece = [UInt8](repeating: 0, count: 65_536)
        while true {
            // Sound: the buffer is lent for the call, with its own count.
            let count = unsafe piece.withUnsafeMutableBytes { buffer in
                unsafe Glibc.read(descriptor, buffer.baseAddress, buffer.count)
            }
            if count == 0 { return bytes }
            guard count > 0 else {
                if errno == EINTR { continue }
                throw failure("\(shown(path)) cannot be read")
            }
            bytes += piece[..<count]
            guard bytes.count <= maximumByteCount else {
                throw ApplianceError(
                    .configuration, "\(shown(path)) is far too large to be ours.",
                    whatToDo: "Look at the file; move it away if it is not Holdfast's.")
            }
        }
    }

    /// The names in a folder, sorted, without temporary files; empty when there is no folder.
    package static func names(in path: String) throws(ApplianceError) -> [String] {
        try allNames(in: path).filter { !$0.contains("-tmp-") }.sorted()
    }

    /// All names in a folder, in no order; empty when there is no folder.
    static func allNames(in path: String) throws(ApplianceError) -> [String] {
        guard let folder = unsafe opendir(path) else {
            if errno == ENOENT { return [] }
            throw failure("The folder \(shown(path)) cannot be listed")
        }
        // Sound: the stream is open until the end of this function and used by this thread only;
        // the entry is copied before the next call invalidates it.
        defer { unsafe closedir(folder) }
        var names: [String] = []
        while let entry = unsafe readdir(folder) {
            let name = unsafe withUnsafeBytes(of: &entry.pointee.d_name) { buffer in
                unsafe String(decoding: buffer.prefix { $0 != 0 }, as: UTF8.self)
            }
            if name != ".", name != ".." { names.append(name) }
        }
        return names
    }

    /// Removes a file; a missing one is fine.
    package static func remove(_ path: String) throws(ApplianceError) {
        guard unsafe unlink(path) == 0 || errno == ENOENT else {
            throw failure("\(shown(path)) cannot be removed")
        }
    }

    /// Whether `path` is a folder.
    package static func isFolder(_ path: String) -> Bool {
        var status = stat()
        // Sound: `status` is lent for the call.
        return unsafe stat(path, &status) == 0 && status.st_mode & S_IFMT == S_IFDIR
    }

    /// Whether anything is at `path`.
    package static func exists(_ path: String) -> Bool { unsafe access(path, F_OK) == 0 }

    /// `path` without its last component; `/` and `.` are their own parents.
    package static func parentPath(_ path: String) -> String {
        var parts = path.split(separator: "/", omittingEmptySubsequences: true)
        guard !parts.isEmpty else { return path.hasPrefix("/") ? "/" : "." }
        parts.removeLast()
        let joined = parts.joined(separator: "/")
        if path.hasPrefix("/") { return "/" + joined }
        return joined.isEmpty ? "." : joined
    }

    static func syncFolder(_ path: String) throws(ApplianceError) {
        let descriptor = unsafe holdfast_openat(
            AT_FDCWD, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0)
        guard descriptor >= 0 else {
            throw failure("The folder \(shown(path)) cannot be opened")
        }
        defer { Glibc.close(descriptor) }
        guard fsync(descriptor) == 0 || errno == EINVAL else {
            throw failure("The folder \(shown(path)) cannot be made durable")
        }
    }

    /// Writes all of `bytes` at the descriptor's place; `path` is for messages.
    static func writeAll(
        _ bytes: [UInt8], to descriptor: Int32, _ path: String
    ) throws(ApplianceError) {
        var written = 0
        while written < bytes.count {
            // Sound: the buffer is lent for the call and the range lies within it.
            let count = unsafe bytes.withUnsafeBytes { buffer in
                let rest = unsafe UnsafeRawBufferPointer(rebasing: buffer[written...])
                return unsafe Glibc.write(descriptor, rest.baseAddress, rest.count)
            }
            if count < 0, errno == EINTR { continue }
            guard count > 0 else { throw failure("\(shown(path)) cannot be written") }
            written += count
        }
    }

    /// A path for messages.
    static func shown(_ path: String) -> String { HostileText.escaped(path) }

    /// The error of a system call that failed with `code`.
    static func failure(_ what: String, _ code: Int32 = errno) -> ApplianceError {
        ApplianceError(
            .configuration, "\(what): \(SystemCall.reason(code)).",
            whatToDo: "Check the folder's owner, its space and that it is not read-only.")
    }
}

/// Words for what the system answers.
package enum SystemCall {
    /// The system's own words for `code`, an `errno` value.
    package static func reason(_ code: Int32) -> String {
        // Sound: strerror gives a NUL-terminated text that is copied at once; a racing call could
        // only change the words of one message.
        guard let text = unsafe strerror(code) else { return "error \(code)" }
        return unsafe String(cString: text)
    }
}
