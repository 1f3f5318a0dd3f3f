internal import BackupCore

/// Lists a phone folder by folder and compares each folder with the parents at once.
final class PhoneLister {
    private let media: any MediaSource
    private let repository: any SnapshotRepository
    private let names: NameMapping
    private let limits: ListingLimits
    private let readsAll: Bool
    /// Entries at which the phone went away more than once: named and left alone.
    private let givenUp: Set<EntryPath>
    private let events: RunEventSink

    private(set) var plan = PhonePlan()
    /// Where the listing is, for telling at which entry a phone went away.
    private(set) var position = EntryPath.root
    private var seen: Set<FolderReference> = []
    private var entryCount = 0

    init(_ parts: CaptureParts, media: any MediaSource, givenUp: Set<EntryPath>) {
        self.media = media
        self.givenUp = givenUp
        repository = parts.repository
        names = NameMapping(hash: parts.services.hash)
        limits = parts.request.listingLimits
        readsAll = parts.request.readsAll
        events = parts.services.events
    }

    /// Lists `storages`, each under its folder's name.
    func list(
        _ storages: [NamedStorage], parents: ParentFolder
    ) async throws(Interruption) {
        let root = try await ParentEntries.load(parents, from: repository)
        plan.parentIsDamaged = root.isDamaged
        plan.facts = storages.map(\.facts)
        for storage in storages {
            let known = plan.shrink
            let neededBefore = plan.bytesNeeded
            let folder = PhonePlan.Folder(
                name: storage.folder, modified: .zero, parents: root.folder(storage.folder))
            let reference = FolderReference(storage: storage.handle, object: nil)
            plan.storages.append(folder)
            try await list(reference, into: folder, path: EntryPath([storage.folder]), depth: 0)
            let had = plan.shrink.knownFiles > known.knownFiles
            let has =
                plan.shrink.listedFiles > known.listedFiles
                || plan.shrink.keptFiles > known.keptFiles
            // A storage cannot hold more than it has, whatever sizes its files announce.
            let total = storage.facts.totalBytes
            if total > 0 {
                plan.bytesNeeded = min(plan.bytesNeeded, neededBefore.addingSaturating(total))
            }
            if had, !has { plan.shrink.storageIsGone(storage.folder) }
        }
        try await countAbsentStorages(root, present: Set(storages.map(\.folder)))
        // Nothing listed and nothing to keep is no backup, whatever it would be called.
        if !plan.storages.contains(where: \.isListed), plan.shrink.keptFiles == 0 {
            throw .phone(DeviceError(.unreadable, "The phone could not list any of its storages"))
        }
    }

    private func countAbsentStorages(
        _ root: ParentEntries, present: Set<EntryName>
    ) async throws(Interruption) {
        for name in root.names where !present.contains(name) {
            guard root.previous(name)?.isDirectory == true else { continue }
            let known = plan.shrink.knownFiles
            try await count(root.folder(name), areGone: true)
            if plan.shrink.knownFiles > known { plan.shrink.storageIsGone(name) }
        }
    }

    private func list(
        _ reference: FolderReference, into folder: PhonePlan.Folder, path: EntryPath, depth: Int
    ) async throws(Interruption) {
        try stopWhenCancelled()
        position = path
        guard depth <= limits.depth else {
            throw .phone(
                DeviceError(.limitExceeded, "Folders lie deeper than \(limits.depth)", path: path))
        }
        guard seen.insert(reference).inserted else {
            return try await leaveAlone(folder, path: path, reason: .cycle)
        }
        let parents = try await ParentEntries.load(folder.parents, from: repository)
        if parents.isDamaged { plan.parentIsDamaged = true }
        guard let listing = try await listing(of: reference, path: path, parents: parents) else {
            let reason: SkippedEntries.Reason =
                Self.isPrivateToApps(path) ? .privateToApps : .folderNotListed
            return try await leaveAlone(folder, path: path, reason: reason)
        }
        if !listing.isWhole {
            folder.isWhole = false
            plan.skipped.add(path, .entriesNotDescribed)
        }
        let named = names.assign(listing.entries.filter { !SnapshotNotes.isNeverSaved($0.name) })
        try await sort(named, into: folder, path: path, parents: parents)
        events(.progress(RunProgress(phase: .listing, filesDone: plan.shrink.listedFiles)))
        for entry in Self.inReadingOrder(named, depth: depth) {
            let child = PhonePlan.Folder(
                name: entry.name,
                modified: Self.date(of: entry.entry, before: parents.previous(entry.name)),
                parents: parents.folder(entry.name))
            folder.folders.append(child)
            try await list(
                entry.entry.folder, into: child, path: path.appending(entry.name),
                depth: depth + 1)
        }
    }

    /// What the phone tells of a folder; nil when it cannot list it.
    private func listing(
        of reference: FolderReference, path: EntryPath, parents: ParentEntries
    ) async throws(Interruption) -> FolderListing? {
        guard !givenUp.contains(path) else { return nil }
        var listing: FolderListing
        do throws(DeviceError) {
            listing = try await media.list(reference)
            if listing.entries.isEmpty, !parents.names.isEmpty {
                // Some phones list empty folders the moment they are locked.
                let storages = try await media.storages()
                guard !storages.isEmpty else {
                    throw DeviceError(.waitingForUser, "The phone was locked", path: path)
                }
                listing = try await media.list(reference)
            }
        } catch {
            guard error.concernsOneEntry, !Task.isCancelled else { throw Interruption(error) }
            return nil
        }
        entryCount += listing.entries.count
        guard listing.entries.count <= limits.entriesPerFolder, entryCount <= limits.entries else {
            throw .phone(
                DeviceError(
                    .limitExceeded,
                    "The phone lists more than \(limits.entriesPerFolder) entries in a folder or "
                        + "\(limits.entries) in all", path: path))
        }
        return listing
    }

    /// Marks a folder as not listed: its previous content is kept and is not gone.
    private func leaveAlone(
        _ folder: PhonePlan.Folder, path: EntryPath, reason: SkippedEntries.Reason
    ) async throws(Interruption) {
        folder.isListed = false
        plan.skipped.add(path, reason)
        try await count(folder.parents, areGone: false)
    }

    /// Whether many phones refuse the folder to everybody (`Android/data`, `Android/obb`).
    private static func isPrivateToApps(_ path: EntryPath) -> Bool {
        let names = path.names
        return names.count >= 3 && names[1] == "Android"
            && (names[2] == "data" || names[2] == "obb")
    }

    private static func inReadingOrder(
        _ named: [NameMapping.Named], depth: Int
    ) -> [NameMapping.Named] {
        let folders = named.filter(\.entry.isFolder)
        guard depth == 0 else { return folders }
        let first: [EntryName] = ["DCIM", "Pictures", "Movies", "Documents", "Download"]
        let early = first.compactMap { name in folders.first { $0.name == name } }
        return early + folders.filter { !first.contains($0.name) }
    }
}

extension PhoneLister {
    /// Compares a folder's files with the parents, and counts what is gone.
    private func sort(
        _ named: [NameMapping.Named], into folder: PhonePlan.Folder, path: EntryPath,
        parents: ParentEntries
    ) async throws(Interruption) {
        var sizes: [EntryName: UInt64] = [:]
        var folders: Set<EntryName> = []
        for entry in named {
            if entry.isRenamed {
                plan.renamed.append(
                    .init(path: path.appending(entry.name), original: entry.entry.name))
            }
            if entry.entry.isFolder {
                folders.insert(entry.name)
            } else {
                // An unknown size counts as no smaller than before.
                sizes[entry.name] = entry.entry.byteCount ?? .max
                await place(entry, into: folder, parents: parents)
            }
        }
        plan.shrink.listedFiles += sizes.count
        for name in parents.names {
            guard let previous = parents.previous(name) else { continue }
            if previous.kind == .file {
                plan.shrink.countKnown()
                if sizes[name] == nil {
                    if folder.isWhole { plan.removedFiles += 1 } else { plan.shrink.keptFiles += 1 }
                }
            }
            if let node = parents.complete(name), node.kind == .file {
                // What a short list lacks may be there.
                let now = sizes[name] ?? (folder.isWhole ? nil : node.byteCount)
                plan.shrink.count(node.byteCount, now: now)
            }
            if !folders.contains(name) {
                try await count(parents.folder(name), areGone: folder.isWhole)
            }
        }
    }

    private func place(
        _ named: NameMapping.Named, into folder: PhonePlan.Folder, parents: ParentEntries
    ) async {
        var match: Int?
        var standing = PhonePlan.Standing.new
        for index in parents.byName.indices {
            guard let node = parents.byName[index][named.name], node.kind == .file else { continue }
            let isSame = Self.isUnchanged(named.entry, node)
            if parents.folder.roles[index] != .interim {
                if isSame { standing = .unchanged } else if standing == .new { standing = .changed }
            }
            if match == nil, isSame, await repository.holds(node.content) { match = index }
        }
        let mayKeep = !readsAll || match.map { parents.folder.roles[$0] == .interim } ?? false
        if let match, mayKeep {
            folder.keeps.append(.init(name: named.name, parent: match, standing: standing))
            return
        }
        folder.reads.append(.init(entry: named.entry, name: named.name, standing: standing))
        plan.filesToRead += 1
        let size = named.entry.byteCount ?? 0
        plan.bytesToRead.addSaturating(size)
        if match == nil { plan.bytesNeeded.addSaturating(size) }
    }

    /// A folder's date: the one it had where the two are the same but for whole hours.
    private static func date(of entry: PhoneEntry, before node: TreeNode?) -> Timestamp {
        guard let node, node.isDirectory, node.modified.isSameModification(as: entry.modified)
        else { return entry.modified }
        return node.modified
    }

    private static func isUnchanged(_ entry: PhoneEntry, _ node: TreeNode) -> Bool {
        entry.byteCount == node.byteCount && entry.modified.isSameModification(as: node.modified)
    }

    /// Counts all files that the parents have beneath a folder that is not listed.
    private func count(_ folder: ParentFolder, areGone: Bool) async throws(Interruption) {
        guard folder.exists else { return }
        let entries = try await ParentEntries.load(folder, from: repository)
        for name in entries.names {
            guard let previous = entries.previous(name) else { continue }
            if previous.kind == .file {
                plan.shrink.countKnown()
                if areGone { plan.removedFiles += 1 } else { plan.shrink.keptFiles += 1 }
            }
            if let node = entries.complete(name), node.kind == .file {
                plan.shrink.count(node.byteCount, now: areGone ? nil : node.byteCount)
            }
            try await count(entries.folder(name), areGone: areGone)
        }
    }
}
