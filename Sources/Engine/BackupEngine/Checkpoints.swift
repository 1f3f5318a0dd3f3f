internal import BackupCore

/// Makes what one capture has read durable now and then, and lists the files that then are: after
/// a crash the next run reads anew what was read since the last checkpoint and nothing else.
///
/// An actor, because a file that takes longer than a checkpoint's interval asks from within its
/// reading.
actor Checkpoints {
    /// Files and blobs that may wait to be listed, so that a phone of a million small files is
    /// listed in bounded pieces (about 6 MB each).
    private static let weightLimit = 20_000

    private let parts: CaptureParts
    /// What is known of the phone and its storages.
    private var notes: [UInt8] = []
    private var nextTime: Duration?
    private var unlisted: [ReadFiles] = []
    private var weight = 0

    init(_ parts: CaptureParts) { self.parts = parts }

    /// Begins the reading of an attempt; what an earlier one read stays to be listed.
    func begin(notes: SnapshotNotes) {
        self.notes = notes.encoded()
        if nextTime == nil { scheduleNext() }
    }

    /// Notes a file that was read whole.
    func add(_ node: TreeNode, in folder: EntryPath) {
        if unlisted.last?.folder == folder {
            unlisted[unlisted.count - 1].nodes.append(node)
        } else {
            unlisted.append(ReadFiles(folder: folder, nodes: [node]))
        }
        weight += 1 + node.content.count
    }

    /// Writes a checkpoint when it is time for one.
    func saveWhenDue() async throws(RepositoryError) {
        let isDue = nextTime.map { parts.services.clock.elapsed() >= $0 } ?? false
        guard isDue || weight >= Self.weightLimit else { return }
        scheduleNext()
        try await parts.repository.checkpoint()
        guard !unlisted.isEmpty else { return }
        let listed = unlisted
        unlisted = []
        weight = 0
        await parts.services.readList?.add(listed, notes: notes, of: parts.capture)
    }

    /// `inner` with checkpoints between its pieces: the files before it wait no longer for it, and
    /// what is there of it already is known to the next run.
    nonisolated func during(_ inner: ByteSource<DeviceError>) -> ByteSource<DeviceError> {
        ByteSource(
            next: { () async throws(DeviceError) in
                // A repository that failed saves nothing more and says so at the next blob.
                try? await self.saveWhenDue()
                return try await inner.next()
            },
            close: { await inner.close() })
    }

    private func scheduleNext() {
        nextTime = parts.services.clock.elapsed() + parts.request.checkpointInterval
    }
}
