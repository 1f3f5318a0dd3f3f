internal import BackupCore

/// The snapshots that a capture is compared with, the one to ask first standing first.
struct ParentTrees {
    /// What a parent is.
    enum Role {
        /// What this run itself had read before the phone went away.
        case interim
        /// The newest snapshot that was cut short or held.
        case partial
        /// The newest complete snapshot; the shrink guard measures against it.
        case complete
    }

    struct Parent {
        let role: Role
        let tree: ContentID
    }

    private(set) var parents: [Parent] = []
    /// The snapshot that the new one names as its parent.
    private(set) var base: Snapshot?
    /// The newest snapshot of any phone: the next one must be newer, whatever the clock says.
    private(set) var newestTime: Timestamp?

    /// No parents.
    init() {}

    /// The parents of a phone's capture. A partial snapshot that a complete one followed is
    /// superseded: its entries are in that one, or were removed on the phone since.
    init(of phone: PhoneID, capture: Capture, among snapshots: [Snapshot]) {
        newestTime = snapshots.map(\.time).max()
        var partial: Snapshot?
        for snapshot in snapshots where snapshot.phone == phone && snapshot.capture == capture {
            if snapshot.isPartial {
                partial = snapshot
            } else {
                base = snapshot
                partial = nil
            }
        }
        if let partial { parents.append(Parent(role: .partial, tree: partial.tree)) }
        if let base { parents.append(Parent(role: .complete, tree: base.tree)) }
        base = base ?? partial
    }

    /// The same parents with what this run has read so far before them.
    mutating func putFirst(interim tree: ContentID) {
        parents.removeAll { $0.role == .interim }
        parents.insert(Parent(role: .interim, tree: tree), at: 0)
    }

    /// The root folder as each parent has it.
    var root: ParentFolder { ParentFolder(roles: parents.map(\.role), trees: parents.map(\.tree)) }
}

/// One folder as each parent has it; a parent that lacks it has nil.
struct ParentFolder {
    let roles: [ParentTrees.Role]
    let trees: [ContentID?]

    /// Whether any parent has the folder.
    var exists: Bool { trees.contains { $0 != nil } }
}

/// One folder's entries as each parent has them, in memory.
struct ParentEntries {
    let folder: ParentFolder
    /// Parallel to the folder's roles.
    let byName: [[EntryName: TreeNode]]
    /// Whether a parent's folder could not be read.
    let isDamaged: Bool

    /// A parent's folder that is damaged or missing counts as empty: its files are read again. An
    /// error means that the repository as a whole is not to be had.
    static func load(
        _ folder: ParentFolder, from repository: any SnapshotRepository
    ) async throws(Interruption) -> ParentEntries {
        var byName: [[EntryName: TreeNode]] = []
        var isDamaged = false
        for tree in folder.trees {
            guard let tree else {
                byName.append([:])
                continue
            }
            do {
                byName.append(LoadedTree(id: tree, nodes: try await repository.tree(tree)).byName)
            } catch {
                guard [.damaged, .missing, .limitExceeded].contains(error.code) else {
                    throw Interruption(error)
                }
                isDamaged = true
                byName.append([:])
            }
        }
        return ParentEntries(folder: folder, byName: byName, isDamaged: isDamaged)
    }

    /// All names, in the order of their bytes.
    var names: [EntryName] { Set(byName.flatMap(\.keys)).sorted() }

    /// The entry of parent number `index`.
    func node(_ name: EntryName, parent index: Int) -> TreeNode? {
        byName.indices.contains(index) ? byName[index][name] : nil
    }

    /// The entry of the complete parent.
    func complete(_ name: EntryName) -> TreeNode? {
        folder.roles.firstIndex(of: .complete).flatMap { byName[$0][name] }
    }

    /// The entry of the first parent that has it; what this run read itself is left out.
    func previous(_ name: EntryName) -> TreeNode? {
        for index in byName.indices where folder.roles[index] != .interim {
            if let node = byName[index][name] { return node }
        }
        return nil
    }

    /// The entry of the first parent that has it, what this run read itself standing first.
    func latest(_ name: EntryName) -> TreeNode? {
        for entries in byName {
            if let node = entries[name] { return node }
        }
        return nil
    }

    /// A folder beneath, as each parent has it.
    func folder(_ name: EntryName) -> ParentFolder {
        ParentFolder(
            roles: folder.roles,
            trees: byName.map { entries in
                guard let node = entries[name], node.isDirectory else { return nil }
                return node.subtree
            })
    }
}
