internal import BackupCore

/// Counts how the files of one tree differ from another's; folders that are equal are not entered.
struct TreeComparison {
    private let repository: any SnapshotRepository
    private(set) var files = BackupReport.Files()
    private(set) var newest = Timestamp.zero

    private init(_ repository: any SnapshotRepository) { self.repository = repository }

    /// Compares `after` with `before`, which is nil for a first snapshot.
    static func counts(
        from before: ContentID?, to after: ContentID, in repository: any SnapshotRepository
    ) async throws(RepositoryError) -> BackupReport.Files {
        var comparison = TreeComparison(repository)
        try await comparison.compare(before, after, at: .root)
        return comparison.files
    }

    /// The newest date of any entry of a tree.
    static func newestDate(
        in tree: ContentID, of repository: any SnapshotRepository
    ) async throws(RepositoryError) -> Timestamp {
        var newest = Timestamp.zero
        var walk = TreeWalk(tree, in: repository).makeAsyncIterator()
        while let element = try await walk.next() {
            guard element.path != SnapshotNotes.path else { continue }
            newest = max(newest, element.node.modified)
        }
        return newest
    }

    private mutating func compare(
        _ before: ContentID?, _ after: ContentID?, at path: EntryPath
    ) async throws(RepositoryError) {
        let old = try await entries(before)
        let new = try await entries(after)
        for name in Set(old.keys).union(new.keys) {
            let here = path.appending(name)
            // Reports count the phone's files, not ours.
            guard here != SnapshotNotes.path else { continue }
            let (was, now) = (old[name], new[name])
            if now?.kind == .file || was?.kind == .file { count(was, now) }
            let (from, to) = (was?.subtree, now?.subtree)
            guard from != nil || to != nil else { continue }
            if from == to {
                try await countUnchanged(to)
            } else {
                try await compare(from, to, at: here)
            }
        }
    }

    private mutating func count(_ was: TreeNode?, _ now: TreeNode?) {
        switch (was?.kind == .file, now?.kind == .file) {
        case (false, true): files.new += 1
        case (true, false): files.removed += 1
        default:
            if was?.content == now?.content { files.unchanged += 1 } else { files.changed += 1 }
        }
    }

    private mutating func countUnchanged(_ tree: ContentID?) async throws(RepositoryError) {
        guard let tree else { return }
        var walk = TreeWalk(tree, in: repository).makeAsyncIterator()
        while let element = try await walk.next() {
            if element.node.kind == .file { files.unchanged += 1 }
        }
    }

    private func entries(
        _ tree: ContentID?
    ) async throws(RepositoryError) -> [EntryName: TreeNode] {
        guard let tree else { return [:] }
        let nodes = try await repository.tree(tree)
        return LoadedTree(id: tree, nodes: nodes).byName
    }
}
