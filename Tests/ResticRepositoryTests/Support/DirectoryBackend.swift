import BackupCore
import Foundation

/// A folder as a backend, so that real restic can judge what was written. It makes no claim to
/// durability.
struct DirectoryBackend: RepositoryBackend {
    let root: URL

    /// Makes the folders of an empty repository.
    init(_ root: URL) throws {
        self.root = root
        for kind in FileKind.allCases where kind != .config {
            try FileManager.default.createDirectory(
                at: root.appendingPathComponent(kind.rawValue), withIntermediateDirectories: true)
        }
    }

    var copyCount: Int { 1 }

    private func url(_ file: FileName) -> URL { root.appendingPathComponent(file.relativePath) }

    func list(_ kind: FileKind) async throws(BackendError) -> [StoredFile] {
        let folder = root.appendingPathComponent(kind.rawValue)
        guard
            let walker = FileManager.default.enumerator(
                at: folder, includingPropertiesForKeys: [.fileSizeKey])
        else { throw BackendError(.io, "no folder \(kind.rawValue)") }
        var found: [StoredFile] = []
        while let file = walker.nextObject() as? URL {
            guard let id = ContentID(hex: file.lastPathComponent) else { continue }
            // A file that vanishes while listing is not there.
            guard let size = try? file.resourceValues(forKeys: [.fileSizeKey]).fileSize else {
                continue
            }
            found.append(StoredFile(name: FileName(kind, id), byteCount: UInt64(size)))
        }
        return found
    }

    func read(
        _ file: FileName, range: Range<UInt64>?, copy: Int
    ) async throws(BackendError) -> [UInt8] {
        do {
            let handle = try FileHandle(forReadingFrom: url(file))
            defer { try? handle.close() }
            guard let range else { return Array(try handle.readToEnd() ?? Data()) }
            try handle.seek(toOffset: range.lowerBound)
            return Array(try handle.read(upToCount: range.count) ?? Data())
        } catch {
            throw BackendError(.noSuchFile, "\(file.relativePath) cannot be read")
        }
    }

    func write(_ file: FileName, _ bytes: [UInt8]) async throws(BackendError) {
        do {
            try FileManager.default.createDirectory(
                at: url(file).deletingLastPathComponent(), withIntermediateDirectories: true)
            try Data(bytes).write(to: url(file), options: .atomic)
        } catch {
            throw BackendError(.io, "\(file.relativePath) cannot be written")
        }
    }

    func flush() async throws(BackendError) {}

    func remove(_ file: FileName) async throws(BackendError) {
        // A missing one is no error.
        try? FileManager.default.removeItem(at: url(file))
    }

    func receipts() async -> [CopyReceipt] { [] }
    func freeBytes() async -> UInt64 { 1 << 40 }
}
