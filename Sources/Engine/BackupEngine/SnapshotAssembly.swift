internal import BackupCore

/// Builds a snapshot's tree from a plan: keeps what is unchanged, reads what is not.
///
/// When reading breaks off, ``confirmRest()`` keeps what the plan has confirmed and is not yet
/// in the tree, without the phone: a partial snapshot lacks only what was not read.
final class SnapshotAssembly {
    private let parts: CaptureParts
    private let plan: PhonePlan
    /// The root folder as the parents have it.
    private let root: ParentFolder
    /// Whether entries that are gone from the phone stay, because the shrink guard holds them.
    private let keepsMissing: Bool
    private let givenUp: Set<EntryPath>
    private let meter: ReadMeter
    private let checkpoints: Checkpoints
    /// nil once the phone is not to be asked any more.
    private var media: (any MediaSource)?

    let builder: TreeSnapshotBuilder
    private(set) var files = BackupReport.Files()
    private(set) var skipped = SkippedEntries()
    private(set) var newest = Timestamp.zero
    /// Files in the tree.
    private(set) var fileCount = 0
    /// Files read whole.
    private(set) var filesRead = 0
    /// Storages of the parent kept although they are away.
    private(set) var keptStorages: [EntryName] = []
    /// The entry being read, for telling at which one a phone went away.
    private(set) var position = EntryPath.root
    /// What is in the tree already, in folders that are still open.
    private var done: [EntryPath: Set<EntryName>] = [:]

    init(
        _ parts: CaptureParts, plan: PhonePlan, root: ParentFolder, media: any MediaSource,
        meter: ReadMeter, checkpoints: Checkpoints, keepsMissing: Bool, givenUp: Set<EntryPath>
    ) {
        self.parts = parts
        self.plan = plan
        self.root = root
        self.media = media
        self.meter = meter
        self.checkpoints = checkpoints
        self.keepsMissing = keepsMissing
        self.givenUp = givenUp
        builder = TreeSnapshotBuilder(repository: parts.repository)
    }

    /// Reads and keeps everything. After an interruption only ``confirmRest()`` may follow.
    func assemble() async throws(Interruption) {
        if media != nil { meter.begin(files: plan.filesToRead, bytes: plan.bytesToRead) }
        for storage in plan.storages {
            _ = try await add(storage, at: EntryPath([storage.name]))
        }
        guard keepsMissing else { return }
        let entries = try await ParentEntries.load(root, from: parts.repository)
        let present = Set(plan.storages.map(\.name))
        for name in entries.names where !present.contains(name) {
            guard entries.latest(name)?.isDirectory == true else { continue }
            keptStorages.append(name)
            _ = try await keepMissing([name], of: entries, at: .root)
        }
    }

    /// Whether the phone can still be asked.
    var hasPhone: Bool { media != nil }

    /// Goes on without the phone.
    func confirmRest() async throws(Interruption) {
        media = nil
        try await assemble()
    }

    /// Adds a folder; returns the newest date in it.
    private func add(
        _ folder: PhonePlan.Folder, at path: EntryPath
    ) async throws(Interruption) -> Timestamp {
        if isDone(path) { return .zero }
        let entries = try await ParentEntries.load(folder.parents, from: parts.repository)
        var latest = Timestamp.zero
        if folder.isListed {
            for file in folder.keeps {
                latest = max(latest, try await keep(file, of: entries, at: path))
            }
            for file in folder.reads {
                latest = max(latest, try await read(file, of: entries, at: path))
            }
            for child in folder.folders {
                latest = max(latest, try await add(child, at: path.appending(child.name)))
            }
            if keepsMissing || !folder.isWhole {
                let here = folder.names
                let missing = entries.names.filter { !here.contains($0) }
                latest = max(latest, try await keepMissing(missing, of: entries, at: path))
            }
        } else {
            latest = try await keepMissing(entries.names, of: entries, at: path)
        }
        // Where the phone tells no date of a folder, the newest within it stands for it.
        let date = folder.modified == .zero ? latest : folder.modified
        try await finish(path, modified: date)
        return max(latest, date)
    }

    private func finish(_ path: EntryPath, modified: Timestamp) async throws(Interruption) {
        newest = max(newest, modified)
        try await stored { () async throws(RepositoryError) in
            try await self.builder.makeDirectory(path, modified: modified)
            try await self.builder.finishDirectory(path)
        }
        done[path] = nil
        _ = markDone(path)
    }

    private func isDone(_ path: EntryPath) -> Bool {
        done[path.parent]?.contains(path.last ?? "") ?? false
    }

    /// Returns false when it was done already.
    private func markDone(_ path: EntryPath) -> Bool {
        done[path.parent, default: []].insert(path.last ?? "").inserted
    }
}

extension SnapshotAssembly {
    private func keep(
        _ file: PhonePlan.FileToKeep, of entries: ParentEntries, at folder: EntryPath
    ) async throws(Interruption) -> Timestamp {
        let path = folder.appending(file.name)
        guard let node = entries.node(file.name, parent: file.parent) else { return .zero }
        guard markDone(path) else { return node.modified }
        try await place(node, at: path)
        count(file.standing)
        return node.modified
    }

    private func read(
        _ file: PhonePlan.FileToRead, of entries: ParentEntries, at folder: EntryPath
    ) async throws(Interruption) -> Timestamp {
        let path = folder.appending(file.name)
        guard let media, !isDone(path) else { return .zero }
        try stopWhenCancelled()
        position = path
        let latest = entries.latest(file.name)
        guard !givenUp.contains(path) else { return try await skip(path, .interrupts, latest) }
        try await stored { [checkpoints] () async throws(RepositoryError) in
            try await checkpoints.saveWhenDue()
        }
        let source: ByteSource<DeviceError>
        do {
            source = try await media.read(file.entry)
        } catch {
            return try await failed(error, latest, at: path)
        }
        do {
            let saved = try await save(file, from: source, in: folder)
            finishFile(file, saved, previous: entries.previous(file.name), at: path)
            return file.entry.modified
        } catch {
            guard case .source(let device) = error else { throw Interruption(error) }
            return try await failed(device, latest, at: path)
        }
    }

    private func save(
        _ file: PhonePlan.FileToRead, from source: ByteSource<DeviceError>, in folder: EntryPath
    ) async throws(SaveError) -> SavedContent {
        let path = folder.appending(file.name)
        let counted = meter.counted(source, byteCount: file.entry.byteCount, path: path)
        let modified = file.entry.modified
        let saved = try await builder.put(
            checkpoints.during(counted), at: path, modified: modified)
        await checkpoints.add(
            .file(
                file.name, modified: modified, byteCount: saved.byteCount, content: saved.content),
            in: folder)
        return saved
    }

    private func finishFile(
        _ file: PhonePlan.FileToRead, _ saved: SavedContent, previous: TreeNode?,
        at path: EntryPath
    ) {
        newest = max(newest, file.entry.modified)
        filesRead += 1
        fileCount += 1
        _ = markDone(path)
        // Read although unchanged (--reread, or its blobs were damaged): the content decides.
        let differs = file.standing == .unchanged && previous?.content != saved.content
        count(differs ? .changed : file.standing)
        meter.fileDone()
    }

    /// One entry's failure is a result; any other ends the reading.
    private func failed(
        _ error: DeviceError, _ latest: TreeNode?, at path: EntryPath
    ) async throws(Interruption) -> Timestamp {
        guard error.concernsOneEntry, !Task.isCancelled else { throw Interruption(error) }
        return try await skip(path, error.code == .wrongSize ? .wrongSize : .unreadable, latest)
    }

    /// Names an entry that cannot be read and keeps what the parent has of it.
    private func skip(
        _ path: EntryPath, _ reason: SkippedEntries.Reason, _ previous: TreeNode?
    ) async throws(Interruption) -> Timestamp {
        _ = markDone(path)
        files.skipped += 1
        meter.fileDone()
        parts.notice("entry_skipped", reason.sentence, path: path)
        guard let previous, previous.kind == .file else {
            skipped.add(path, reason)
            return .zero
        }
        guard await parts.repository.holds(previous.content) else {
            skipped.add(path, .previousDamaged)
            return .zero
        }
        skipped.add(path, reason)
        try await place(previous, at: path)
        return previous.modified
    }

    /// Keeps entries that the phone does not list now, all parents laid over each other.
    private func keepMissing(
        _ names: [EntryName], of entries: ParentEntries, at folder: EntryPath
    ) async throws(Interruption) -> Timestamp {
        var latest = Timestamp.zero
        for name in names {
            guard let node = entries.latest(name), node.name.isTreeName else { continue }
            let path = folder.appending(name)
            guard !isDone(path) else { continue }
            if node.isDirectory {
                let beneath = try await ParentEntries.load(
                    entries.folder(name), from: parts.repository)
                let within = try await keepMissing(beneath.names, of: beneath, at: path)
                try await finish(path, modified: node.modified)
                latest = max(latest, within, node.modified)
            } else if await parts.repository.holds(node.content) {
                try await place(node, at: path)
                _ = markDone(path)
                latest = max(latest, node.modified)
            } else {
                files.skipped += 1
                skipped.add(path, .previousDamaged)
            }
        }
        return latest
    }

    private func place(_ node: TreeNode, at path: EntryPath) async throws(Interruption) {
        newest = max(newest, node.modified)
        fileCount += 1
        try await stored { () async throws(RepositoryError) in
            try await self.builder.keep(node, at: path)
        }
    }

    private func count(_ standing: PhonePlan.Standing) {
        switch standing {
        case .new: files.new += 1
        case .changed: files.changed += 1
        case .unchanged: files.unchanged += 1
        }
    }
}
