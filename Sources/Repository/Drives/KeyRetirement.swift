package import BackupCore

/// Taking key files out of use for good.
///
/// Other files are retired with what needs them (snapshots, indexes, packs); a key file stands
/// alone, and the one danger is to be left without any. So nothing goes before what stays was
/// read back, and the tombstones are durable before the files go.
extension DriveBackend {
    /// Removes the key files `retired` from this drive, also those that healing moved aside, once
    /// every key file of `kept` was read from the medium and found good.
    ///
    /// `damaged` when one of `kept` is not good here, or none is kept: then nothing was removed.
    /// After any other error some may be gone and a repetition does the rest.
    package func retireKeys(
        _ retired: Set<ContentID>, keeping kept: Set<ContentID>, at time: Timestamp
    ) async throws(BackendError) {
        try await writing { (folder) throws(BackendError) in
            try folder.drive.verifyPresent()
            try folder.requireKeys(kept, otherThan: retired)
        }
        let buried = try await drive.journal.tombstones(of: owner)
        for id in retired.sorted() where !buried.contains(FileName(.key, id)) {
            try await drive.journal.append(.tombstone(FileName(.key, id), owner: owner), at: time)
        }
        try await writing { (folder) throws(BackendError) in
            try folder.removeKeys(retired)
        }
    }

    /// The key files of an owner that tombstones on any of `copies` name. A journal that cannot be
    /// read names none: then an old key stays a little longer. Tombstones that would leave no key
    /// file at all are not believed: a journal has no seal, and anybody who had the drive could
    /// have written them.
    package static func retiredKeys(on copies: [DriveBackend]) async -> Set<ContentID> {
        var retired: Set<ContentID> = []
        var present: Set<ContentID> = []
        for copy in copies {
            // As above; and a drive that cannot be listed brings no key either.
            let tombstones = (try? await copy.drive.journal.tombstones(of: copy.owner)) ?? []
            retired.formUnion(tombstones.filter { $0.kind == .key }.map(\.id))
            // A drive without the repository has none.
            present.formUnion(((try? await copy.list(.key)) ?? []).map(\.name.id))
        }
        return present.isSubset(of: retired) ? [] : retired
    }
}

extension RepositoryFolder {
    /// Throws `damaged` unless every key file of `kept` is good, and there is one.
    fileprivate func requireKeys(
        _ kept: Set<ContentID>, otherThan retired: Set<ContentID>
    ) throws(BackendError) {
        var areGood = !kept.isEmpty && kept.isDisjoint(with: retired)
        for id in kept where areGood { areGood = try isGood(FileName(.key, id)) }
        guard areGood else {
            throw system.error(.damaged, "a key file of \(owner) that must stay is not good")
        }
    }

    /// Unlinks key files, durably, here and in quarantine.
    fileprivate func removeKeys(_ retired: Set<ContentID>) throws(BackendError) {
        let keys = try open([PathBytes(FileKind.key.rawValue)])
        // Ids are kept for good, and most of them have no file any more.
        let there = Set(try system.names(in: keys))
        for id in retired where there.contains(PathBytes(id.hex)) {
            try system.unlink(PathBytes(id.hex), in: keys)
        }
        try system.sync(keys)
        try removeQuarantined { file in file.kind == .key && retired.contains(file.id) }
        try drive.verifyPresent()
    }
}
