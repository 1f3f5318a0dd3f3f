import BackupCore
import Glibc

/// Files and folders, read and changed past the code under test.
enum TrialFiles {
    /// What is at a path.
    enum Entry: Hashable, Sendable {
        case file([UInt8], modified: Int64)
        case folder(modified: Int64)
        case other
    }

    /// A regular file's bytes, nil when there is none or it cannot be read.
    static func read(_ path: String) -> [UInt8]? { read(Array(path.utf8)) }

    static func read(_ path: [UInt8]) -> [UInt8]? {
        let file = withPath(path) { open($0, O_RDONLY | O_NOFOLLOW | O_NONBLOCK) }
        guard file >= 0 else { return nil }
        defer { close(file) }
        var status = stat()
        guard fstat(file, &status) == 0, status.st_mode & S_IFMT == S_IFREG else { return nil }
        var bytes = [UInt8](repeating: 0, count: Int(status.st_size))
        var filled = 0
        while filled < bytes.count {
            let start = filled
            let count = bytes.withUnsafeMutableBytes {
                Glibc.read(file, $0.baseAddress?.advanced(by: start), $0.count - start)
            }
            guard count > 0 else { return nil }
            filled += count
        }
        return bytes
    }

    static func text(_ path: String) -> String { String(decoding: read(path) ?? [], as: UTF8.self) }

    /// Puts a new file at `path`; other hard links to the old one keep its bytes.
    static func write(_ path: String, _ bytes: [UInt8], mode: UInt32 = 0o600) {
        write(Array(path.utf8), bytes, mode: mode)
    }

    static func write(_ path: [UInt8], _ bytes: [UInt8], mode: UInt32 = 0o600) {
        _ = withPath(path) { unlink($0) }
        let file = withPath(path) { creat($0, mode_t(mode)) }
        var rest = bytes[...]
        while !rest.isEmpty {
            let count = rest.withUnsafeBytes { Glibc.write(file, $0.baseAddress, $0.count) }
            guard count > 0 else { break }
            rest = rest.dropFirst(count)
        }
        close(file)
    }

    static func setDate(_ path: [UInt8], _ time: Timestamp) {
        let value = timespec(tv_sec: Int(time.seconds), tv_nsec: Int(time.nanoseconds))
        _ = withPath(path) { utimensat(AT_FDCWD, $0, [value, value], AT_SYMLINK_NOFOLLOW) }
    }

    /// The names in a folder, sorted by bytes; none when it is not there.
    static func names(_ folder: [UInt8]) -> [[UInt8]] {
        guard let stream = withPath(folder, { opendir($0) }) else { return [] }
        defer { closedir(stream) }
        var names: [[UInt8]] = []
        while let entry = readdir(stream) {
            let name = withUnsafeBytes(of: &entry.pointee.d_name) { Array($0.prefix { $0 != 0 }) }
            if name != [0x2E], name != [0x2E, 0x2E] { names.append(name) }
        }
        return names.sorted { $0.lexicographicallyPrecedes($1) }
    }

    static func names(_ folder: String) -> [String] {
        names(Array(folder.utf8)).map { String(decoding: $0, as: UTF8.self) }
    }

    /// Everything beneath a folder.
    static func entries(_ folder: String) -> [EntryPath: Entry] {
        var found: [EntryPath: Entry] = [:]
        func visit(_ path: [UInt8], _ below: EntryPath) {
            for name in names(path) {
                let full = path + [UInt8(ascii: "/")] + name
                let entryPath = below.appending(EntryName(bytes: name))
                var status = stat()
                guard withPath(full, { lstat($0, &status) }) == 0 else { continue }
                let date = Int64(status.st_mtim.tv_sec)
                switch status.st_mode & S_IFMT {
                case S_IFDIR:
                    found[entryPath] = .folder(modified: date)
                    visit(full, entryPath)
                case S_IFREG:
                    found[entryPath] = read(full).map { .file($0, modified: date) } ?? .other
                default: found[entryPath] = .other
                }
            }
        }
        visit(Array(folder.utf8), .root)
        return found
    }

    /// Every path beneath a folder, in ASCII, with the bytes of files (nil for all else): what
    /// must be equal when nothing was changed.
    static func tree(_ folder: String) -> [String: [UInt8]?] {
        var found: [String: [UInt8]?] = [:]
        for (path, entry) in entries(folder) {
            if case .file(let bytes, _) = entry {
                found.updateValue(bytes, forKey: path.description)
            } else {
                found.updateValue(nil, forKey: path.description)
            }
        }
        return found
    }

    /// Makes `copy` a copy of `folder` whose files are hard links: cheap, and safe as long as
    /// files are replaced and never written to.
    static func copyLinked(_ folder: String, to copy: String) {
        mkdir(copy, 0o700)
        for name in names(folder) {
            var status = stat()
            guard lstat("\(folder)/\(name)", &status) == 0 else { continue }
            if status.st_mode & S_IFMT == S_IFDIR {
                copyLinked("\(folder)/\(name)", to: "\(copy)/\(name)")
            } else {
                link("\(folder)/\(name)", "\(copy)/\(name)")
            }
        }
    }

    /// Copies a file or a folder with all beneath it.
    static func copy(_ path: String, to copy: String) {
        var status = stat()
        guard lstat(path, &status) == 0 else { return }
        if status.st_mode & S_IFMT == S_IFDIR {
            mkdir(copy, status.st_mode & 0o777)
            for name in names(path) { self.copy("\(path)/\(name)", to: "\(copy)/\(name)") }
        } else if let bytes = read(path) {
            write(copy, bytes, mode: status.st_mode & 0o777)
        }
    }

    /// Removes a folder and all beneath it.
    static func remove(_ folder: String) { remove(Array(folder.utf8)) }

    private static func remove(_ path: [UInt8]) {
        for name in names(path) {
            let full = path + [UInt8(ascii: "/")] + name
            if withPath(full, { unlink($0) }) != 0 { remove(full) }
        }
        _ = withPath(path) { rmdir($0) }
    }

    /// A new empty folder.
    static func makeFolder(_ path: String) {
        remove(path)
        mkdir(path, 0o700)
    }

    static func withPath<Value>(_ path: [UInt8], _ body: (UnsafePointer<CChar>) -> Value) -> Value {
        let text = path.map { CChar(bitPattern: $0) } + [0]
        return text.withUnsafeBufferPointer { buffer in
            guard let base = buffer.baseAddress else { preconditionFailure("it holds a NUL") }
            return body(base)
        }
    }
}
