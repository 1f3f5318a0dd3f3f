import BackupCore
import ResticFormat
import Synchronization

/// Seals and opens whole files (indexes, snapshots, locks) and single blobs that are read back.
///
/// The cipher's contexts serve one caller at a time, so each call borrows a set of its own and
/// several threads open blobs at once.
final class FileSealer: Sendable {
    /// As many as there are calls at once on a small machine; more are made and dropped.
    private static let keptCount = 4

    private let key: MasterKey
    private let kept = Mutex<[SealingTools]>([])

    /// A sealer under `key`.
    init(_ key: MasterKey) { self.key = key }

    /// A stored file of `json` and the name it must have.
    func seal(json: [UInt8]) -> (id: ContentID, bytes: [UInt8]) {
        borrow { UnpackedFile.seal(json, sealer: $0.sealer, codec: $0.codec) }
    }

    /// The JSON of a stored file of `kind`, which bounds how long it may be.
    func openJSON(_ file: [UInt8], _ kind: FileKind) throws(FormatError) -> [UInt8] {
        try json(in: open(file: file), kind)
    }

    /// What is sealed in a stored file, for ``json(in:_:)``: an index is large, and its sealed
    /// bytes need not be in memory beside its text.
    func open(file: [UInt8]) throws(FormatError) -> [UInt8] {
        try borrow { tools throws(FormatError) in try tools.sealer.open(file) }
    }

    /// The JSON in the opened bytes of a file of `kind`, which bounds how long it may be.
    func json(in plain: [UInt8], _ kind: FileKind) throws(FormatError) -> [UInt8] {
        try borrow { tools throws(FormatError) in
            try UnpackedFile.decode(
                plain, codec: tools.codec, limit: RepositoryLimits.jsonByteCount(of: kind))
        }
    }

    /// What a config file tells.
    func openConfig(_ file: [UInt8]) throws(FormatError) -> RepositoryConfig {
        try borrow { tools throws(FormatError) in
            try ConfigCodec.open(file, sealer: tools.sealer)
        }
    }

    /// The blobs of a whole pack file, whose name was checked by the caller.
    func blobs(ofPack file: [UInt8]) throws(FormatError) -> [PackedBlob] {
        try borrow { tools throws(FormatError) in
            try PackHeader.decode(pack: file, sealer: tools.sealer)
        }
    }

    /// A blob's plain bytes, proved by code, length and hash. `start` is where its sealed bytes
    /// begin in `bytes`; `malformed` when they do not lie in there whole.
    func open(
        _ blob: PackedBlob, in bytes: [UInt8], at start: Int
    ) throws(FormatError) -> [UInt8] {
        let range = try Self.range(of: blob, in: bytes, at: start)
        let plain = try borrow { tools throws(FormatError) in
            // Sound: the range was checked and the array lends its storage for the call.
            let opened = try unsafe bytes.withUnsafeBufferPointer { all throws(FormatError) in
                try unsafe tools.sealer.open(
                    UnsafeRawBufferPointer(rebasing: UnsafeRawBufferPointer(all)[range]))
            }
            guard blob.uncompressedLength != nil else { return opened }
            return try tools.codec.decompress(opened, limit: blob.plainLength)
        }
        guard plain.count == blob.plainLength, ContentID.sha256(of: plain) == blob.key.id else {
            throw FormatError(.notAuthentic, "its content has another hash")
        }
        return plain
    }

    /// Proves a blob as ``open(_:in:at:)`` does without keeping its bytes. `bytes` is its pack.
    func prove(_ blob: PackedBlob, ofPack bytes: [UInt8]) throws(FormatError) {
        let range = try Self.range(of: blob, in: bytes, at: Int(blob.offset))
        try borrow { tools throws(FormatError) in
            // Sound: the range was checked and the array lends its storage for the call.
            try unsafe bytes.withUnsafeBufferPointer { all throws(FormatError) in
                try unsafe tools.prove(
                    UnsafeRawBufferPointer(rebasing: UnsafeRawBufferPointer(all)[range]),
                    is: blob.key.id, plainLength: blob.plainLength,
                    isCompressed: blob.uncompressedLength != nil)
            }
        }
    }

    private static func range(
        of blob: PackedBlob, in bytes: [UInt8], at start: Int
    ) throws(FormatError) -> Range<Int> {
        let end = start + Int(blob.length)
        guard start >= 0, end <= bytes.count else {
            throw FormatError(.malformed, "the pack ends in the middle of it")
        }
        try RepositoryLimits.check(blob)
        return start..<end
    }

    private func borrow<Value: Sendable, Failure: Error>(
        _ body: (SealingParts) throws(Failure) -> Value
    ) throws(Failure) -> Value {
        let tools = kept.withLock { $0.popLast() } ?? SealingTools(key)
        defer {
            kept.withLock { kept in
                if kept.count < Self.keptCount { kept.append(tools) }
            }
        }
        return try tools.use(body)
    }
}
