internal import BackupCore

/// What a phone lists, compared with the parents: the plan of what to read and what to keep.
///
/// An unchanged file costs a name and a number in memory, a folder that is only kept a name.
struct PhonePlan {
    /// How a file stands to the snapshots before this run.
    enum Standing {
        case new
        case changed
        case unchanged
    }

    struct FileToRead {
        let entry: PhoneEntry
        let name: EntryName
        let standing: Standing
    }

    struct FileToKeep {
        let name: EntryName
        /// The parent whose node is kept, by its number.
        let parent: Int
        let standing: Standing
    }

    /// One folder of the phone.
    final class Folder {
        let name: EntryName
        let modified: Timestamp
        let parents: ParentFolder
        /// False when the phone could not list it: everything beneath is kept.
        var isListed = true
        /// False when the phone did not describe every entry: what is not listed is kept.
        var isWhole = true
        var reads: [FileToRead] = []
        var keeps: [FileToKeep] = []
        var folders: [Folder] = []

        init(name: EntryName, modified: Timestamp, parents: ParentFolder) {
            self.name = name
            self.modified = modified
            self.parents = parents
        }

        /// All names the phone has here.
        var names: Set<EntryName> {
            Set(reads.map(\.name) + keeps.map(\.name) + folders.map(\.name))
        }
    }

    /// The storages' folders, in the order they are read.
    var storages: [Folder] = []
    var facts: [StorageFacts] = []
    var filesToRead = 0
    var bytesToRead: UInt64 = 0
    /// The part of `bytesToRead` that no parent has: what needs room on the drives.
    var bytesNeeded: UInt64 = 0
    var removedFiles = 0
    var shrink = ShrinkGuard()
    var skipped = SkippedEntries()
    var renamed: [SnapshotNotes.Renamed] = []
    /// Whether a parent's folder was damaged and its files are read again.
    var parentIsDamaged = false
}
