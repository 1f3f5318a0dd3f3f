import BackupCore
import ResticFormat

/// Which blobs the snapshots need: a walk through their folders, each once.
///
/// Memory follows the index, a few bits for each entry, whatever the content.
struct BlobNeeds {
    /// All entries, in packs that are present, of the blobs that are needed.
    private(set) var needed: EntrySet
    /// A needed blob that no pack that is present has, or a folder that no copy has good; the
    /// first one met. What a lost folder needs is not known.
    private(set) var firstLost: RepositoryError?
    /// Whether a folder is among what was lost.
    private(set) var isAnyFolderLost = false

    private let index: BlobIndex
    private let reader: BlobReader
    private var visited: EntrySet

    init(files: CopyReader, sealer: FileSealer, index: BlobIndex) {
        self.index = index
        reader = BlobReader(files: files, sealer: sealer)
        needed = EntrySet(count: index.count)
        visited = EntrySet(count: index.count)
    }

    /// Notes what the folder `root` and all beneath it need.
    mutating func visit(_ root: ContentID) async throws(RepositoryError) {
        var pending = [root]
        while let next = pending.popLast() {
            guard !Task.isCancelled else {
                throw RepositoryError(.cancelled, "looking for what is needed was cancelled")
            }
            guard let nodes = try await folder(next) else { continue }
            for node in nodes {
                for id in node.content where !need(BlobKey(.data, id)) {
                    lose(BlobKey(.data, id), nil)
                }
                if node.isDirectory, let subtree = node.subtree { pending.append(subtree) }
            }
        }
    }

    /// Marks every entry of a blob; false when there is none.
    private mutating func need(_ key: BlobKey) -> Bool {
        let entries = index.presentMatches(key)
        for entry in entries { needed.insert(entry) }
        return !entries.isEmpty
    }

    private mutating func lose(_ key: BlobKey, _ cause: RepositoryError?) {
        firstLost =
            firstLost ?? cause
            ?? RepositoryError(
                .missing, "\(key.kind.name) blob \(key.id.short) is on no drive")
        isAnyFolderLost = isAnyFolderLost || key.kind == .tree
    }

    /// A folder's entries; nil when it was visited or is lost.
    private mutating func folder(_ id: ContentID) async throws(RepositoryError) -> [TreeNode]? {
        let key = BlobKey(.tree, id)
        let entries = index.presentMatches(key)
        if let first = entries.first, !visited.insert(first) { return nil }
        for entry in entries { needed.insert(entry) }
        var failure: RepositoryError?
        for entry in entries {
            let place = index.place(of: entry)
            do throws(RepositoryError) {
                let bytes = try await reader.read(
                    place,
                    byteCount: index.extent(from: entry, limit: reader.readAhead(for: place)))
                return try Self.nodes(bytes, of: id)
            } catch {
                guard error.code != .noDrive else { throw error }
                failure = error
            }
        }
        lose(key, failure)
        return nil
    }

    private static func nodes(
        _ bytes: [UInt8], of id: ContentID
    ) throws(RepositoryError) -> [TreeNode] {
        do throws(FormatError) { return try TreeCodec.decode(bytes) } catch {
            throw RepositoryError(.damaged, "folder \(id.short) cannot be read: \(error.detail)")
        }
    }
}
