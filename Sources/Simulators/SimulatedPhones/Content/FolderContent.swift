import Glibc
import Synchronization

/// A live view of a real folder: every listing reads the disk anew. Links are not followed,
/// as a phone's shared storage has none.
package final class FolderContent: PhoneContent {
    private struct Nodes {
        var paths: [UInt64: String] = [:]
        /// By bytes: two Unicode forms of one word are equal strings but different files.
        var numbers: [[UInt8]: UInt64] = [:]
    }

    package let isWritable: Bool
    private let path: String
    private let nodes: Mutex<Nodes>

    /// Serves the folder at `path`; `isWritable` lets hosts change it.
    package init(path: String, isWritable: Bool = false) {
        self.path = path
        self.isWritable = isWritable
        nodes = Mutex(
            Nodes(paths: [ContentTree.root: path], numbers: [Array(path.utf8): ContentTree.root]))
    }

    package var space: (capacity: UInt64, free: UInt64) {
        var status = statvfs()
        // Sound: statvfs fills the structure it is given.
        guard unsafe statvfs(path, &status) == 0 else { return (0, 0) }
        let block = UInt64(status.f_frsize)
        return (UInt64(status.f_blocks) * block, UInt64(status.f_bavail) * block)
    }

    private func path(of node: UInt64) throws(ContentProblem) -> String {
        guard let path = nodes.withLock({ $0.paths[node] }) else {
            throw ContentProblem(.invalidObjectHandle)
        }
        return path
    }

    private func number(of path: String) -> UInt64 {
        nodes.withLock { nodes in
            let key = Array(path.utf8)
            if let known = nodes.numbers[key] { return known }
            let next = UInt64(nodes.paths.count)
            nodes.numbers[key] = next
            nodes.paths[next] = path
            return next
        }
    }

    package func children(of folder: UInt64) throws(ContentProblem) -> [ContentEntry] {
        let parent = try path(of: folder)
        guard let names = directoryNames(at: parent) else {
            throw ContentProblem(.invalidObjectHandle)
        }
        return names.filter { $0 != "." && $0 != ".." }
            .compactMap { entry(at: parent + "/" + $0, named: $0) }
            .sorted { $0.name.lexicographicallyPrecedes($1.name) }
    }

    private func entry(at path: String, named name: String) -> ContentEntry? {
        var status = stat()
        // Sound: lstat fills the structure it is given.
        guard unsafe lstat(path, &status) == 0 else { return nil }
        let kind = status.st_mode & S_IFMT
        guard kind == S_IFDIR || kind == S_IFREG else { return nil }
        return ContentEntry(
            node: number(of: path), name: Array(name.utf16), isFolder: kind == S_IFDIR,
            byteCount: kind == S_IFDIR ? 0 : UInt64(status.st_size),
            modified: Int64(status.st_mtim.tv_sec))
    }

    package func open(_ node: UInt64) throws(ContentProblem) -> any ContentReader {
        guard let reader = FileReader(path: try path(of: node)) else {
            throw ContentProblem(.generalError)
        }
        return reader
    }

    package func make(
        named name: [UInt16], in folder: UInt64, isFolder: Bool
    ) throws(ContentProblem) -> ContentEntry {
        guard isWritable else { throw ContentProblem(.storeReadOnly) }
        let text = String(decoding: name, as: UTF16.self)
        let path = try self.path(of: folder) + "/" + text
        if isFolder {
            guard unsafe mkdir(path, 0o755) == 0 else { throw ContentProblem(.generalError) }
        } else {
            let descriptor = unsafe Glibc.open(path, O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0o644)
            guard descriptor >= 0 else { throw ContentProblem(.generalError) }
            close(descriptor)
        }
        guard let entry = entry(at: path, named: text) else { throw ContentProblem(.generalError) }
        return entry
    }

    package func write(_ node: UInt64) throws(ContentProblem) -> any ContentWriter {
        guard isWritable else { throw ContentProblem(.storeReadOnly) }
        guard let writer = FileWriter(path: try path(of: node)) else {
            throw ContentProblem(.generalError)
        }
        return writer
    }

    package func remove(_ node: UInt64) throws(ContentProblem) {
        guard isWritable else { throw ContentProblem(.storeReadOnly) }
        let path = try path(of: node)
        for child in (try? children(of: node)) ?? [] {  // not a folder: nothing below it
            try remove(child.node)
        }
        guard unsafe Glibc.remove(path) == 0 else { throw ContentProblem(.generalError) }
    }

    package func rename(_ node: UInt64, to name: [UInt16]) throws(ContentProblem) {
        guard isWritable else { throw ContentProblem(.storeReadOnly) }
        let old = try path(of: node)
        let folder = old.prefix(upTo: old.lastIndex(of: "/") ?? old.startIndex)
        let new = folder + "/" + String(decoding: name, as: UTF16.self)
        guard unsafe access(String(new), F_OK) != 0, unsafe Glibc.rename(old, String(new)) == 0
        else {
            throw ContentProblem(.generalError)
        }
        nodes.withLock { nodes in
            nodes.numbers[Array(old.utf8)] = nil
            nodes.numbers[Array(String(new).utf8)] = node
            nodes.paths[node] = String(new)
        }
    }
}

/// The names in a folder of this machine in no order, "." and ".." among them; nil, and errno,
/// when it cannot be read.
func directoryNames(at path: String) -> [String]? {
    // Sound: the stream is checked, used on this thread only and closed below.
    guard let directory = unsafe opendir(path) else { return nil }
    defer { unsafe closedir(directory) }
    var names: [String] = []
    // Sound: an entry is read before the next call to readdir replaces it.
    while let entry = unsafe readdir(directory) {
        unsafe withUnsafeBytes(of: &entry.pointee.d_name) { bytes in
            names.append(unsafe String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self))
        }
    }
    return names
}

/// Reads a file of the disk; its size is the one at opening.
private final class FileReader: ContentReader {
    private let descriptor: Int32
    let byteCount: UInt64

    init?(path: String) {
        descriptor = unsafe Glibc.open(path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC)
        var status = stat()
        // Sound: fstat fills the structure it is given.
        guard descriptor >= 0, unsafe fstat(descriptor, &status) == 0 else {
            byteCount = 0
            return nil
        }
        byteCount = UInt64(status.st_size)
    }

    deinit {
        if descriptor >= 0 { close(descriptor) }
    }

    func read(at offset: UInt64, count: Int, into buffer: inout [UInt8], at index: Int) -> Bool {
        WholeTransfers.read(descriptor, into: &buffer, at: index, count: count, from: offset) == 0
    }
}

private final class FileWriter: ContentWriter {
    private let descriptor: Int32
    private let path: String

    init?(path: String) {
        self.path = path
        descriptor = unsafe Glibc.open(path, O_WRONLY | O_TRUNC | O_NOFOLLOW | O_CLOEXEC)
        guard descriptor >= 0 else { return nil }
    }

    deinit {
        if descriptor >= 0 { close(descriptor) }
    }

    func append(_ bytes: ArraySlice<UInt8>) -> Bool {
        WholeTransfers.write(bytes, to: descriptor) == 0
    }

    func finish(modified: Int64?) {
        guard let modified else { return }
        let moment = timespec(tv_sec: Int(modified), tv_nsec: 0)
        let times = [moment, moment]
        // Sound: futimens reads the two elements of the array.
        _ = unsafe futimens(descriptor, times)
    }

    func discard() {
        unsafe unlink(path)
    }
}
