/// Port: a repository of snapshots, above files and drives.
package protocol SnapshotRepository: Sendable {
    /// All snapshots, oldest first; ones that cannot be read are an error, never left out.
    func snapshots() async throws(RepositoryError) -> [Snapshot]
    /// A folder's entries, in the order of their names' bytes.
    func tree(_ id: ContentID) async throws(RepositoryError) -> [TreeNode]
    /// A data blob's bytes, checked against its id.
    func blob(_ id: ContentID) async throws(RepositoryError) -> [UInt8]
    /// Whether a file's content can be read back whole, as far as the index knows.
    func holds(_ content: [ContentID]) async -> Bool
    /// Whether the tree blob is known.
    func holds(tree: ContentID) async -> Bool

    /// Cuts, hashes and stores what is not known yet. It returns once the content's ids are
    /// known; sealing and writing go on behind, and their failures surface at a later call. The
    /// source is closed here.
    func save(_ source: ByteSource<DeviceError>) async throws(SaveError) -> SavedContent
    /// Stores a folder; the nodes may come in any order. The same nodes give the same id.
    func save(tree: [TreeNode]) async throws(RepositoryError) -> ContentID
    /// Makes all that was saved durable and writes the index of it.
    func checkpoint() async throws(RepositoryError)
    /// Checkpoints, then writes the snapshot, last, and makes it durable.
    func commit(_ draft: SnapshotDraft) async throws(RepositoryError) -> CommittedSnapshot

    /// What was written since this repository was opened.
    func statistics() async -> RepositoryStatistics
    /// See ``RepositoryBackend/freeBytes()``.
    func freeBytes() async -> UInt64
}

/// A file's content after saving.
package struct SavedContent: Hashable, Sendable {
    /// The data blobs in order; empty for an empty file.
    package let content: [ContentID]
    package let byteCount: UInt64
    /// Bytes of blobs that were not known before.
    package let addedBytes: UInt64

    /// Saved content.
    package init(content: [ContentID], byteCount: UInt64, addedBytes: UInt64) {
        self.content = content
        self.byteCount = byteCount
        self.addedBytes = addedBytes
    }
}

/// A snapshot that is stored, and where.
package struct CommittedSnapshot: Hashable, Sendable {
    package let snapshot: Snapshot
    package let copies: [CopyReceipt]

    /// A stored snapshot.
    package init(snapshot: Snapshot, copies: [CopyReceipt]) {
        self.snapshot = snapshot
        self.copies = copies
    }
}

/// Counters of what a repository wrote.
package struct RepositoryStatistics: Hashable, Sendable {
    /// Plain bytes of new blobs, data and trees.
    package var addedBytes: UInt64 = 0
    /// Bytes of new files (packs, indexes, snapshots) after compression and sealing, per drive.
    package var storedBytes: UInt64 = 0
    package var dataBlobs = 0
    package var treeBlobs = 0
    package var packs = 0

    /// Zero counters.
    package init() {}
}
