package import BackupCore

/// All entries of a snapshot's tree, a folder before what is in it, names in the order of their
/// bytes; one folder per level is in memory.
///
/// Names come as they stand in the tree, which another program may have written: hostile.
package struct TreeWalk: AsyncSequence, Sendable {
    /// One entry and where it stands.
    package struct Element: Sendable {
        /// The path from the snapshot's root.
        package let path: EntryPath
        package let node: TreeNode
    }

    package typealias Failure = RepositoryError

    /// Folders within folders; deeper is `limitExceeded`. A tree cannot contain itself, but it
    /// can be made very deep.
    package static let depthLimit = 512

    private let repository: any SnapshotRepository
    private let tree: ContentID
    private let path: EntryPath

    /// The entries beneath the folder stored as `tree`; `path` is put before every path.
    package init(
        _ tree: ContentID, at path: EntryPath = .root, in repository: any SnapshotRepository
    ) {
        self.tree = tree
        self.path = path
        self.repository = repository
    }

    package func makeAsyncIterator() -> Iterator {
        Iterator(repository: repository, next: (path, tree))
    }

    /// The walk's place.
    package struct Iterator: AsyncIteratorProtocol {
        fileprivate let repository: any SnapshotRepository
        /// The folder to enter before going on.
        fileprivate var next: (path: EntryPath, tree: ContentID)?
        private var open: [(path: EntryPath, nodes: ArraySlice<TreeNode>)] = []

        fileprivate init(
            repository: any SnapshotRepository, next: (path: EntryPath, tree: ContentID)
        ) {
            self.repository = repository
            self.next = next
        }

        package mutating func next(
            isolation actor: isolated (any Actor)?
        ) async throws(RepositoryError) -> Element? {
            if let folder = next {
                next = nil
                guard open.count < TreeWalk.depthLimit else {
                    throw RepositoryError(.limitExceeded, "a folder is too deep: \(folder.path)")
                }
                open.append((folder.path, try await repository.tree(folder.tree)[...]))
            }
            while let path = open.last?.path {
                guard let node = open[open.count - 1].nodes.popFirst() else {
                    open.removeLast()
                    continue
                }
                let element = Element(path: path.appending(node.name), node: node)
                if node.isDirectory, let subtree = node.subtree { next = (element.path, subtree) }
                return element
            }
            return nil
        }

        package mutating func next() async throws(RepositoryError) -> Element? {
            // Not nil, which would change the executor, and back, for every entry.
            try await next(isolation: #isolation)
        }
    }

    /// The entry at `path` of the tree, nil when there is none or `path` is the root.
    package static func node(
        at path: EntryPath, in tree: ContentID, of repository: any SnapshotRepository
    ) async throws(RepositoryError) -> TreeNode? {
        var folder: ContentID? = tree
        var found: TreeNode?
        for name in path.names {
            guard let current = folder else { return nil }
            found = try await repository.tree(current).first { $0.name == name }
            folder = found.flatMap { $0.isDirectory ? $0.subtree : nil }
            if found == nil { return nil }
        }
        return found
    }
}
