import BackupCore
import CSystem
import Glibc

/// A file of the state folder that grows by whole records.
///
/// A record is its length in four bytes, the most significant first, and its bytes. What a power
/// cut left of a last record is no record. Whether the bytes of one are those that were written is
/// for whoever seals them to tell.
final class RecordFile: Sendable {
    /// The longest record; a garbled length must not fill the memory.
    static let maximumByteCount = 64 << 20

    private let path: String
    private let descriptor: Int32

    private init(_ path: String, _ descriptor: Int32) {
        self.path = path
        self.descriptor = descriptor
    }

    deinit { Glibc.close(descriptor) }

    /// An empty file at `path` in place of whatever was there, in a folder that is made when it is
    /// missing.
    static func make(_ path: String) throws(ApplianceError) -> RecordFile {
        try StateFiles.makeFolder(StateFiles.parentPath(path))
        // A file in its place: whoever still reads the old one goes on reading the old one.
        try StateFiles.write([], to: path)
        guard let file = try open(path, O_WRONLY | O_APPEND) else {
            throw StateFiles.failure("\(StateFiles.shown(path)) cannot be opened", ENOENT)
        }
        return file
    }

    /// The file at `path` for reading from its beginning; nil when there is none.
    static func open(_ path: String) throws(ApplianceError) -> RecordFile? {
        try open(path, O_RDONLY)
    }

    private static func open(
        _ path: String, _ flags: Int32
    ) throws(ApplianceError) -> RecordFile? {
        // Sound: the path is lent NUL-terminated for the call.
        let descriptor = unsafe holdfast_openat(AT_FDCWD, path, flags | O_CLOEXEC, 0)
        guard descriptor >= 0 else {
            if errno == ENOENT || errno == ENOTDIR { return nil }
            throw StateFiles.failure("\(StateFiles.shown(path)) cannot be opened")
        }
        return RecordFile(path, descriptor)
    }

    /// Adds records durably. After an error the file must not be added to any more: its end may be
    /// half a record.
    func append(_ records: [[UInt8]]) throws(ApplianceError) {
        var bytes: [UInt8] = []
        for record in records {
            bytes += [24, 16, 8, 0].map { UInt8(truncatingIfNeeded: record.count >> $0) }
            bytes += record
        }
        try StateFiles.writeAll(bytes, to: descriptor, path)
        guard fsync(descriptor) == 0 else {
            throw StateFiles.failure("\(StateFiles.shown(path)) cannot be made durable")
        }
    }

    /// The next record; nil at the end, where the last one was cut short, and when the file cannot
    /// be read any further.
    func next() -> [UInt8]? {
        guard let length = read(4)?.reduce(0, { $0 << 8 | Int($1) }),
            (1...Self.maximumByteCount).contains(length)
        else { return nil }
        return read(length)
    }

    private func read(_ count: Int) -> [UInt8]? {
        var bytes = [UInt8](repeating: 0, count: count)
        var filled = 0
        while filled < count {
            // Sound: the buffer is lent for the call and the range lies within it.
            let got = unsafe bytes.withUnsafeMutableBytes { buffer in
                let rest = unsafe UnsafeMutableRawBufferPointer(rebasing: buffer[filled...])
                return unsafe Glibc.read(descriptor, rest.baseAddress, rest.count)
            }
            if got < 0, errno == EINTR { continue }
            guard got > 0 else { return nil }
            filled += got
        }
        return bytes
    }
}
