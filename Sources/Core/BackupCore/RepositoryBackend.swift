/// The folders of a restic repository.
package enum FileKind: String, Sendable, CaseIterable {
    case config
    case key = "keys"
    case data
    case index
    case snapshot = "snapshots"
    case lock = "locks"

    /// Whether files of this kind are named by the SHA-256 of their bytes. `config` is not.
    package var isNamedByHash: Bool { self != .config }
}

/// One file of a repository.
package struct FileName: Hashable, Sendable, Comparable {
    package let kind: FileKind
    /// The name; for `config` it is meaningless and zero.
    package let id: ContentID

    /// The file `id` of `kind`.
    package init(_ kind: FileKind, _ id: ContentID) {
        self.kind = kind
        self.id = id
    }

    /// The one file of kind `config`.
    package static let config = FileName(.config, ContentID(words: (0, 0, 0, 0)))

    /// The path beneath the repository: `data/ab/abcd…`, `index/abcd…`, `config`.
    package var relativePath: String {
        switch kind {
        case .config: "config"
        case .data: "data/\(id.hex.prefix(2))/\(id.hex)"
        default: "\(kind.rawValue)/\(id.hex)"
        }
    }

    package static func < (left: FileName, right: FileName) -> Bool {
        left.kind == right.kind
            ? left.id < right.id : left.kind.rawValue < right.kind.rawValue
    }
}

/// A file and its size as listed.
package struct StoredFile: Hashable, Sendable {
    package let name: FileName
    package let byteCount: UInt64

    /// A listed file.
    package init(name: FileName, byteCount: UInt64) {
        self.name = name
        self.byteCount = byteCount
    }
}

/// Port: where a repository's files live: one drive, or several that hold the same files.
package protocol RepositoryBackend: Sendable {
    /// The number of independent copies a file can be read from; 1 for a single drive. A reader
    /// that finds copy 0 damaged asks for copy 1.
    var copyCount: Int { get }
    /// The files of `kind`: the union over the copies, in no order. Names that are no 64 digits
    /// (temporary files) are left out. For `data` all 256 folders.
    func list(_ kind: FileKind) async throws(BackendError) -> [StoredFile]
    /// The files of `kind` that every copy which will be written to has, each with the smallest
    /// of its sizes: what a writer may rely on. A program that works on one drive alone adds files
    /// to that drive alone.
    func listOnEveryCopy(_ kind: FileKind) async throws(BackendError) -> [StoredFile]
    /// The whole file, or the bytes `range`; `noSuchFile` when that copy lacks it. Bytes are not
    /// checked against the name.
    func read(
        _ file: FileName, range: Range<UInt64>?, copy: Int
    ) async throws(BackendError) -> [UInt8]
    /// Stores a file under its final name on every usable drive, or queues it; it waits while the
    /// queues are full. The bytes' SHA-256 must equal the name. It throws only when no drive is
    /// left.
    func write(_ file: FileName, _ bytes: [UInt8]) async throws(BackendError)
    /// Waits until all that was written is durable, directory entries included. It throws only
    /// when no drive is left; a drive that failed is told by ``receipts()``.
    func flush() async throws(BackendError)
    /// Removes a file where it exists. Only locks are removed by ordinary runs.
    func remove(_ file: FileName) async throws(BackendError)
    /// Each drive, and whether all written so far is durable there (after ``flush()``) or behind.
    func receipts() async -> [CopyReceipt]
    /// The space that may still be used, of the roomiest usable drive, less its reserve; bytes.
    func freeBytes() async -> UInt64
}

extension RepositoryBackend {
    /// For a backend of one copy: all there are.
    package func listOnEveryCopy(_ kind: FileKind) async throws(BackendError) -> [StoredFile] {
        try await list(kind)
    }
}
