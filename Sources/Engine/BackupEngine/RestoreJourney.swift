internal import BackupCore

/// The way of a restore, with what it has done so far.
struct RestoreJourney {
    /// Why a restore ends before its end.
    enum End: Error {
        case repository(RepositoryError)
        case target(RestoreError)
        case cancelled
    }

    /// Something to restore; a nil node is the whole tree.
    struct Selected {
        let path: EntryPath
        let node: TreeNode?
    }

    /// What is done in the order of the tree, whatever is at work beside it.
    private enum Step: Sendable {
        case file(TreeNode, at: EntryPath)
        /// A folder gets its date when all in it is there.
        case finish(TreeNode, at: EntryPath)
    }

    private let run: RestoreRun
    var report: RestoreReport
    private var progress = RunProgress(phase: .restoring)
    /// Gathered over the folders: with a few photos in each, waiting at the end of every folder
    /// left a processor idle. So many that a large file has others beside it for all of its time;
    /// a step takes some hundred bytes of memory.
    private var steps: [Step] = []
    private static let stepsGathered = 8192
    /// Folders that were made only because something beneath them was selected.
    private var above: Set<EntryPath> = []
    /// Enough that two processors, a drive and the target have work between them. Each file has
    /// at most two blobs (16 MiB) in memory.
    private static let filesAtOnce = 4
    private static let impossibleName = "Its name cannot be made in a folder."

    init(_ run: RestoreRun) {
        self.run = run
        report = RestoreReport(run: run.request.run, started: run.clock.now())
    }

    /// The entries asked for; a path within another one asked for comes once. A path that is not
    /// in the snapshot ends the restore before anything is written.
    func select() async throws(End) -> [Selected] {
        var selected: [Selected] = []
        for path in run.request.paths.sorted() {
            if path == .root { return [Selected(path: .root, node: nil)] }
            if let last = selected.last, path.isWithin(last.path) { continue }
            let node: TreeNode?
            do {
                node = try await TreeWalk.node(at: path, in: run.request.tree, of: run.repository)
            } catch {
                throw .repository(error)
            }
            guard let node else {
                throw .repository(
                    RepositoryError(.notFound, "There is no \(path) in this snapshot"))
            }
            selected.append(Selected(path: path, node: node))
        }
        return run.request.paths.isEmpty ? [Selected(path: .root, node: nil)] : selected
    }

    /// Counts files and bytes, so that progress can tell how much is left. Trees that cannot be
    /// read are met again by the restore itself, which names them.
    mutating func countWhatIsToCome(_ selection: [Selected]) async throws(End) {
        var files = 0
        var bytes: UInt64 = 0
        for entry in selection {
            if entry.node?.kind == .file {
                files += 1
                bytes.addSaturating(entry.node?.byteCount ?? 0)
            }
            guard let tree = entry.node.map({ $0.subtree }) ?? run.request.tree else { continue }
            var walk = TreeWalk(tree, in: run.repository).makeAsyncIterator()
            do throws(RepositoryError) {
                while let element = try await walk.next() {
                    guard !Task.isCancelled else { throw RepositoryError(.cancelled, "") }
                    guard element.node.kind == .file else { continue }
                    files += 1
                    bytes.addSaturating(element.node.byteCount)
                }
            } catch {
                if error.code == .cancelled { throw .cancelled }
                if error.code == .noDrive { throw .repository(error) }
                return
            }
        }
        progress.filesTotal = files
        progress.bytesTotal = bytes
    }

    /// Restores one selected entry; the folders above it are made first.
    mutating func restoreSelected(_ entry: Selected) async throws(End) {
        guard let node = entry.node else {
            try await restoreContent(of: run.request.tree, at: .root, depth: 0)
            return try await takeSteps()
        }
        guard entry.path.names.allSatisfy(\.isTreeName) else {
            return fail(entry.path, Self.impossibleName)
        }
        var parent = EntryPath.root
        for name in entry.path.parent.names {
            parent = parent.appending(name)
            guard try await make(parent) else { return }
            above.insert(parent)
        }
        try await restore(node, at: entry.path, depth: 0)
        try await takeSteps()
    }

    /// Gives the folders above what was selected their dates, the deepest first.
    mutating func finishFoldersAbove() async throws(End) {
        for path in above.sorted(by: { $0.names.count > $1.names.count }) {
            let node: TreeNode?
            do {
                node = try await TreeWalk.node(at: path, in: run.request.tree, of: run.repository)
            } catch {
                throw .repository(error)
            }
            if let node { try await finish(path, node) }
        }
    }

    private mutating func finish(_ path: EntryPath, _ node: TreeNode) async throws(End) {
        do {
            try await run.target.finishDirectory(path, modified: node.modified, mode: node.mode)
        } catch {
            try note(error, path)
        }
    }

    private mutating func restore(
        _ node: TreeNode, at path: EntryPath, depth: Int
    ) async throws(End) {
        guard !Task.isCancelled else { throw .cancelled }
        guard node.name.isTreeName else {
            return fail(path, Self.impossibleName)
        }
        switch node.kind {
        case .file: try await gather(.file(node, at: path))
        case .directory:
            guard depth < TreeWalk.depthLimit else { return fail(path, "It lies too deep.") }
            guard try await make(path) else { return }
            report.directories += 1
            if let subtree = node.subtree {
                try await restoreContent(of: subtree, at: path, depth: depth + 1)
            }
            try await gather(.finish(node, at: path))
        case .symbolicLink: fail(path, "It is a symbolic link, which is not restored.")
        case .other(let kind):
            fail(path, "It is a \(HostileText.escaped(kind, limit: 40)), which is not restored.")
        }
    }

    private mutating func restoreContent(
        of tree: ContentID, at path: EntryPath, depth: Int
    ) async throws(End) {
        let nodes: [TreeNode]
        do {
            nodes = try await run.repository.tree(tree)
        } catch {
            if error.code == .cancelled { throw .cancelled }
            if error.code == .noDrive { throw .repository(error) }
            return fail(path, "The folder's content cannot be read: \(error.whatHappened)")
        }
        for node in nodes { try await restore(node, at: path.appending(node.name), depth: depth) }
    }

    private mutating func make(_ path: EntryPath) async throws(End) -> Bool {
        do {
            try await run.target.makeDirectory(path)
            return true
        } catch {
            try note(error, path)
            return false
        }
    }

    private mutating func gather(_ step: Step) async throws(End) {
        steps.append(step)
        if steps.count >= Self.stepsGathered { try await takeSteps() }
    }

    /// Restores what is gathered, several files at once, so that the drives are read, content is
    /// opened on every processor and the target is written at the same time. What became of them
    /// is noted in their order.
    private mutating func takeSteps() async throws(End) {
        let run = run
        let taken = steps
        steps = []
        try await inOrder(taken, width: Self.filesAtOnce, ahead: taken.count) {
            step -> RestoredFile.Outcome? in
            guard case .file(let node, let path) = step else { return nil }
            return await RestoredFile(node, at: path).write(run)
        } use: { step, outcome throws(End) in
            switch step {
            case .file(let node, let path):
                if let outcome { try await finished(node, at: path, outcome) }
            case .finish(let node, let path): try await finish(path, node)
            }
        }
    }

    private mutating func finished(
        _ node: TreeNode, at path: EntryPath, _ outcome: RestoredFile.Outcome
    ) async throws(End) {
        switch outcome {
        case .impossibleName: return fail(path, Self.impossibleName)
        case .cancelled: throw .cancelled
        case .done:
            report.files += 1
            report.bytes += node.byteCount
        case .failed(let error):
            if error.code == .source { try await endWhenNoDriveIsLeft(node) }
            try note(error, path)
        }
        progress.filesDone += 1
        progress.bytesDone.addSaturating(node.byteCount)
        run.events(.progress(progress))
    }

    /// A file that cannot be read is one file; no drive at all is the end. The target's error does
    /// not tell the two apart, so the drives are asked once more.
    private func endWhenNoDriveIsLeft(_ node: TreeNode) async throws(End) {
        for id in node.content {
            do {
                _ = try await run.repository.blob(id)
            } catch {
                if error.code == .noDrive { throw .repository(error) }
                return
            }
        }
    }

    private mutating func note(_ error: RestoreError, _ path: EntryPath) throws(End) {
        guard !error.endsTheRestore else { throw .target(error) }
        fail(path, error.detail + ".")
    }

    private mutating func fail(_ path: EntryPath, _ reason: String) {
        report.failedCount += 1
        if report.failed.count < RestoreRun.namedFailures {
            report.failed.append(.init(path: path, reason: reason))
        }
        run.events(.notice(RunNotice(code: "not_restored", message: reason, path: path)))
    }

    /// Notes why the restore ended early.
    mutating func end(_ end: End) {
        switch end {
        case .repository(let error):
            report.outcomes.insert(error.exitCode)
            report.messages.append("\(error.whatHappened) \(error.whatToDo)")
        case .target(let error):
            report.outcomes.insert(.notAllRestored)
            report.messages.append("\(error.whatHappened) \(error.whatToDo)")
        case .cancelled:
            report.outcomes.insert(.interrupted)
            report.messages.append(
                "The restore was interrupted after \(Counted.files(report.files)).")
        }
    }

    /// The outcomes of a restore that reached its end.
    mutating func conclude() {
        if report.failedCount > 0 {
            report.outcomes.insert(.notAllRestored)
            report.messages.append(
                "\(Counted.entries(report.failedCount)) could not be restored; the report names each."
            )
        }
        guard report.outcomes.isEmpty else { return }
        report.outcomes = [.done]
        report.messages = [
            "Restored \(Counted.files(report.files)), \(ByteCount.text(report.bytes))."
        ]
    }
}
