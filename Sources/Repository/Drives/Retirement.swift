package import BackupCore
import Glibc

/// Removing on purpose. Order: what a file needs is removed after it, so that a crash leaves
/// nothing that refers to nothing.
extension DriveBackend {
    /// The kinds that can be removed on purpose, in the order in which they are.
    package static let retiredKinds: [FileKind] = [.snapshot, .index, .data]

    /// Removes `files` (snapshots, indexes, packs; `readOnly` for any other) from this drive for
    /// good: their tombstones first, durably, so that no other drive brings them back; then the
    /// files, each kind durably before the next. A file that is not there is fine.
    ///
    /// To be called under the owner's lock and with an exclusive one in the repository. After an
    /// error the tombstones may stand and some of the files be gone; retiring again goes on.
    package func retire(_ files: [FileName], at time: Timestamp) async throws(BackendError) {
        try await bury(files, at: time)
        try await writing { (folder) throws(BackendError) in
            try folder.drive.verifyPresent()
            for kind in Self.retiredKinds {
                try folder.removeDurably(files.filter { $0.kind == kind })
            }
            try folder.drive.verifyPresent()
        }
    }

    /// Writes the tombstones of `files` that this drive's journal has not, durably, and removes
    /// nothing. A tombstone is for ever: what is needed again comes back under another name.
    package func bury(_ files: [FileName], at time: Timestamp) async throws(BackendError) {
        guard files.allSatisfy({ Self.retiredKinds.contains($0.kind) }) else {
            throw drive.system.error(.readOnly, "only snapshots, indexes and packs are retired")
        }
        let known = try await drive.journal.tombstones(of: owner)
        for record in JournalRecord.tombstones(Set(files).subtracting(known), owner: owner) {
            try await drive.journal.append(record, at: time)
        }
    }
}

extension RepositoryFolder {
    /// Removes files of one kind and makes that durable.
    fileprivate func removeDurably(_ files: [FileName]) throws(BackendError) {
        try requireLock()
        let folders = Dictionary(grouping: files, by: Self.folder)
        for (path, files) in folders {
            do throws(BackendError) {
                let folder = try open(path)
                for file in files.sorted() {
                    try system.unlink(PathBytes(Self.lastName(of: file)), in: folder)
                    forget(file)
                }
                try system.sync(folder)
            } catch let error where error.nativeCode == ENOENT {
                // Without the folder there is nothing in it; a drive that was taken out is told
                // by the look at it that follows.
            }
        }
    }
}
