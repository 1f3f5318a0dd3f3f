internal import BackupCore

/// One open folder of a ``TreeSnapshotBuilder``: what its tree had, and what has changed since.
///
/// Only the changes are in memory; the rest stays in the repository under `base`.
final class BuilderFolder {
    /// What stands under a name instead of what `base` has.
    enum Change {
        case removed
        case node(TreeNode)
        case open(BuilderFolder)
    }

    var modified: Timestamp
    var mode: UInt32?
    /// The tree the folder started from or was last stored as.
    var base: ContentID?
    var changes = FolderChanges()

    /// A new, empty folder.
    init() { modified = .zero }

    /// A folder over a stored one.
    init(node: TreeNode) {
        modified = node.modified
        mode = node.mode
        base = node.subtree
    }

    /// A root over a stored tree.
    init(base: ContentID?) {
        modified = .zero
        self.base = base
    }

    /// The folder as a node; `subtree` is nil while it is open.
    func node(_ name: EntryName, subtree: ContentID?) -> TreeNode {
        TreeNode(
            name: name, kind: .directory, modified: modified, mode: mode, byteCount: 0,
            content: [], subtree: subtree)
    }
}

/// A stored folder in memory, by name.
struct LoadedTree {
    let id: ContentID
    let nodes: [TreeNode]
    let byName: [EntryName: TreeNode]

    /// Of several nodes with one name, which only a foreign tree has, the first counts.
    init(id: ContentID, nodes: [TreeNode]) {
        self.id = id
        self.nodes = nodes
        byName = Dictionary(nodes.map { ($0.name, $0) }) { first, _ in first }
    }
}
