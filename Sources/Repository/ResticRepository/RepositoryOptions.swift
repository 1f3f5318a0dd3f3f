package import BackupCore
import ResticFormat

/// How a repository is opened.
package struct RepositoryOptions: Sendable {
    /// What the repository is opened for.
    package enum Purpose: Sendable {
        /// Only reading: packs that no index names are left alone.
        case reading
        /// Saving: good packs that no index names (a killed run left them) are taken over.
        case writing
    }

    package var purpose: Purpose
    /// Decides when a long run writes an index in between.
    package var clock: any RunClock
    /// What snapshots say wrote them.
    package var program = "holdfast"
    /// A pack is closed once it has this many bytes; restic's default.
    package var packByteCount = 16 << 20
    /// Threads that compress and seal. Two keep two cores busy beside the cutting and hashing,
    /// which is about a third of the work.
    package var workerCount = 2
    /// No blob waits longer than this for an index while blobs keep coming: packs that are not full
    /// by then are ended early.
    package var checkpointInterval = Duration.seconds(300)
    /// An index is written at least after this many packs: 1 GiB at the default size.
    package var checkpointPackCount = 64
    /// Called before indexes and before a snapshot are written: the moment to leave out drives on
    /// which others may meanwhile have removed what these refer to.
    package var willPublish: @Sendable () async -> Void = {}

    /// Options for `purpose` with the defaults of a backup.
    package init(_ purpose: Purpose, clock: any RunClock) {
        self.purpose = purpose
        self.clock = clock
    }
}

/// The limits that keep a damaged or hostile repository from using up memory.
enum RepositoryLimits {
    /// The largest blob that is read. A folder of a million files is a tree of about 300 MB.
    static let blobByteCount = 512 << 20
    /// The blobs after which an index file is full, as restic has it.
    static let blobsPerIndex = 50_000
    /// The blobs that all index files may name together: 15 TB of photos, and 800 MB of memory.
    static let blobCount = 1 << 24

    /// The most JSON that a file of `kind` may hold. Snapshots and locks have a few hundred bytes;
    /// restic lists a run's paths and excludes in a snapshot.
    static func jsonByteCount(of kind: FileKind) -> Int {
        switch kind {
        case .index: UnpackedFile.maximumByteCount
        case .snapshot: 16 << 20
        default: 1 << 20
        }
    }

    /// About how many blobs index files of these sizes name: the id alone takes 32 bytes, because
    /// nothing compresses it.
    static func expectedBlobs(_ indexes: [StoredFile]) -> Int {
        Int(clamping: min(indexes.reduce(0) { $0 + $1.byteCount } / 44, UInt64(blobCount)))
    }

    /// Throws `limitExceeded` for a blob that is not read because of what its length claims.
    static func check(_ blob: PackedBlob) throws(FormatError) {
        let count = max(blob.plainLength, Int(blob.length) - Sealer.overhead)
        guard count <= blobByteCount else {
            throw FormatError(
                .limitExceeded,
                "it would have \(count) bytes, more than the \(blobByteCount) allowed")
        }
    }

    /// Throws `limitExceeded` when the index files name more blobs than may be in memory.
    static func check(blobCount count: Int) throws(RepositoryError) {
        guard count <= blobCount else {
            throw RepositoryError(
                .limitExceeded, "the index files name more than \(blobCount) pieces of files")
        }
    }
}
