internal import BackupCore

/// The end of a pack file: the sealed list of its blobs and that list's length.
///
/// Source: restic's design document, "Pack Format". Entries are 37 bytes (raw) or 41 (compressed);
/// offsets are not written, a blob starts where the one before it ends.
package enum PackHeader {
    /// The largest sealed header that restic reads: 16 MiB.
    package static var maximumSealedCount: Int { 16 << 20 }
    /// The bytes of the length that ends a pack file.
    package static var trailerCount: Int { 4 }
    private static var rawEntryCount: Int { 37 }
    private static var compressedEntryCount: Int { 41 }

    /// The bytes that ``encode(_:sealer:)`` gives for `blobs`.
    package static func byteCount(of blobs: [PackedBlob]) -> Int {
        blobs.reduce(Sealer.overhead + trailerCount) { sum, blob in
            sum + (blob.uncompressedLength == nil ? rawEntryCount : compressedEntryCount)
        }
    }

    /// The end of the pack file that holds `blobs` in this order: sealed header and its length.
    package static func encode(_ blobs: [PackedBlob], sealer: Sealer) -> [UInt8] {
        var header: [UInt8] = []
        header.reserveCapacity(byteCount(of: blobs))
        for blob in blobs {
            let compressed = blob.uncompressedLength != nil
            header.append(blob.key.kind.rawValue | (compressed ? 2 : 0))
            append(blob.length, to: &header)
            if let plain = blob.uncompressedLength { append(plain, to: &header) }
            header.append(contentsOf: blob.key.id.bytes)
        }
        var end = sealer.seal(header)
        append(UInt32(end.count), to: &end)
        return end
    }

    /// The length of the sealed header, told by the last four bytes of a pack file of `fileSize`
    /// bytes; `malformed` when it cannot be.
    package static func sealedCount(
        trailer: [UInt8], fileSize: UInt64
    ) throws(FormatError) -> Int {
        guard trailer.count == trailerCount else {
            throw .malformed("a pack's end has \(trailer.count) bytes")
        }
        let count = Int(littleEndian(trailer, at: 0))
        guard count >= Sealer.overhead, count <= maximumSealedCount,
            UInt64(count + trailerCount) <= fileSize
        else { throw .malformed("a pack's header cannot have \(count) bytes") }
        return count
    }

    /// The blobs that a sealed header lists, for a pack file of `fileSize` bytes: they must fill
    /// it exactly.
    package static func decode(
        sealed: [UInt8], fileSize: UInt64, sealer: Sealer
    ) throws(FormatError) -> [PackedBlob] {
        let blobs = try decode(sealer.open(sealed))
        let end = UInt64(sealed.count + trailerCount)
        let filled = blobs.last.map { UInt64($0.offset) + UInt64($0.length) } ?? 0
        guard filled + end == fileSize else {
            throw .malformed("a pack's blobs fill \(filled) of \(fileSize) bytes")
        }
        return blobs
    }

    /// The blobs of a whole pack file.
    package static func decode(
        pack: [UInt8], sealer: Sealer
    ) throws(FormatError) -> [PackedBlob] {
        let size = UInt64(pack.count)
        let count = try sealedCount(trailer: Array(pack.suffix(trailerCount)), fileSize: size)
        let end = pack.count - trailerCount
        return try decode(sealed: Array(pack[end - count..<end]), fileSize: size, sealer: sealer)
    }

    /// The blobs that an opened header lists.
    package static func decode(_ header: [UInt8]) throws(FormatError) -> [PackedBlob] {
        var blobs: [PackedBlob] = []
        blobs.reserveCapacity(header.count / rawEntryCount)
        var position = 0
        var offset: UInt32 = 0
        while position < header.count {
            let blob = try entry(header, at: position, offset: offset)
            position += blob.uncompressedLength == nil ? rawEntryCount : compressedEntryCount
            let (next, overflow) = offset.addingReportingOverflow(blob.length)
            guard !overflow else { throw .malformed("a pack's blobs pass 4 GiB") }
            offset = next
            blobs.append(blob)
        }
        return blobs
    }

    private static func entry(
        _ header: [UInt8], at start: Int, offset: UInt32
    ) throws(FormatError) -> PackedBlob {
        let type = header[start]
        guard type < 4, let kind = BlobKind(rawValue: type & 1) else {
            throw FormatError(.unsupported, "a pack's header has a blob of type \(type)")
        }
        let compressed = type >= 2
        let count = compressed ? compressedEntryCount : rawEntryCount
        guard start + count <= header.count,
            let id = ContentID(bytes: header[start + count - ContentID.byteCount..<start + count])
        else { throw .malformed("a pack's header ends in the middle of an entry") }
        let length = littleEndian(header, at: start + 1)
        guard length >= UInt32(Sealer.overhead) else {
            throw .malformed("a blob has a sealed length of \(length)")
        }
        return PackedBlob(
            key: BlobKey(kind, id), offset: offset, length: length,
            uncompressedLength: compressed ? littleEndian(header, at: start + 5) : nil)
    }

    private static func append(_ value: UInt32, to bytes: inout [UInt8]) {
        for shift in stride(from: UInt32(0), to: 32, by: 8) {
            bytes.append(UInt8(truncatingIfNeeded: value >> shift))
        }
    }

    private static func littleEndian(_ bytes: [UInt8], at start: Int) -> UInt32 {
        (0..<4).reduce(0) { $0 | UInt32(bytes[start + $1]) << UInt32(8 * $1) }
    }
}
