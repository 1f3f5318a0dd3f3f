package import BackupCore
package import ResticFormat

extension ResticSnapshotRepository {
    /// The snapshots that need any of `lost`, or a folder that cannot be read, oldest first. Each
    /// folder is visited once.
    package func snapshots(
        needing lost: Set<BlobKey>
    ) async throws(RepositoryError) -> [Snapshot] {
        let all = try await snapshots()
        var search = ConcernedFolders(lost: lost)
        for snapshot in all { await search.visit(snapshot.tree, in: self) }
        let concerned = search.concerned()
        return all.filter { concerned.contains($0.tree) }
    }
}

/// Which folders need a lost blob, themselves or through a folder in them.
private struct ConcernedFolders {
    let lost: Set<BlobKey>
    private var visited: Set<ContentID> = []
    /// The folders that hold a folder.
    private var parents: [ContentID: [ContentID]] = [:]
    /// Folders that are lost or hold a file that needs what is lost.
    private var direct: Set<ContentID> = []

    init(lost: Set<BlobKey>) { self.lost = lost }

    mutating func visit(_ root: ContentID, in repository: ResticSnapshotRepository) async {
        var pending = [root]
        while let tree = pending.popLast() {
            guard visited.insert(tree).inserted else { continue }
            // Why it cannot be read is told by the check that found out what is lost.
            guard !lost.contains(BlobKey(.tree, tree)),
                let nodes = try? await repository.tree(tree)
            else {
                direct.insert(tree)
                continue
            }
            for node in nodes {
                if node.content.contains(where: { lost.contains(BlobKey(.data, $0)) }) {
                    direct.insert(tree)
                }
                guard node.isDirectory, let subtree = node.subtree else { continue }
                parents[subtree, default: []].append(tree)
                pending.append(subtree)
            }
        }
    }

    /// All concerned folders, found upwards.
    func concerned() -> Set<ContentID> {
        var found: Set<ContentID> = []
        var pending = Array(direct)
        while let tree = pending.popLast() {
            guard found.insert(tree).inserted else { continue }
            pending += parents[tree] ?? []
        }
        return found
    }
}
