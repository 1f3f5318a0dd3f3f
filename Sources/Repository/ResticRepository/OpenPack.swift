import BackupCore
import CSystem
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
        _ key: BlobKey, plain: UnsafeRawBufferPointer, uncompressedLength: UInt32?,
        sealer: Sealer, capacity: Int
    ) -> Range<Int> {
        if blobs.isEmpty { reserve(capacity) }
        let start = bytes.count
        // The caller lends `plain` for the call.
        unsafe sealer.seal(plain, into: &bytes)
        blobs.append(
            PackedBlob(
                key: key, offset: UInt32(start), length: UInt32(bytes.count - start),
                uncompressedLength: uncompressedLength))
        return start..<bytes.count
    }

    /// Appends a blob as it is sealed already; only its place changes.
    mutating func append(sealed: some Collection<UInt8>, of blob: PackedBlob) {
        blobs.append(
            PackedBlob(
                key: blob.key, offset: UInt32(bytes.count), length: blob.length,
                uncompressedLength: blob.uncompressedLength))
        bytes.append(contentsOf: sealed)
    }

    /// Takes the room of a whole pack at once. In small pages it would cost 4,300 page faults.
    private mutating func reserve(_ capacity: Int) {
        bytes.reserveCapacity(capacity)
        let room = bytes.capacity
        // Advice about the array's own storage; it changes no byte of it.
        unsafe bytes.withUnsafeMutableBytes {
            unsafe holdfast_prefer_huge_pages($0.baseAddress, room)
        }
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

    /// Ends the pack with its header and leaves an empty one. Its name is the hash of all its
    /// bytes.
    mutating func finish(sealer: Sealer) -> FinishedPack {
        // Appended in place and then taken out: a second owner of the bytes, even a short-lived
        // one, means a copy of the whole pack.
        bytes.append(contentsOf: PackHeader.encode(blobs, sealer: sealer))
        let id = ContentID.sha256(of: bytes)
        let finished = FinishedPack(pack: IndexedPack(id: id, blobs: blobs), bytes: bytes)
        self = OpenPack()
        return finished
    }
}
