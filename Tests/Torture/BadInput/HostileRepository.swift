import BackupCore
import ResticFormat

/// Writes files into a repository that no program of good will would write: sealed with the right
/// key, under their right names, on every drive.
struct HostileRepository {
    let store: TrialStore
    private let sealer: Sealer
    private let codec = ZstdCodec()

    init(_ store: TrialStore) {
        self.store = store
        sealer = Sealer(store.key)
    }

    /// Puts bytes on every drive; what is named by hash gets its right name.
    @discardableResult
    func add(_ kind: FileKind, _ bytes: [UInt8]) -> FileName {
        let name: FileName = kind == .config ? .config : FileName(kind, .sha256(of: bytes))
        for drive in store.drives { TrialFiles.write(store.path(name, on: drive), bytes) }
        return name
    }

    /// A sealed file of compressed JSON.
    @discardableResult
    func add(_ kind: FileKind, json: [UInt8]) -> FileName {
        add(kind, UnpackedFile.seal(json, sealer: sealer, codec: codec).bytes)
    }

    /// A sealed file whose frame holds `byteCount` bytes of one kind.
    @discardableResult
    func add(_ kind: FileKind, bombOf byteCount: Int, announced: Bool) -> FileName {
        add(kind, sealer.seal([2] + Self.bomb(byteCount, announced: announced)))
    }

    /// The config, as another version of the format would have it.
    func writeConfig(_ json: String) { add(.config, sealer.seal(Array(json.utf8))) }

    // MARK: Blobs

    /// A blob for a pack, sealed; `content` is what the pack holds for it before sealing.
    struct Blob {
        var key: BlobKey
        var content: [UInt8]
        var uncompressedLength: UInt32?

        /// Plain bytes under their right name.
        static func plain(_ kind: BlobKind, _ bytes: [UInt8]) -> Blob {
            Blob(key: BlobKey(kind, .sha256(of: bytes)), content: bytes, uncompressedLength: nil)
        }
    }

    /// Compressed bytes under their right name.
    func compressed(_ kind: BlobKind, _ bytes: [UInt8]) -> Blob {
        Blob(
            key: BlobKey(kind, .sha256(of: bytes)), content: codec.compress(bytes),
            uncompressedLength: UInt32(clamping: bytes.count))
    }

    /// A pack of `blobs` without an index of it.
    func pack(_ blobs: [Blob]) -> IndexedPack {
        var bytes: [UInt8] = []
        var packed: [PackedBlob] = []
        for blob in blobs {
            let sealed = sealer.seal(blob.content)
            packed.append(
                PackedBlob(
                    key: blob.key, offset: UInt32(bytes.count), length: UInt32(sealed.count),
                    uncompressedLength: blob.uncompressedLength))
            bytes += sealed
        }
        bytes += PackHeader.encode(packed, sealer: sealer)
        return IndexedPack(id: add(.data, bytes).id, blobs: packed)
    }

    /// A pack and its index.
    @discardableResult
    func save(_ blobs: [Blob]) -> IndexedPack {
        let pack = pack(blobs)
        add(.index, json: IndexCodec.encode([pack]))
        return pack
    }

    /// A folder's blob, whose names are taken as they are.
    func tree(_ nodes: [TreeNode]) throws -> Blob {
        compressed(.tree, try TreeCodec.encode(nodes))
    }

    /// A snapshot of the folder `root`.
    @discardableResult
    func snapshot(of root: ContentID) -> FileName {
        let draft = SnapshotDraft.of(
            phone: TrialStore.phone, capture: .media, run: RunID(trusted: "hostile"),
            partial: false, tree: root, parent: nil, time: TrialStore.clock.now(),
            utcOffsetSeconds: 0, hostname: "trial")
        return add(.snapshot, json: SnapshotCodec.encode(draft, program: "trial"))
    }

    // MARK: Bombs

    /// A zstd frame of four bytes for each 128 KiB of spaces (RFC 8878, 3.1.1: blocks that repeat
    /// one byte), which announces its size or does not.
    static func bomb(_ byteCount: Int, announced: Bool) -> [UInt8] {
        let block = 128 << 10
        // Descriptor (content size of 8 bytes or none), then a window of 128 KiB.
        var frame: [UInt8] = [0x28, 0xB5, 0x2F, 0xFD, announced ? 0xC0 : 0x00, 0x38]
        if announced {
            for shift in stride(from: 0, to: 64, by: 8) {
                frame.append(UInt8(truncatingIfNeeded: UInt64(byteCount) >> UInt64(shift)))
            }
        }
        var rest = byteCount
        while rest > 0 {
            let count = min(rest, block)
            rest -= count
            let header = (rest == 0 ? 1 : 0) | 1 << 1 | count << 3
            for shift in [0, 8, 16] { frame.append(UInt8(truncatingIfNeeded: header >> shift)) }
            frame.append(UInt8(ascii: " "))
        }
        return frame
    }
}
