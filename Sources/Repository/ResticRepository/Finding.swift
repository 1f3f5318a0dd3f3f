package import BackupCore
package import ResticFormat

/// Something a check of one drive's repository found.
package enum Finding: Hashable, Sendable {
    /// A file whose bytes are not what its name, its index or the format promises, and how.
    case damaged(FileName, reason: String)
    /// A pack that an index names and the drive lacks.
    case missing(FileName)
    /// A blob that a snapshot needs and that cannot be read whole on this drive.
    case lostBlob(LostBlob)
    /// Harmless, but worth a line.
    case note(String)
}

/// A blob that cannot be read, and what is lost with it.
package struct LostBlob: Hashable, Sendable {
    package let key: BlobKey
    /// Files (or, for a tree blob, the folder) in snapshots that need it; at most
    /// ``pathLimit``, the first ones met.
    package var paths: [EntryPath]
    /// Further paths that are not named.
    package var unnamedPathCount: Int

    /// How many paths are kept for one blob.
    package static var pathLimit: Int { 8 }

    /// A lost blob with every field given.
    package init(key: BlobKey, paths: [EntryPath], unnamedPathCount: Int) {
        self.key = key
        self.paths = paths
        self.unnamedPathCount = unnamedPathCount
    }
}

/// What a check of one drive's repository looked at and found.
package struct StructureReport: Sendable {
    /// Damage first in the order it was found; empty apart from notes when all is well.
    package var findings: [Finding] = []
    package var snapshotCount = 0
    package var packCount = 0
    package var blobCount = 0
    package var treeCount = 0
    /// Bytes of packs that were read and verified; 0 without `readData`.
    package var bytesRead: UInt64 = 0
    /// Packs that no index names: left by a run that was cut short, harmless.
    package var unindexedPackCount = 0
    /// Whether the task was cancelled before the end.
    package var isInterrupted = false

    /// A report of nothing.
    package init() {}

    /// Whether anything but notes was found.
    package var isSound: Bool {
        findings.allSatisfy { finding in
            if case .note = finding { true } else { false }
        }
    }

    /// Files to be healed from another drive.
    package var damagedFiles: [FileName] {
        var seen: Set<FileName> = []
        return findings.compactMap { finding in
            switch finding {
            case .damaged(let name, _), .missing(let name): seen.insert(name).inserted ? name : nil
            case .lostBlob, .note: nil
            }
        }
    }
}
