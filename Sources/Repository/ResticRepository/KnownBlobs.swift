import BackupCore
import ResticFormat

/// Which blobs need not be saved again: those in index files, and those on their way since.
///
/// A blob on its way counts as known, so that it is stored once; when its pack fails it becomes
/// unknown again, because a later snapshot would otherwise refer to nothing.
struct KnownBlobs: Sendable {
    /// How far a blob has come that no index file names yet.
    private enum Progress {
        /// Waiting to be sealed, or in an open pack.
        case queued
        /// In a pack that the backend has taken.
        case written(BlobPlace)
    }

    /// Where a blob can be read.
    enum Whereabouts {
        /// In index files: entry numbers, best first. Empty when the blob is unknown.
        case indexed([Int])
        case written(BlobPlace)
        case queued
    }

    private(set) var index: BlobIndex
    private var fresh: [BlobKey: Progress] = [:]
    /// Packs that the backend has taken and no index file names.
    private(set) var unindexed: [IndexedPack] = []
    /// The number of blobs in `unindexed`.
    private(set) var unindexedBlobCount = 0

    /// What the index files know.
    init(_ index: BlobIndex) { self.index = index }

    /// Whether the blob is stored or on its way.
    func holds(_ key: BlobKey) -> Bool { fresh[key] != nil || index.holds(key) }

    /// Marks a blob as on its way; false when it is known already.
    mutating func claim(_ key: BlobKey) -> Bool {
        guard !index.holds(key), fresh[key] == nil else { return false }
        fresh[key] = .queued
        return true
    }

    /// Where the blob can be read.
    func whereabouts(_ key: BlobKey) -> Whereabouts {
        switch fresh[key] {
        case .queued: .queued
        case .written(let place): .written(place)
        case nil: .indexed(index.matches(key))
        }
    }

    /// Notes that the backend has taken a pack, or that a good pack was found without an index.
    mutating func add(written pack: IndexedPack) {
        unindexed.append(pack)
        unindexedBlobCount += pack.blobs.count
        for blob in pack.blobs {
            fresh[blob.key] = .written(BlobPlace(pack: pack.id, blob: blob))
        }
    }

    /// Notes that index files now name the first `count` unindexed packs.
    mutating func markIndexed(_ count: Int) {
        for pack in unindexed.prefix(count) {
            index.add(pack: pack.id, blobs: pack.blobs, isPresent: true)
            for blob in pack.blobs { fresh[blob.key] = nil }
            unindexedBlobCount -= pack.blobs.count
        }
        unindexed.removeFirst(count)
    }

    /// Makes everything unknown that no index file names.
    mutating func forgetFresh() {
        fresh = [:]
        unindexed = []
        unindexedBlobCount = 0
    }
}
