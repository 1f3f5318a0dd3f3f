import BackupCore
import ResticFormat

/// A kind of hostile repository.
enum BadInputCase: String, CaseIterable, Sendable {
    case newerVersion, wrongKey, dearKey, deepKey
    case snapshotToNowhere, snapshotBomb, deepSnapshot
    case indexOfNoPack, indexOfOtherPlaces, indexBeyondThePack, indexOfOtherBlobs, indexBomb
    case indexQuietBomb, deepIndex
    case blobBomb, blobQuietBomb, treeBomb, deepTreeJSON
    case wideFolder, deepFolders, hostileNames
    case lockBomb

    /// Writes it into a store with good snapshots; gives words of which at least one must be in
    /// what a check or an opening says (the file, or what is wrong with it).
    func write(to store: TrialStore, _ numbers: inout TrialNumbers) throws -> [String] {
        let hostile = HostileRepository(store)
        switch self {
        case .newerVersion, .wrongKey, .dearKey, .deepKey:
            return writeOpening(hostile, store, &numbers)
        case .snapshotToNowhere, .snapshotBomb, .deepSnapshot:
            return writeSnapshot(hostile, &numbers)
        case .indexOfNoPack, .indexOfOtherPlaces, .indexBeyondThePack, .indexOfOtherBlobs,
            .indexBomb, .indexQuietBomb, .deepIndex:
            return try writeIndex(hostile, &numbers)
        case .blobBomb, .blobQuietBomb, .treeBomb, .deepTreeJSON:
            return try writeBlob(hostile, &numbers)
        case .wideFolder, .deepFolders, .hostileNames: return try writeFolders(hostile)
        case .lockBomb:
            return [hostile.add(.lock, bombOf: 8 << 30, announced: false).id.short]
        }
    }

    private static func deep(_ depth: Int) -> [UInt8] {
        Array(
            ("{\"x\":" + String(repeating: "[", count: depth)
                + String(repeating: "]", count: depth) + "}").utf8)
    }

    private func writeOpening(
        _ hostile: HostileRepository, _ store: TrialStore, _ numbers: inout TrialNumbers
    ) -> [String] {
        switch self {
        case .newerVersion:
            let id = ContentID.sha256(of: numbers.bytes(8)).hex
            hostile.writeConfig(
                "{\"version\":\(3 + numbers.below(9)),\"id\":\"\(id)\","
                    + "\"chunker_polynomial\":\"25b468838dcb75\"}")
            return ["version"]
        case .wrongKey:
            for drive in store.drives {
                TrialFiles.makeFolder("\(store.repository(drive))/keys")
            }
            let key = KeyFile.make(
                password: TrialStore.password, masterKey: .random(), hostname: "", username: "",
                created: .zero, cost: .forTests)
            hostile.add(.key, key.bytes)
            return ["damaged", "config"]
        case .dearKey:
            let salt = String(repeating: "A", count: 84) + "AA=="
            hostile.add(
                .key,
                Array(
                    ("{\"kdf\":\"scrypt\",\"N\":1073741824,\"r\":64,\"p\":64,\"salt\":\"\(salt)\","
                        + "\"data\":\"AAAA\"}").utf8))
            // The good key file beside it opens.
            return []
        default:
            hostile.add(.key, Self.deep(2_000_000))
            return []
        }
    }

    private func writeSnapshot(
        _ hostile: HostileRepository, _ numbers: inout TrialNumbers
    ) -> [String] {
        switch self {
        case .snapshotToNowhere:
            let tree = ContentID.sha256(of: numbers.bytes(8))
            hostile.snapshot(of: tree)
            return [tree.short]
        case .snapshotBomb:
            return [
                hostile.add(.snapshot, bombOf: 8 << 30, announced: numbers.chance(50)).id.short
            ]
        default: return [hostile.add(.snapshot, json: Self.deep(3_000_000)).id.short]
        }
    }

    private func writeIndex(
        _ hostile: HostileRepository, _ numbers: inout TrialNumbers
    ) throws -> [String] {
        switch self {
        case .indexBomb:
            return [hostile.add(.index, bombOf: 8 << 30, announced: true).id.short]
        case .indexQuietBomb:
            return [hostile.add(.index, bombOf: 8 << 30, announced: false).id.short]
        case .deepIndex: return [hostile.add(.index, json: Self.deep(3_000_000)).id.short]
        default: break
        }
        // A file of two blobs, and an index that tells wrongly where they lie.
        let blobs = [
            HostileRepository.Blob.plain(.data, numbers.bytes(3000)),
            .plain(.data, numbers.bytes(2000)),
        ]
        let pack = hostile.pack(blobs)
        let node = TreeNode.file(
            "lied.bin", modified: .zero, byteCount: 5000, content: blobs.map(\.key.id))
        let root = try hostile.tree([node])
        hostile.save([root])
        hostile.snapshot(of: root.key.id)
        var told = pack
        switch self {
        case .indexOfNoPack:
            told = IndexedPack(id: .sha256(of: numbers.bytes(8)), blobs: pack.blobs)
        case .indexOfOtherPlaces:
            told = IndexedPack(
                id: pack.id,
                blobs: [
                    Self.moved(pack.blobs[0], to: pack.blobs[1]),
                    Self.moved(pack.blobs[1], to: pack.blobs[0]),
                ])
        case .indexBeyondThePack:
            let blob = pack.blobs[1]
            told = IndexedPack(
                id: pack.id,
                blobs: [
                    pack.blobs[0],
                    PackedBlob(
                        key: blob.key, offset: blob.offset, length: .max - 10_000,
                        uncompressedLength: nil),
                ])
        default:
            told = IndexedPack(
                id: pack.id,
                blobs: pack.blobs.map {
                    PackedBlob(
                        key: BlobKey(.data, .sha256(of: $0.key.id.bytes)), offset: $0.offset,
                        length: $0.length, uncompressedLength: 4_000_000_000)
                })
        }
        hostile.add(.index, json: IndexCodec.encode([told]))
        return [told.id.short, pack.id.short] + blobs.map(\.key.id.short)
    }

    private static func moved(_ blob: PackedBlob, to place: PackedBlob) -> PackedBlob {
        PackedBlob(
            key: blob.key, offset: place.offset, length: place.length, uncompressedLength: nil)
    }

    private func writeBlob(
        _ hostile: HostileRepository, _ numbers: inout TrialNumbers
    ) throws -> [String] {
        let id = ContentID.sha256(of: numbers.bytes(8))
        if self == .deepTreeJSON {
            let blob = hostile.compressed(.tree, Self.deep(3_000_000))
            hostile.save([blob])
            hostile.snapshot(of: blob.key.id)
            return [blob.key.id.short]
        }
        let kind: BlobKind = self == .treeBomb ? .tree : .data
        let content = HostileRepository.bomb(3 << 30, announced: self != .blobQuietBomb)
        let bomb = HostileRepository.Blob(
            key: BlobKey(kind, id), content: content, uncompressedLength: 3 << 30)
        if kind == .tree {
            hostile.save([bomb])
            hostile.snapshot(of: id)
        } else {
            let node = TreeNode.file("bomb.bin", modified: .zero, byteCount: 1000, content: [id])
            let root = try hostile.tree([node])
            hostile.save([bomb])
            hostile.save([root])
            hostile.snapshot(of: root.key.id)
        }
        return [id.short]
    }

    private func writeFolders(_ hostile: HostileRepository) throws -> [String] {
        switch self {
        case .wideFolder:
            let blob = hostile.compressed(.tree, Self.wide(10_000_000))
            hostile.save([blob])
            hostile.snapshot(of: blob.key.id)
            return [blob.key.id.short]
        case .deepFolders:
            var blob = try hostile.tree([])
            var blobs = [blob]
            for _ in 0..<100_000 {
                blob = try hostile.tree([
                    .directory("d", modified: .zero, subtree: blob.key.id)
                ])
                blobs.append(blob)
            }
            hostile.save(blobs)
            hostile.snapshot(of: blob.key.id)
            return []
        default:
            let names: [EntryName] = [
                "../../escaped", "..", ".", "a/b", "", EntryName(bytes: [0x61, 0, 0x62]),
                EntryName(bytes: [UInt8](repeating: 0x6E, count: 70_000)), "/etc/passwd",
            ]
            let content = HostileRepository.Blob.plain(.data, Array("escaped".utf8))
            let json = names.map { name in
                TreeNode.file(
                    name, modified: .zero, byteCount: 7, content: [content.key.id])
            }
            hostile.save([content])
            for node in json {
                // Encoded one by one: a codec that refuses one must not hide the others.
                guard let blob = try? hostile.tree([node]) else { continue }
                hostile.save([blob])
                hostile.snapshot(of: blob.key.id)
            }
            return []
        }
    }

    /// The JSON of a folder of `count` entries, each as short as may be.
    private static func wide(_ count: Int) -> [UInt8] {
        var json = Array("{\"nodes\":[".utf8)
        json.reserveCapacity(count * 48)
        for number in 0..<count {
            if number > 0 { json.append(UInt8(ascii: ",")) }
            json += Array("{\"name\":\"".utf8)
            var digits = String(number)
            digits = String(repeating: "0", count: 8 - digits.count) + digits
            json += Array(digits.utf8)
            json += Array("\",\"type\":\"file\"}".utf8)
        }
        json += Array("]}\n".utf8)
        return json
    }
}
