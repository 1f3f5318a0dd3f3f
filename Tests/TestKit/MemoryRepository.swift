package import BackupCore

/// A repository in memory with the port's real semantics: content addressed, order of writing
/// kept, damage and failures on demand.
package actor MemoryRepository: SnapshotRepository {
    /// Content is cut at every so many bytes.
    package static let cut = 4096

    private var blobs: [ContentID: [UInt8]] = [:]
    private var trees: [ContentID: [TreeNode]] = [:]
    private var stored: [Snapshot] = []
    private var counters = RepositoryStatistics()
    private var isDirty = false
    private var copies: [CopyReceipt]
    private var savesUntilFailure: Int?
    private var failure = RepositoryError(.noDrive, "no drive is left")
    private var free: UInt64 = 1 << 40

    /// An empty repository whose commits give `copies` as receipts.
    package init(copies: [CopyReceipt] = MemoryRepository.twoDurable) { self.copies = copies }

    /// Receipts of two drives that hold everything.
    package static let twoDurable = [
        CopyReceipt(drive: DriveID(trusted: "a"), state: .durable),
        CopyReceipt(drive: DriveID(trusted: "b"), state: .durable),
    ]

    package func snapshots() async throws(RepositoryError) -> [Snapshot] { stored }

    package func tree(_ id: ContentID) async throws(RepositoryError) -> [TreeNode] {
        guard let nodes = trees[id] else {
            throw RepositoryError(.missing, "the tree \(id.short) is nowhere")
        }
        return nodes
    }

    package func blob(_ id: ContentID) async throws(RepositoryError) -> [UInt8] {
        guard let bytes = blobs[id] else {
            throw RepositoryError(.missing, "the blob \(id.short) is nowhere")
        }
        return bytes
    }

    package func holds(_ content: [ContentID]) async -> Bool {
        content.allSatisfy { blobs[$0] != nil }
    }

    package func holds(tree: ContentID) async -> Bool { trees[tree] != nil }

    package func save(
        _ source: ByteSource<DeviceError>
    ) async throws(SaveError) -> SavedContent {
        let bytes: [UInt8]
        do {
            bytes = try await Self.drain(source)
        } catch {
            await source.close()
            throw .source(error)
        }
        await source.close()
        do { try failWhenDue() } catch { throw .repository(error) }
        var content: [ContentID] = []
        var added: UInt64 = 0
        for start in stride(from: 0, to: bytes.count, by: Self.cut) {
            let piece = Array(bytes[start..<min(start + Self.cut, bytes.count)])
            let id = testHash(piece)
            content.append(id)
            guard blobs[id] == nil else { continue }
            blobs[id] = piece
            added += UInt64(piece.count)
            counters.dataBlobs += 1
        }
        note(added)
        return SavedContent(
            content: content, byteCount: UInt64(bytes.count), addedBytes: added)
    }

    package func save(tree: [TreeNode]) async throws(RepositoryError) -> ContentID {
        try failWhenDue()
        let nodes = tree.sorted { $0.name < $1.name }
        let bytes = Self.encoded(nodes)
        let id = testHash(bytes)
        if trees[id] == nil {
            trees[id] = nodes
            counters.treeBlobs += 1
            note(UInt64(bytes.count))
        }
        return id
    }

    package func checkpoint() async throws(RepositoryError) {
        if isDirty { counters.packs += 1 }
        isDirty = false
    }

    package func commit(_ draft: SnapshotDraft) async throws(RepositoryError) -> CommittedSnapshot {
        try failWhenDue()
        try await checkpoint()
        let snapshot = Snapshot(id: testHash(Array("\(draft)".utf8)), draft: draft)
        stored.append(snapshot)
        return CommittedSnapshot(snapshot: snapshot, copies: copies)
    }

    package func statistics() async -> RepositoryStatistics { counters }
    package func freeBytes() async -> UInt64 { free }

    private static func drain(
        _ source: ByteSource<DeviceError>
    ) async throws(DeviceError) -> [UInt8] {
        var bytes: [UInt8] = []
        while let piece = try await source.next() { bytes += piece }
        return bytes
    }

    private func note(_ added: UInt64) {
        counters.addedBytes += added
        if added > 0 { isDirty = true }
    }

    private func failWhenDue() throws(RepositoryError) {
        guard let left = savesUntilFailure else { return }
        guard left > 0 else { throw failure }
        savesUntilFailure = left - 1
    }

    private static func encoded(_ nodes: [TreeNode]) -> [UInt8] {
        nodes.flatMap { node in
            Array(
                "\(node.name.bytes)\(node.kind)\(node.modified)\(node.mode ?? 0)".utf8)
                + Array("\(node.byteCount)\(node.content)\(node.subtree?.hex ?? "-");".utf8)
        }
    }
}

extension MemoryRepository {
    /// The receipts of later commits.
    package func setCopies(_ copies: [CopyReceipt]) { self.copies = copies }

    /// Lets the save or commit fail that comes after `count` more, and all after it.
    package func fail(
        after count: Int?, with error: RepositoryError = RepositoryError(.noDrive, "no drive left")
    ) {
        savesUntilFailure = count
        failure = error
    }

    /// Loses a data blob.
    package func lose(_ blob: ContentID) { blobs[blob] = nil }

    /// Loses a tree.
    package func lose(tree: ContentID) { trees[tree] = nil }

    /// Whether anything was saved since the last checkpoint.
    package var hasUnwritten: Bool { isDirty }

    /// A file's whole content.
    package func content(of node: TreeNode) throws(RepositoryError) -> [UInt8] {
        var bytes: [UInt8] = []
        for id in node.content {
            guard let blob = blobs[id] else {
                throw RepositoryError(.missing, "the blob \(id.short) is nowhere")
            }
            bytes += blob
        }
        return bytes
    }

    /// All files of a tree with their content, by their path as text.
    package func files(
        of tree: ContentID, at path: EntryPath = .root
    ) throws(RepositoryError) -> [String: [UInt8]] {
        guard let nodes = trees[tree] else {
            throw RepositoryError(.missing, "the tree \(tree.short) is nowhere")
        }
        var found: [String: [UInt8]] = [:]
        for node in nodes {
            let here = path.appending(node.name)
            if node.kind == .file { found[here.description] = try content(of: node) }
            guard let subtree = node.subtree else { continue }
            found.merge(try files(of: subtree, at: here)) { first, _ in first }
        }
        return found
    }
}
