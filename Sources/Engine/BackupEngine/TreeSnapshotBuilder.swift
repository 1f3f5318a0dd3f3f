package import BackupCore

/// The one ``SnapshotBuilder``: a tree over a parent's tree or over nothing, in a repository.
///
/// Only open folders and changes are in memory. ``finishDirectory(_:)`` stores a folder early, so
/// that a walk of a million files holds no more than the folders it is in. Calls come one at a
/// time, as a journey makes them; a call that fails changes no file.
package actor TreeSnapshotBuilder: SnapshotBuilder {
    /// The deepest path accepted; a phone's own limit is far lower.
    package static let maximumDepth = 256
    /// Recently read trees kept for look-ups; a phone that drives us stays in a few folders.
    private static let cachedTrees = 8

    /// Bytes of content put so far.
    package private(set) var receivedBytes: UInt64 = 0

    private let repository: any SnapshotRepository
    private let root: BuilderFolder
    private var cache: [LoadedTree] = []

    /// A builder over the tree `parent`, or over nothing.
    package init(repository: any SnapshotRepository, parent: ContentID? = nil) {
        self.repository = repository
        root = BuilderFolder(base: parent)
    }

    /// A folder's entries in the order of their names. A folder that is being changed has no
    /// `subtree` yet. `notFound` when there is no folder at `path`.
    package func list(_ path: EntryPath) async throws(RepositoryError) -> [TreeNode] {
        guard path != .root else { return try await entries(of: root) }
        switch try await entry(at: path) {
        case .open(let folder): return try await entries(of: folder)
        case .node(let node) where node.isDirectory:
            guard let subtree = node.subtree else { return [] }
            return try await loaded(subtree).nodes
        default: throw RepositoryError(.notFound, "there is no folder \(path) in this snapshot")
        }
    }

    /// See ``SnapshotBuilder/stat(_:)``; a folder that is being changed has no `subtree` yet.
    package func stat(_ path: EntryPath) async throws(RepositoryError) -> TreeNode? {
        switch try await entry(at: path) {
        case .open(let folder): folder.node(path.last ?? "", subtree: folder.base)
        case .node(let node): node
        default: nil
        }
    }

    package func read(
        _ path: EntryPath
    ) async throws(RepositoryError) -> ByteSource<RepositoryError> {
        guard case .node(let node)? = try await entry(at: path), node.kind == .file else {
            throw RepositoryError(.notFound, "there is no file \(path) in this snapshot")
        }
        return BlobSource.inOrder(node.content, from: repository)
    }

    package func makeDirectory(
        _ path: EntryPath, modified: Timestamp?
    ) async throws(RepositoryError) {
        let folder = try await open(path)
        if let modified { folder.modified = modified }
    }

    package func keep(_ node: TreeNode, at path: EntryPath) async throws(RepositoryError) {
        guard let name = path.last else {
            throw RepositoryError(.notFound, "the root of a snapshot cannot be replaced")
        }
        let folder = try await open(path.parent)
        try Self.check(name)
        var named = node
        named.name = name
        folder.changes[name] = .node(named)
    }

    package func put(
        _ source: ByteSource<DeviceError>, at path: EntryPath, modified: Timestamp
    ) async throws(SaveError) -> SavedContent {
        // The source is closed by `save`; the checks before it must not leave it open.
        do throws(RepositoryError) {
            guard let name = path.last else {
                throw RepositoryError(.notFound, "a file cannot be the root of a snapshot")
            }
            try Self.check(name)
            _ = try await open(path.parent)
        } catch {
            await source.close()
            throw .repository(error)
        }
        let saved = try await repository.save(source)
        receivedBytes += saved.byteCount
        let node = TreeNode.file(
            path.last ?? "", modified: modified, byteCount: saved.byteCount, content: saved.content)
        do { try await keep(node, at: path) } catch { throw .repository(error) }
        return saved
    }

    package func copy(
        _ path: EntryPath, to target: EntryPath
    ) async throws(RepositoryError) {
        guard path != target else { return }
        try await keep(try await storedNode(at: path), at: target)
    }

    package func move(
        _ path: EntryPath, to target: EntryPath
    ) async throws(RepositoryError) {
        guard path != target else { return }
        guard !target.isWithin(path), !path.isWithin(target) else {
            throw RepositoryError(.notFound, "\(path) cannot be moved into itself or its folder")
        }
        try await keep(try await storedNode(at: path), at: target)
        try await remove(path)
    }

    package func remove(_ path: EntryPath) async throws(RepositoryError) {
        guard let name = path.last else { return }
        // The entry itself is not looked for: a phone removes thousands in folders that would each
        // have to be read for it.
        switch try await entry(at: path.parent) {
        case .open(let folder):
            // Over nothing stored there is nothing to hide.
            folder.changes[name] = folder.base == nil ? nil : .removed
        case .node(let node) where node.isDirectory && node.subtree != nil:
            try await open(path.parent).changes[name] = .removed
        default: break
        }
    }

    package func freeBytes() async -> UInt64 { await repository.freeBytes() }

    /// Stores a folder with all beneath it now and forgets it; it can be opened again later.
    package func finishDirectory(_ path: EntryPath) async throws(RepositoryError) {
        guard let name = path.last, case .open(let folder)? = try await entry(at: path) else {
            return
        }
        let subtree = try await store(folder)
        try await open(path.parent).changes[name] = .node(folder.node(name, subtree: subtree))
    }

    /// See ``SnapshotBuilder/finish()``. The builder can be used further.
    package func finish() async throws(RepositoryError) -> ContentID { try await store(root) }
}

extension TreeSnapshotBuilder {
    private static func check(_ name: EntryName) throws(RepositoryError) {
        guard name.isTreeName else {
            throw RepositoryError(.limitExceeded, "\"\(name)\" cannot be a name in a snapshot")
        }
    }

    /// The open folder at `path`, made with its ancestors where missing.
    private func open(_ path: EntryPath) async throws(RepositoryError) -> BuilderFolder {
        guard path.names.count <= Self.maximumDepth else {
            throw RepositoryError(.limitExceeded, "a path is deeper than \(Self.maximumDepth)")
        }
        var folder = root
        for name in path.names {
            try Self.check(name)
            let next: BuilderFolder
            switch try await entry(name, in: folder) {
            case .open(let child): next = child
            case .node(let node) where node.isDirectory: next = BuilderFolder(node: node)
            case .node:
                throw RepositoryError(.notFound, "a file stands where \(path) needs a folder")
            case .removed, nil: next = BuilderFolder()
            }
            folder.changes[name] = .open(next)
            folder = next
        }
        return folder
    }

    private func entry(at path: EntryPath) async throws(RepositoryError) -> BuilderFolder.Change? {
        var current = BuilderFolder.Change.open(root)
        for name in path.names {
            let found: BuilderFolder.Change?
            switch current {
            case .open(let folder): found = try await entry(name, in: folder)
            case .node(let node):
                guard let subtree = node.subtree else { return nil }
                found = try await loaded(subtree).byName[name].map { .node($0) }
            case .removed: return nil
            }
            guard let found else { return nil }
            current = found
        }
        return current
    }

    private func entry(
        _ name: EntryName, in folder: BuilderFolder
    ) async throws(RepositoryError) -> BuilderFolder.Change? {
        if let change = folder.changes[name] {
            if case .removed = change { return nil }
            return change
        }
        guard let base = folder.base else { return nil }
        return try await loaded(base).byName[name].map { .node($0) }
    }

    private func entries(of folder: BuilderFolder) async throws(RepositoryError) -> [TreeNode] {
        var nodes: [TreeNode] = []
        if let base = folder.base {
            nodes = try await loaded(base).nodes.filter { !folder.changes.contains($0.name) }
        }
        nodes += folder.changes.nodes
        return nodes.sorted { $0.name < $1.name }
    }

    /// The entry with everything beneath it stored, so that its node tells all.
    private func storedNode(at path: EntryPath) async throws(RepositoryError) -> TreeNode {
        switch try await entry(at: path) {
        case .open(let folder):
            return folder.node(path.last ?? "", subtree: try await store(folder))
        case .node(let node): return node
        case .removed, nil:
            throw RepositoryError(.notFound, "there is no \(path) in this snapshot")
        }
    }

    private func store(_ folder: BuilderFolder) async throws(RepositoryError) -> ContentID {
        for (name, child) in folder.changes.openFolders {
            let subtree = try await store(child)
            folder.changes[name] = .node(child.node(name, subtree: subtree))
        }
        if folder.changes.isEmpty, let base = folder.base { return base }
        let id = try await repository.save(tree: try await entries(of: folder))
        folder.base = id
        folder.changes = FolderChanges()
        return id
    }

    private func loaded(_ id: ContentID) async throws(RepositoryError) -> LoadedTree {
        if let index = cache.firstIndex(where: { $0.id == id }) {
            let tree = cache.remove(at: index)
            cache.append(tree)
            return tree
        }
        let tree = LoadedTree(id: id, nodes: try await repository.tree(id))
        if cache.count >= Self.cachedTrees { cache.removeFirst() }
        cache.append(tree)
        return tree
    }
}
