internal import BackupCore

/// One file of a restore on its way from the repository to the target.
struct RestoredFile: Sendable {
    /// What became of it.
    enum Outcome: Sendable {
        case done
        case impossibleName
        case failed(RestoreError)
        case cancelled
    }

    private let node: TreeNode
    private let path: EntryPath

    init(_ node: TreeNode, at path: EntryPath) {
        self.node = node
        self.path = path
    }

    /// Writes it whole, or leaves nothing under its name.
    func write(_ run: RestoreRun) async -> Outcome {
        guard !Task.isCancelled else { return .cancelled }
        guard node.name.isTreeName else { return .impossibleName }
        do throws(RestoreError) {
            if node.content.count > 1 {
                try await writeReadingAhead(run)
            } else {
                try await write(
                    run, from: BlobSource.inOrder(node.content, from: run.repository))
            }
            return .done
        } catch {
            return Task.isCancelled ? .cancelled : .failed(error)
        }
    }

    /// Writes the file while the next blob is read.
    private func writeReadingAhead(_ run: RestoreRun) async throws(RestoreError) {
        let queue = BlobQueue()
        async let filled: Void = queue.fill(node.content, from: run.repository)
        do {
            try await write(run, from: BlobSource.queued(queue))
        } catch {
            // A target that ended early may not have drained the queue: its reader must not wait.
            await queue.close()
            await filled
            throw error
        }
        await queue.close()
        await filled
    }

    private func write(
        _ run: RestoreRun, from source: ByteSource<RepositoryError>
    ) async throws(RestoreError) {
        try await run.target.writeFile(
            path, byteCount: node.byteCount, modified: node.modified, mode: node.mode,
            from: source)
    }
}
