import BackupCore
import ResticFormat

/// A blob on its way to a pack.
struct PendingBlob: Sendable {
    let key: BlobKey
    var bytes: [UInt8]
}

/// A pack file that is complete in memory.
struct FinishedPack: Sendable {
    let pack: IndexedPack
    let bytes: [UInt8]
}

/// A pack that is being filled: sealed blobs of one kind, back to back.
struct OpenPack: Sendable {
    private var bytes: [UInt8] = []
    private var blobs: [PackedBlob] = []

    /// Bytes so far, without the header.
    var byteCount: Int { bytes.count }
    var isEmpty: Bool { blobs.isEmpty }

    /// Seals `plain` to the end and gives the sealed bytes' place.
    mutating func append(
        _ key: BlobKey, plain: [UInt8], uncompressedLength: UInt32?, sealer: Sealer,
        capacity: Int
    ) -> Range<Int> {
        if blobs.isEmpty { bytes.reserveCapacity(capacity) }
        let start = bytes.count
        // The array lends its storage for the call.
        unsafe plain.withUnsafeBytes { unsafe sealer.seal($0, into: &bytes) }
        blobs.append(
            PackedBlob(
                key: key, offset: UInt32(start), length: UInt32(bytes.count - start),
                uncompressedLength: uncompressedLength))
        return start..<bytes.count
    }

    /// Appends all blobs of another pack of the same kind, as they are sealed.
    mutating func append(_ other: OpenPack) {
        let start = UInt32(bytes.count)
        bytes.append(contentsOf: other.bytes)
        blobs += other.blobs.map {
            PackedBlob(
                key: $0.key, offset: start + $0.offset, length: $0.length,
                uncompressedLength: $0.uncompressedLength)
        }
    }

    /// Lends the sealed bytes of one blob.
    func withSealed<Value, Failure: Error>(
        _ range: Range<Int>, _ body: (UnsafeRawBufferPointer) throws(Failure) -> Value
    ) throws(Failure) -> Value {
        try unsafe bytes.withUnsafeBufferPointer { all throws(Failure) in
            // Sound: the range came from `append` and the array lends its storage for the call.
            try unsafe body(UnsafeRawBufferPointer(rebasing: UnsafeRawBufferPointer(all)[range]))
        }
    }

    /// Ends the pack with its header. Its name is the hash of all its bytes.
    consuming func finish(sealer: Sealer) -> FinishedPack {
        bytes.append(contentsOf: PackHeader.encode(blobs, sealer: sealer))
        let id = ContentID.sha256(of: bytes)
        return FinishedPack(pack: IndexedPack(id: id, blobs: blobs), bytes: bytes)
    }
}
