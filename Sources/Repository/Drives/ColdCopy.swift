package import BackupCore
import Synchronization

/// One drive's copy for readers that judge it: files come from the medium, not from what is
/// cached. Nothing is written through it.
package final class ColdCopy: RepositoryBackend {
    private let copy: DriveBackend
    private let read = Mutex<Set<FileName>>([])

    /// A cold view of `copy`.
    package init(_ copy: DriveBackend) { self.copy = copy }

    /// The files that were read whole.
    package var filesRead: Set<FileName> { read.withLock { $0 } }

    package var copyCount: Int { 1 }

    package func list(_ kind: FileKind) async throws(BackendError) -> [StoredFile] {
        try await copy.list(kind)
    }

    package func read(
        _ file: FileName, range: Range<UInt64>?, copy number: Int
    ) async throws(BackendError) -> [UInt8] {
        guard range == nil else { return try await copy.read(file, range: range, copy: number) }
        let bytes = try await copy.reading { (folder) throws(BackendError) in
            try folder.dropCache(of: file)
            defer {
                // What was read is not wanted again; an error here hides none of the reading.
                try? folder.dropCache(of: file)
            }
            return try folder.read(file, range: nil)
        }
        read.withLock { _ = $0.insert(file) }
        return bytes
    }

    package func write(_ file: FileName, _ bytes: [UInt8]) async throws(BackendError) {
        throw refusal
    }

    package func flush() async throws(BackendError) {}

    package func remove(_ file: FileName) async throws(BackendError) { throw refusal }

    private var refusal: BackendError {
        copy.drive.system.error(.readOnly, "a copy that is being judged is not written to")
    }

    package func receipts() async -> [CopyReceipt] { await copy.receipts() }

    package func freeBytes() async -> UInt64 { 0 }
}
