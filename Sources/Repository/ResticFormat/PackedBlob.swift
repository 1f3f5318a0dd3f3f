package import BackupCore

/// What a blob holds. Data and tree blobs are kept in separate packs.
package enum BlobKind: UInt8, Sendable, Hashable, CaseIterable {
    /// A piece of a file.
    case data = 0
    /// A folder.
    case tree = 1

    /// The word the index has for it.
    package var name: String { self == .data ? "data" : "tree" }
}

/// What tells one blob from all others: a data and a tree blob may hold the same bytes.
package struct BlobKey: Hashable, Sendable {
    /// What it holds.
    package let kind: BlobKind
    /// The SHA-256 of the blob's plain bytes.
    package let id: ContentID

    /// The blob `id` of `kind`.
    package init(_ kind: BlobKind, _ id: ContentID) {
        self.kind = kind
        self.id = id
    }
}

/// One blob and where it lies in its pack.
///
/// Source: restic's design document, "Pack Format" and "Indexing".
package struct PackedBlob: Hashable, Sendable {
    /// Which blob it is.
    package let key: BlobKey
    /// The first byte in the pack file.
    package let offset: UInt32
    /// The sealed length, IV and code included, bytes.
    package let length: UInt32
    /// The length of the blob's bytes when they are compressed, nil when stored as they are.
    package let uncompressedLength: UInt32?

    /// A blob at `offset`.
    package init(key: BlobKey, offset: UInt32, length: UInt32, uncompressedLength: UInt32?) {
        self.key = key
        self.offset = offset
        self.length = length
        self.uncompressedLength = uncompressedLength
    }

    /// The length of the blob's bytes; 0 for an entry too short to be sealed.
    package var plainLength: Int {
        uncompressedLength.map(Int.init) ?? max(0, Int(length) - Sealer.overhead)
    }
}

/// A pack and all its blobs, in the order of the file.
package struct IndexedPack: Hashable, Sendable {
    /// The SHA-256 of the pack file, its name.
    package let id: ContentID
    /// The pack's blobs by ascending offset.
    package let blobs: [PackedBlob]

    /// A pack of `blobs`.
    package init(id: ContentID, blobs: [PackedBlob]) {
        self.id = id
        self.blobs = blobs
    }

    /// The size the pack file must have: its blobs, its header and the header's length.
    package var byteCount: UInt64 {
        blobs.reduce(UInt64(PackHeader.byteCount(of: blobs))) { $0 + UInt64($1.length) }
    }

    /// Whether the blobs lie back to back from the first byte, as in every pack: an index that
    /// says otherwise lies, or tells a part only.
    package var isContiguous: Bool {
        var end: UInt64 = 0
        for blob in blobs {
            guard UInt64(blob.offset) == end else { return false }
            end += UInt64(blob.length)
        }
        return true
    }
}
