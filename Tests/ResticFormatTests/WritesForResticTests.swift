import BackupCore
import Foundation
import Testing

@testable import ResticFormat

/// What we write, judged by restic.
@Suite(.serialized) struct WritesForResticTests {
    @Test func resticAcceptsARepositoryMadeByHand() throws {
        let oracle = try ResticOracle()
        let made = NewRepository.make(
            passwords: ["other", ResticOracle.password], hostname: "box",
            created: Timestamp(seconds: 1_700_000_000), cost: .forTests)
        let content = seededBytes(3 << 20, seed: 5)
        let text = Array("compressible ".utf8) + [UInt8](repeating: 0x20, count: 50_000)
        let folder = [
            TreeNode.file(
                "photo <1>.jpg",
                modified: Timestamp(seconds: 1_600_000_000, nanoseconds: 120_000_000),
                byteCount: UInt64(content.count), content: [.sha256(of: content)]),
            TreeNode.file(
                EntryName(bytes: [0x61, 0xFF, 0x22]), modified: Timestamp(seconds: .max),
                byteCount: UInt64(text.count), content: [.sha256(of: text)]),
            TreeNode.file(
                "empty", modified: Timestamp(seconds: .min), byteCount: 0, content: []),
        ]
        let tree = try TreeCodec.encode(folder)
        let root = try TreeCodec.encode([
            .directory("e\u{301}", modified: .zero, subtree: .sha256(of: tree))
        ])
        var writer = HandWriter(key: made.masterKey)
        let packs = [
            writer.pack([content, text], .data), writer.pack([tree, root], .tree),
        ]
        let snapshot = writer.snapshot(of: root)
        let index = UnpackedFile.seal(
            IndexCodec.encode(packs.map(\.indexed)), sealer: writer.sealer, codec: writer.codec)

        for key in made.keys {
            try oracle.store(key.bytes, as: FileName(.key, key.id).relativePath)
        }
        for pack in packs {
            try oracle.store(pack.bytes, as: FileName(.data, pack.indexed.id).relativePath)
        }
        try oracle.store(index.bytes, as: FileName(.index, index.id).relativePath)
        try oracle.store(snapshot.bytes, as: FileName(.snapshot, snapshot.id).relativePath)
        try oracle.store(made.config, as: "config")

        let shown = String(
            decoding: try oracle.restic("cat", "config", password: "other"), as: UTF8.self)
        #expect(shown.contains(made.id.hex))
        // `check` takes a lock, so restic also writes beside our files.
        try oracle.restic("check", "--read-data")
        #expect(
            Array(try oracle.restic("cat", "blob", ContentID.sha256(of: tree).hex)) == tree)
        #expect(
            Array(try oracle.restic("dump", "latest", "/e\u{301}/photo <1>.jpg")) == content)
        let snapshots = String(
            decoding: try oracle.restic("snapshots", "--json", "--tag", "phone:p<1>"),
            as: UTF8.self)
        #expect(snapshots.contains("2024-03-01T01:30:00.5+05:30"))
        #expect(snapshots.contains(snapshot.id.hex))
    }
}

/// Packs and a snapshot put together in memory.
struct HandWriter {
    let sealer: Sealer
    let codec = ZstdCodec()

    init(key: MasterKey) { sealer = Sealer(key) }

    mutating func pack(
        _ blobs: [[UInt8]], _ kind: BlobKind
    ) -> (indexed: IndexedPack, bytes: [UInt8]) {
        var bytes: [UInt8] = []
        var entries: [PackedBlob] = []
        for blob in blobs {
            let frame = codec.compressedIfSmaller(blob)
            let sealed = sealer.seal(frame ?? blob)
            entries.append(
                PackedBlob(
                    key: BlobKey(kind, .sha256(of: blob)), offset: UInt32(bytes.count),
                    length: UInt32(sealed.count),
                    uncompressedLength: frame == nil ? nil : UInt32(blob.count)))
            bytes += sealed
        }
        bytes += PackHeader.encode(entries, sealer: sealer)
        return (IndexedPack(id: .sha256(of: bytes), blobs: entries), bytes)
    }

    func snapshot(of root: [UInt8]) -> (id: ContentID, bytes: [UInt8]) {
        let draft = SnapshotDraft(
            time: Timestamp(seconds: 1_709_236_800 - 0, nanoseconds: 500_000_000),
            utcOffsetSeconds: 19_800, tree: .sha256(of: root), parent: nil, paths: ["/p/media"],
            hostname: "box", username: "holdfast", tags: ["phone:p<1>", "partial"])
        return UnpackedFile.seal(
            SnapshotCodec.encode(draft, program: "holdfast test"), sealer: sealer, codec: codec)
    }
}
