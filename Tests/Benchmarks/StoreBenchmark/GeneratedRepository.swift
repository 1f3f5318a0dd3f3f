import BackupCore
import CSystem
import Drives
import Glibc
import ResticFormat

/// Fills a repository with indexes and snapshots of a life's photos in a moment: what they name is
/// there with the right size, but only the snapshots' one empty folder has content.
struct GeneratedRepository {
    private static let blobsPerPack = 20
    private static let packsPerIndex = 2_500
    private static let emptyTree = Array("{\"nodes\":[]}\n".utf8)

    private let backend: DriveBackend
    private let folder: String
    private let sealer: Sealer
    private let codec = ZstdCodec()

    /// A generator for the repository of `backend` on the drive at `path`.
    init(on backend: DriveBackend, path: String, key: MasterKey) {
        self.backend = backend
        folder = "\(path)/\(Drive.folderName)/repositories/\(backend.owner)"
        sealer = Sealer(key)
    }

    /// Adds `snapshots` snapshots and `blobs` blobs.
    func fill(snapshots: Int, blobs: Int) async throws {
        let tree = try await addEmptyFolder()
        for number in 0..<snapshots {
            let draft = SnapshotDraft(
                time: Timestamp(seconds: 1_600_000_000 + Int64(number) * 86_400),
                utcOffsetSeconds: 0, tree: tree, parent: nil, paths: ["/"], hostname: "benchmark",
                username: "benchmark", tags: ["run=\(number)"])
            try await write(.snapshot, SnapshotCodec.encode(draft, program: "store-benchmark"))
        }
        var packs: [IndexedPack] = []
        for start in stride(from: 0, to: blobs, by: Self.blobsPerPack) {
            let pack = randomPack(blobCount: min(Self.blobsPerPack, blobs - start))
            try makeHollow(pack)
            packs.append(pack)
            if packs.count == Self.packsPerIndex {
                try await write(.index, IndexCodec.encode(packs))
                packs = []
            }
        }
        if !packs.isEmpty { try await write(.index, IndexCodec.encode(packs)) }
        try await backend.flush()
    }

    private func addEmptyFolder() async throws -> ContentID {
        let id = ContentID.sha256(of: Self.emptyTree)
        var pack = sealer.seal(Self.emptyTree)
        let blob = PackedBlob(
            key: BlobKey(.tree, id), offset: 0, length: UInt32(pack.count), uncompressedLength: nil)
        pack += PackHeader.encode([blob], sealer: sealer)
        let name = ContentID.sha256(of: pack)
        try await backend.write(FileName(.data, name), pack)
        try await write(.index, IndexCodec.encode([IndexedPack(id: name, blobs: [blob])]))
        return id
    }

    private func write(_ kind: FileKind, _ json: [UInt8]) async throws {
        let file = UnpackedFile.seal(json, sealer: sealer, codec: codec)
        try await backend.write(FileName(kind, file.id), file.bytes)
    }

    private func randomPack(blobCount: Int) -> IndexedPack {
        var offset: UInt32 = 0
        let blobs = (0..<blobCount).map { _ in
            let length = UInt32.random(in: 500_000...1_200_000)
            defer { offset += length }
            return PackedBlob(
                key: BlobKey(.data, randomID()), offset: offset, length: length,
                uncompressedLength: Bool.random() ? length + 100_000 : nil)
        }
        return IndexedPack(id: randomID(), blobs: blobs)
    }

    private func randomID() -> ContentID { ContentID.sha256(of: secureRandomBytes(16)) }

    /// A file of the pack's size without bytes of its own.
    private func makeHollow(_ pack: IndexedPack) throws {
        let path = "\(folder)/\(FileName(.data, pack.id).relativePath)"
        // Sound: the text is lent NUL-terminated for the call.
        let file = unsafe path.withCString {
            unsafe holdfast_openat(AT_FDCWD, $0, O_WRONLY | O_CREAT | O_EXCL, 0o400)
        }
        guard file >= 0, ftruncate(file, off_t(clamping: pack.byteCount)) == 0, close(file) == 0
        else { throw BackendError(.io, "\(path) cannot be made", nativeCode: errno) }
    }
}
