package import BackupCore

/// What a prune may do and how far it goes.
package struct PruneOptions: Sendable {
    /// Up to this share of the packs may stay unused: a pack is written anew only when more is,
    /// since writing costs time and room. restic's default.
    package var maxUnusedPercent = 5
    /// A new pack is closed once it has this many bytes; restic's default.
    package var packByteCount = 16 << 20
    /// So many bytes may be written to every drive.
    package var room = UInt64.max

    /// Options with the defaults.
    package init() {}
}

/// What a prune of a repository will do: the same on every drive. Sizes are bytes of files.
package struct PrunePlan: Sendable {
    /// Packs of which nothing is needed; ones that no index names are among them.
    package internal(set) var removedPacks: [StoredFile] = []
    /// Packs whose needed blobs are copied into new ones.
    package internal(set) var repackedPacks: [StoredFile] = []
    /// Packs that stay, and how much of them nothing needs.
    package internal(set) var keptPackCount = 0
    package internal(set) var keptUnusedBytes: UInt64 = 0
    /// Indexes that are replaced; all there are, or none when nothing else changes.
    package internal(set) var retiredIndexes: [FileName] = []
    /// Packs that would be written anew if there were room.
    package internal(set) var postponedPackCount = 0
    /// About what is written: the copied blobs with their headers.
    package internal(set) var writtenBytes: UInt64 = 0
    /// All packs before.
    package internal(set) var totalBytes: UInt64 = 0
    package internal(set) var snapshotCount = 0
    /// Of what is copied: the entries of the index, one of each blob.
    var copied: EntrySet
    /// Blobs that stand in several packs, by the entry that stays where it is; the others go.
    var soleSurvivors: [Int] = []
    /// The packs that stay, by their numbers in the index.
    var keptPacks: [Int] = []
    let index: BlobIndex

    init(index: BlobIndex) {
        self.index = index
        copied = EntrySet(count: index.count)
    }

    /// Whether there is nothing to do.
    package var isEmpty: Bool { retiredIndexes.isEmpty && removedPacks.isEmpty }

    /// The files that go.
    package var retired: [FileName] {
        retiredIndexes + (removedPacks + repackedPacks).map(\.name)
    }

    /// What a drive has more of afterwards.
    package var freedBytes: UInt64 {
        let gone = (removedPacks + repackedPacks).reduce(UInt64(0)) { $0 + $1.byteCount }
        return gone - min(gone, writtenBytes)
    }
}
