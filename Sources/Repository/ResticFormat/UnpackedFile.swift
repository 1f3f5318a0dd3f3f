package import BackupCore

/// The envelope of indexes, snapshots and locks: sealed, and within that the byte 2 and zstd.
///
/// Files of version 1 hold plain JSON; both are read. Source: restic's design document,
/// "Unpacked Data Format".
package enum UnpackedFile {
    /// The most JSON one file may hold: 128 MiB. restic starts a new index at 50,000 blobs (8 MB);
    /// old versions wrote larger ones.
    package static var maximumByteCount: Int { 128 << 20 }
    private static var compressedMark: UInt8 { 2 }

    /// The bytes to be sealed for `json`.
    package static func encode(_ json: [UInt8], codec: ZstdCodec) -> [UInt8] {
        [compressedMark] + codec.compress(json)
    }

    /// The JSON in opened bytes, at most `limit` bytes.
    package static func decode(
        _ plain: [UInt8], codec: ZstdCodec, limit: Int = maximumByteCount
    ) throws(FormatError) -> [UInt8] {
        switch plain.first {
        case compressedMark: return try codec.decompress(plain[1...], limit: limit)
        case UInt8(ascii: "{"), UInt8(ascii: "["):
            guard plain.count <= limit else {
                throw FormatError(
                    .limitExceeded, "a file holds \(plain.count) of at most \(limit) bytes")
            }
            return plain
        case let mark:
            let text = mark.map { "begins with byte \($0)" } ?? "is empty"
            throw FormatError(.unsupported, "a file's content \(text)")
        }
    }

    /// The whole file for `json` and the name it must have.
    package static func seal(
        _ json: [UInt8], sealer: Sealer, codec: ZstdCodec
    ) -> (id: ContentID, bytes: [UInt8]) {
        let bytes = sealer.seal(encode(json, codec: codec))
        return (.sha256(of: bytes), bytes)
    }

    /// The JSON in a whole file, at most `limit` bytes. The file's name is not checked here.
    package static func open(
        _ file: [UInt8], sealer: Sealer, codec: ZstdCodec, limit: Int = maximumByteCount
    ) throws(FormatError) -> [UInt8] {
        try decode(sealer.open(file), codec: codec, limit: limit)
    }
}
