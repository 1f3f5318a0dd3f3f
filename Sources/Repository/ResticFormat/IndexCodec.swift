package import BackupCore

/// The JSON of an index file: which blobs lie where in which packs.
///
/// Source: restic's design document, "Indexing". restic puts all blobs of a pack in one index
/// file; rustic adds members (`packs_to_delete`, `time`, `size`) that are skipped.
package enum IndexCodec {
    /// The JSON of an index of `packs`; to be put in an ``UnpackedFile``.
    package static func encode(_ packs: [IndexedPack]) -> [UInt8] {
        let capacity = 16 + packs.reduce(0) { $0 + 100 + 176 * $1.blobs.count }
        var writer = JSONWriter(capacity: capacity)
        writer.object { writer in
            writer.key("packs")
            writer.array(packs) { writer, pack in
                writer.object { writer in
                    writer.key("id")
                    writer.id(pack.id)
                    writer.key("blobs")
                    writer.array(pack.blobs) { write($1, to: &$0) }
                }
            }
        }
        return writer.bytes
    }

    private static func write(_ blob: PackedBlob, to writer: inout JSONWriter) {
        writer.object { writer in
            writer.key("id")
            writer.id(blob.key.id)
            writer.key("type")
            if blob.key.kind == .data { writer.raw("\"data\"") } else { writer.raw("\"tree\"") }
            writer.key("offset")
            writer.number(UInt64(blob.offset))
            writer.key("length")
            writer.number(UInt64(blob.length))
            if let plain = blob.uncompressedLength {
                writer.key("uncompressed_length")
                writer.number(UInt64(plain))
            }
        }
    }

    /// Reads an index, giving each pack with all its blobs to `visitor`, in the order of the file.
    ///
    /// What `visitor` got before an error was well formed, but the file is to be refused as a
    /// whole. Nothing is kept beyond one pack.
    package static func decode(
        _ json: [UInt8], visitor: (ContentID, [PackedBlob]) throws(FormatError) -> Void
    ) throws(FormatError) {
        var scanner = JSONScanner(json)
        // Most packs hold about as many as the one before; room made in steps is room left over.
        var usualCount = 0
        try scanner.readObject { scanner, key throws(FormatError) in
            guard scanner.matches(key, "packs") else { return try scanner.skipValue() }
            try scanner.readArray { scanner throws(FormatError) in
                let pack = try readPack(&scanner, expecting: usualCount)
                usualCount = min(pack.blobs.count, 1024)
                try visitor(pack.id, pack.blobs)
            }
        }
        try scanner.finish()
    }

    /// All packs of an index; for tests and small indexes.
    package static func decode(_ json: [UInt8]) throws(FormatError) -> [IndexedPack] {
        var packs: [IndexedPack] = []
        try decode(json) { id, blobs throws(FormatError) in
            packs.append(IndexedPack(id: id, blobs: blobs))
        }
        return packs
    }

    private static func readPack(
        _ scanner: inout JSONScanner, expecting count: Int
    ) throws(FormatError) -> IndexedPack {
        var id: ContentID?
        var blobs: [PackedBlob] = []
        blobs.reserveCapacity(count)
        try scanner.readObject { scanner, key throws(FormatError) in
            if scanner.matches(key, "id") {
                id = try scanner.readID()
            } else if scanner.matches(key, "blobs") {
                try scanner.readArray { scanner throws(FormatError) in
                    if let blob = scanner.readUsualBlob() {
                        blobs.append(blob)
                    } else {
                        blobs.append(try readBlob(&scanner))
                    }
                }
            } else {
                try scanner.skipValue()
            }
        }
        guard let id else { throw .malformed("an index has a pack without an id") }
        // restic lists a pack's blobs in the order of its hash table.
        if zip(blobs, blobs.dropFirst()).contains(where: { $0.offset > $1.offset }) {
            blobs.sort { $0.offset < $1.offset }
        }
        return IndexedPack(id: id, blobs: blobs)
    }

    private static func readBlob(_ scanner: inout JSONScanner) throws(FormatError) -> PackedBlob {
        var id: ContentID?
        var kind: BlobKind?
        var offset: UInt32?
        var length: UInt32?
        var uncompressed: UInt32?
        try scanner.readObject { scanner, key throws(FormatError) in
            if scanner.matches(key, "id") {
                id = try scanner.readID()
            } else if scanner.matches(key, "type") {
                kind = try scanner.readPlainString { blobKind(named: $0) }
            } else if scanner.matches(key, "offset") {
                offset = UInt32(exactly: try scanner.readUnsigned())
            } else if scanner.matches(key, "length") {
                length = UInt32(exactly: try scanner.readUnsigned())
            } else if scanner.matches(key, "uncompressed_length") {
                uncompressed = try readUncompressedLength(&scanner)
            } else {
                try scanner.skipValue()
            }
        }
        guard let id, let kind, let offset, let length, length >= UInt32(Sealer.overhead) else {
            throw .malformed("an index has a blob without a usable id, type, offset or length")
        }
        return PackedBlob(
            key: BlobKey(kind, id), offset: offset, length: length,
            uncompressedLength: uncompressed)
    }

    /// restic leaves the member out for a blob that is not compressed; null and 0 mean the same.
    private static func readUncompressedLength(
        _ scanner: inout JSONScanner
    ) throws(FormatError) -> UInt32? {
        if try scanner.skipNull() { return nil }
        guard let value = UInt32(exactly: try scanner.readUnsigned()) else {
            throw .malformed("an index has a blob of more than 4 GiB")
        }
        return value == 0 ? nil : value
    }

    private static func blobKind(named word: ArraySlice<UInt8>) -> BlobKind? {
        if word.elementsEqual("data".utf8) { return .data }
        if word.elementsEqual("tree".utf8) { return .tree }
        return nil
    }
}

extension JSONScanner {
    /// Reads an id: a string of 64 hexadecimal digits.
    mutating func readID() throws(FormatError) -> ContentID {
        guard let id = try readPlainString({ ContentID(lowerHex: $0) }) else {
            throw .malformed("JSON has an id that is not 64 hexadecimal digits")
        }
        return id
    }
}
