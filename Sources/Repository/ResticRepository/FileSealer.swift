import BackupCore
import ResticFormat
import Synchronization

/// Seals and opens whole files (indexes, snapshots, locks) and single blobs that are read back.
///
/// The cipher's contexts serve one caller at a time; opening a blob takes a millisecond or two.
final class FileSealer: Sendable {
    private struct Tools {
        let sealer: Sealer
        let codec = ZstdCodec()
    }

    private let tools: Mutex<Tools>

    /// A sealer under `key`.
    init(_ key: MasterKey) { tools = Mutex(Tools(sealer: Sealer(key))) }

    /// A stored file of `json` and the name it must have.
    func seal(json: [UInt8]) -> (id: ContentID, bytes: [UInt8]) {
        tools.withLock { tools in
            UnpackedFile.seal(json, sealer: tools.sealer, codec: tools.codec)
        }
    }

    /// The JSON of a stored file.
    func openJSON(_ file: [UInt8]) throws(FormatError) -> [UInt8] {
        try tools.withLock { tools throws(FormatError) in
            try UnpackedFile.open(file, sealer: tools.sealer, codec: tools.codec)
        }
    }

    /// What a config file tells.
    func openConfig(_ file: [UInt8]) throws(FormatError) -> RepositoryConfig {
        try tools.withLock { tools throws(FormatError) in
            try ConfigCodec.open(file, sealer: tools.sealer)
        }
    }

    /// The blobs of a whole pack file, whose name was checked by the caller.
    func blobs(ofPack file: [UInt8]) throws(FormatError) -> [PackedBlob] {
        try tools.withLock { tools throws(FormatError) in
            try PackHeader.decode(pack: file, sealer: tools.sealer)
        }
    }

    /// A blob's plain bytes, proved by code, length and hash. `start` is where its sealed bytes
    /// begin in `bytes`; `malformed` when they do not lie in there whole.
    func open(
        _ blob: PackedBlob, in bytes: [UInt8], at start: Int
    ) throws(FormatError) -> [UInt8] {
        let end = start + Int(blob.length)
        guard start >= 0, end <= bytes.count else {
            throw FormatError(.malformed, "the pack ends in the middle of it")
        }
        guard blob.plainLength <= RepositoryLimits.blobByteCount else {
            throw FormatError(.limitExceeded, "it would have \(blob.plainLength) bytes")
        }
        let plain = try tools.withLock { tools throws(FormatError) in
            // Sound: the range was checked and the array lends its storage for the call.
            let opened = try unsafe bytes.withUnsafeBufferPointer { all throws(FormatError) in
                try unsafe tools.sealer.open(
                    UnsafeRawBufferPointer(rebasing: UnsafeRawBufferPointer(all)[start..<end]))
            }
            guard blob.uncompressedLength != nil else { return opened }
            return try tools.codec.decompress(opened, limit: blob.plainLength)
        }
        guard plain.count == blob.plainLength, ContentID.sha256(of: plain) == blob.key.id else {
            throw FormatError(.notAuthentic, "its content has another hash")
        }
        return plain
    }
}
