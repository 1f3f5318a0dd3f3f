/// Port: where a run keeps, beside its checkpoints, which files it has read whole.
///
/// A run that is killed writes no snapshot. What stands in its list need not be read from the
/// phone again: the next run makes a partial snapshot of it, in which it then finds the files as
/// in any other. One list serves one phone; each capture has its own part.
package protocol ReadList: Sendable {
    /// Adds `files`, whose content is durable and indexed; durably. `notes` are the bytes of the
    /// capture's `/holdfast.json` as far as they are known; the first call's count.
    ///
    /// It never fails: a list that cannot be kept costs a second reading at worst, and whoever
    /// keeps it tells people so.
    func add(_ files: [ReadFiles], notes: [UInt8], of capture: Capture) async
    /// What a run that has ended without a snapshot has listed; nil when there is nothing.
    func left(of capture: Capture) async -> LeftReadList?
    /// Forgets the capture's list: its files are in a snapshot, or are not to be in one.
    func forget(_ capture: Capture) async
}

/// Files of one folder that were read whole.
package struct ReadFiles: Hashable, Sendable {
    /// The folder's path from the snapshot's root.
    package let folder: EntryPath
    /// The files as they stand in the run's tree.
    package var nodes: [TreeNode]

    /// Files and where they are.
    package init(folder: EntryPath, nodes: [TreeNode]) {
        self.folder = folder
        self.nodes = nodes
    }
}

/// The list that an ended run left.
package struct LeftReadList: Sendable {
    /// The run that wrote it.
    package let run: RunID
    /// See ``ReadList/add(_:notes:of:)``.
    package let notes: [UInt8]
    private let pull: @Sendable () async -> ReadFiles?

    /// A list whose files `next` gives, in the order they were listed; nil at its end, which is
    /// also where the writing was cut short.
    package init(run: RunID, notes: [UInt8], next: @escaping @Sendable () async -> ReadFiles?) {
        self.run = run
        self.notes = notes
        pull = next
    }

    /// The next files, or nil at the end; then it is not called again.
    package func next() async -> ReadFiles? { await pull() }
}
