internal import BackupCore

/// What a run was killed over: its list of files becomes a partial snapshot, like that of any run
/// that was cut short, and the look-up in the newest partial does the rest.
///
/// A crash at any moment of it is harmless: the list goes last, and a list whose run has a
/// snapshot already is only removed.
struct KilledRun {
    let parts: CaptureParts

    /// Saves what is left of an ended run, if anything is.
    func save() async throws(Interruption) {
        guard let list = parts.services.readList, let left = await list.left(of: parts.capture)
        else { return }
        let repository = parts.repository
        let snapshots = try await stored { () async throws(RepositoryError) in
            try await repository.snapshots()
        }
        let isSaved = snapshots.contains {
            $0.run == left.run && $0.phone == parts.request.phone && $0.capture == parts.capture
        }
        if !isSaved { try await save(left, list, among: snapshots) }
        await list.forget(parts.capture)
    }

    private func save(
        _ left: LeftReadList, _ list: any ReadList, among snapshots: [Snapshot]
    ) async throws(Interruption) {
        let parents = ParentTrees(
            of: parts.request.phone, capture: parts.capture, among: snapshots)
        // Only the newest partial is looked into later, so it must hold the one before it too.
        let base = parents.parents.first { $0.role == .partial }?.tree
        var found: (tree: ContentID, files: Int)?
        do throws(RepositoryError) {
            found = try await tree(of: left, over: base)
        } catch {
            // A base that is damaged, or in which a file stands where now a folder is.
            guard [.damaged, .missing, .limitExceeded, .notFound].contains(error.code), base != nil
            else { throw Interruption(error) }
            guard let again = await list.left(of: parts.capture) else { return }
            found = try await stored { () async throws(RepositoryError) in
                try await self.tree(of: again, over: nil)
            }
        }
        guard let found else { return }
        try await commit(found.tree, of: left.run, over: parents.base, among: snapshots)
        parts.notice(
            "run_continued",
            "An earlier run ended in the middle. \(Counted.files(found.files)) that it had read "
                + "are kept in a partial snapshot and are not read again unless they changed.")
    }

    /// The tree of the listed files whose content is there; nil when none is. One folder and its
    /// ancestors are in memory: a list is in the order of reading, folder by folder.
    private func tree(
        of left: LeftReadList, over base: ContentID?
    ) async throws(RepositoryError) -> (tree: ContentID, files: Int)? {
        let repository = parts.repository
        let builder = TreeSnapshotBuilder(repository: repository, parent: base)
        var newest = try await builder.stat(SnapshotNotes.path)?.modified ?? .zero
        var open = EntryPath.root
        var count = 0
        while let files = await left.next() {
            while !files.folder.isWithin(open) {
                try await builder.finishDirectory(open)
                open = open.parent
            }
            open = files.folder
            var latest = Timestamp.zero
            for node in files.nodes where node.kind == .file {
                guard await repository.holds(node.content) else { continue }
                try await builder.keep(node, at: open.appending(node.name))
                latest = max(latest, node.modified)
                count += 1
            }
            // The phone's date of the folder comes with the listing; this stands for it.
            if latest > .zero { try await builder.makeDirectory(open, modified: latest) }
            newest = max(newest, latest)
        }
        guard count > 0 else { return nil }
        do throws(SaveError) {
            try await OwnFile.put(left.notes, newest: newest, into: builder)
        } catch {
            // The notes come from memory, so only the repository can fail.
            if case .repository(let failure) = error { throw failure }
        }
        return (try await builder.finish(), count)
    }

    private func commit(
        _ tree: ContentID, of run: RunID, over parent: Snapshot?, among snapshots: [Snapshot]
    ) async throws(Interruption) {
        let clock = parts.services.clock
        let draft = SnapshotDraft.of(
            phone: parts.request.phone, capture: parts.capture, run: run, partial: true,
            tree: tree, parent: parent?.id,
            time: SnapshotTime.next(now: clock.now(), after: snapshots.map(\.time).max()),
            utcOffsetSeconds: clock.utcOffsetSeconds(), hostname: parts.request.hostname)
        let repository = parts.repository
        _ = try await stored { () async throws(RepositoryError) in
            try await repository.commit(draft)
        }
    }
}
