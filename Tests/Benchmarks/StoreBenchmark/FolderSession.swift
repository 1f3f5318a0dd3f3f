import BackupCore
import BlockingThread
import Glibc
import Synchronization

/// A folder that is read as if it were a phone, so that the store is measured without one.
final class FolderSession: DeviceSession, MediaSource {
    private let thread = DedicatedThread(name: "folder")
    /// The path of each object handed out so far, by its number; the root is 0.
    private let paths: Mutex<[[UInt8]]>

    /// A phone whose one storage is `folder`.
    init(folder: String) {
        paths = Mutex([Array(folder.utf8)])
    }

    let captures: [Capture] = [.media]

    func attributes() async throws(DeviceError) -> PhoneAttributes {
        PhoneAttributes(
            identity: "store-benchmark\nfolder", name: "Folder", manufacturer: "", model: "folder",
            osVersion: "", batteryPercent: nil, notes: [])
    }

    func source(of capture: Capture) -> CaptureSource? {
        capture == .media ? .pulled(self) : nil
    }

    func close() async {}

    func storages() async throws(DeviceError) -> [PhoneStorage] {
        [
            PhoneStorage(
                handle: 1, name: "Internal shared storage", volumeIdentifier: "", type: 3,
                totalBytes: 0, freeBytes: 0)
        ]
    }

    func list(_ folder: FolderReference) async throws(DeviceError) -> FolderListing {
        let path = path(of: folder.object ?? 0)
        let found = try await thread.run { () throws(DeviceError) in
            try FolderReading.entries(of: path)
        }
        return FolderListing(
            found.map { entry in
                PhoneEntry(
                    storage: 1, object: remember(path + [UInt8(ascii: "/")] + entry.name.bytes),
                    name: entry.name, isFolder: entry.isFolder, byteCount: entry.byteCount,
                    modified: entry.modified)
            })
    }

    /// One visit to the thread for a small file: what a phone costs is another benchmark's matter.
    func read(_ entry: PhoneEntry) async throws(DeviceError) -> ByteSource<DeviceError> {
        let file = OpenedFile(path(of: entry.object), expectedCount: entry.byteCount)
        let thread = self.thread
        return ByteSource(
            next: { () async throws(DeviceError) in
                if file.isAtEnd { return nil }
                return try await thread.run { () throws(DeviceError) in try file.piece() }
            },
            close: {
                if !file.isAtEnd { await thread.run { () throws(Never) in file.close() } }
            })
    }

    private func path(of object: UInt64) -> [UInt8] { paths.withLock { $0[Int(object)] } }

    private func remember(_ path: [UInt8]) -> UInt64 {
        paths.withLock { paths in
            paths.append(path)
            return UInt64(paths.count - 1)
        }
    }
}

/// A file that is opened by its first piece and closed by its last.
private final class OpenedFile: Sendable {
    private struct State {
        var descriptor: Int32?
        var isAtEnd = false
    }

    private let path: [UInt8]
    /// Pieces are as long as what they hold, as a phone's are; the byte more shows the end.
    private let capacity: Int
    private let state = Mutex(State())

    init(_ path: [UInt8], expectedCount: UInt64?) {
        self.path = path
        capacity = Int(
            min(expectedCount ?? .max, UInt64(ByteSource<DeviceError>.maximumPiece) - 1) + 1)
    }

    var isAtEnd: Bool { state.withLock { $0.isAtEnd } }

    /// The next bytes, nil at the end.
    func piece() throws(DeviceError) -> [UInt8]? {
        try state.withLock { state throws(DeviceError) in
            if state.descriptor == nil { state.descriptor = try FolderReading.open(path) }
            guard let descriptor = state.descriptor else { return nil }
            let piece = try FolderReading.piece(of: descriptor, atMost: capacity)
            if (piece?.count ?? 0) < capacity { Self.end(&state) }
            return piece
        }
    }

    func close() { state.withLock { Self.end(&$0) } }

    private static func end(_ state: inout State) {
        state.isAtEnd = true
        if let descriptor = state.descriptor.take() { _ = Glibc.close(descriptor) }
    }
}

/// The system calls beneath ``FolderSession``.
enum FolderReading {
    struct Entry {
        let name: EntryName
        let isFolder: Bool
        let byteCount: UInt64?
        let modified: Timestamp
    }

    /// The files and folders of a folder; anything else is left out.
    static func entries(of folder: [UInt8]) throws(DeviceError) -> [Entry] {
        // Sound: the path is lent NUL-terminated; the stream is closed here and used by no one else.
        guard let stream = unsafe withCString(folder, { unsafe opendir($0) }) else {
            throw failure("opening a folder")
        }
        defer { unsafe closedir(stream) }
        var entries: [Entry] = []
        while let found = unsafe readdir(stream) {
            // Sound: d_name is NUL-terminated and valid until the next readdir; it is copied.
            let name = unsafe withUnsafeBytes(of: &found.pointee.d_name) { bytes in
                unsafe Array(bytes.prefix { $0 != 0 })
            }
            guard name != [0x2E], name != [0x2E, 0x2E] else { continue }
            if let entry = try entry(named: name, in: folder) { entries.append(entry) }
        }
        return entries
    }

    private static func entry(
        named name: [UInt8], in folder: [UInt8]
    ) throws(DeviceError) -> Entry? {
        var status = stat()
        let path = folder + [UInt8(ascii: "/")] + name
        // Sound: both are lent for the call.
        guard unsafe withCString(path, { unsafe lstat($0, &status) }) == 0 else {
            throw failure("looking at a file")
        }
        let kind = status.st_mode & S_IFMT
        guard kind == S_IFREG || kind == S_IFDIR else { return nil }
        return Entry(
            name: EntryName(bytes: name), isFolder: kind == S_IFDIR,
            byteCount: kind == S_IFREG ? UInt64(status.st_size) : nil,
            modified: Timestamp(seconds: Int64(status.st_mtim.tv_sec)))
    }

    static func open(_ path: [UInt8]) throws(DeviceError) -> Int32 {
        // Sound: the path is lent NUL-terminated for the call.
        let file = unsafe withCString(path) { unsafe Glibc.open($0, O_RDONLY | O_CLOEXEC) }
        guard file >= 0 else { throw failure("opening a file") }
        return file
    }

    /// The next bytes, nil at the end.
    static func piece(of file: Int32, atMost limit: Int) throws(DeviceError) -> [UInt8]? {
        let capacity = max(1, limit)
        var count = 0
        // Sound: read fills at most the capacity it is told; `count` is what it filled.
        let piece = unsafe [UInt8](unsafeUninitializedCapacity: capacity) { buffer, filled in
            count = unsafe Glibc.read(file, buffer.baseAddress, capacity)
            filled = max(0, count)
        }
        guard count >= 0 else { throw failure("reading a file") }
        return count == 0 ? nil : piece
    }

    private static func withCString<Value>(
        _ path: [UInt8], _ body: (UnsafePointer<CChar>) -> Value
    ) -> Value {
        var text = path.map { CChar(bitPattern: $0) }
        text.append(0)
        // Sound: the array lives through the call and ends with NUL.
        return unsafe body(text)
    }

    private static func failure(_ action: String) -> DeviceError {
        DeviceError(.unreadable, "\(action) failed", nativeCode: Int(errno))
    }
}
