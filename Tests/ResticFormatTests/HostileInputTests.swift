import BackupCore
import Testing

@testable import ResticFormat

/// Mutated input never traps, and what is still accepted is stable. The seed is in each failure
/// and, because a trap ends the process, printed at the start.
@Suite struct HostileInputTests {
    private static let seed = UInt64.random(in: 1...UInt64.max)
    private let id = ContentID.sha256(of: [1])

    /// Gives mutants of `original` to `read`, which may refuse them with a ``FormatError`` and
    /// nothing else, and what it accepts to `check`, which must not fail.
    private func mutate<Value>(
        _ name: String, _ original: [UInt8], times: Int = 4000, read: ([UInt8]) throws -> Value,
        check: (Value) throws -> Void
    ) {
        print("\(name): seed \(Self.seed)")
        var random = SeededRandom(seed: Self.seed)
        var accepted = 0
        for _ in 0..<times {
            var mutant = original
            for _ in 0..<Int.random(in: 1...3, using: &random) { change(&mutant, &random) }
            do {
                let value = try read(mutant)
                accepted += 1
                do { try check(value) } catch {
                    Issue.record("\(name): \(error) after reading, seed \(Self.seed)")
                }
            } catch {
                #expect(error is FormatError, "\(name): \(error), seed \(Self.seed)")
            }
        }
        #expect(accepted < times, "\(name): no mutant was refused, seed \(Self.seed)")
    }

    private func change(_ bytes: inout [UInt8], _ random: inout SeededRandom) {
        let position = Int.random(in: 0...bytes.count, using: &random)
        let tokens = [
            "\"", "\\", "{", "[", "}", "]", ",", ":", "null", "9999999999999999999", "-1",
        ]
        switch Int.random(in: 0..<6, using: &random) {
        case 0 where position < bytes.count:
            bytes[position] = UInt8.random(in: 0...255, using: &random)
        case 1 where position < bytes.count:
            bytes[position] ^= 1 << UInt8.random(in: 0..<8, using: &random)
        case 2: bytes.removeSubrange(position..<min(bytes.count, position + 9))
        case 3: bytes.removeSubrange(position...)
        case 4: bytes.insert(contentsOf: bytes.suffix(20), at: position)
        default:
            let token = tokens.randomElement(using: &random) ?? ""
            bytes.insert(contentsOf: token.utf8, at: position)
        }
    }

    @Test func trees() throws {
        let nodes = [
            TreeNode.file(
                EntryName(bytes: [0xFF, 0x22, 0xE2, 0x80, 0xA8]), modified: Timestamp(seconds: 7),
                byteCount: 9, content: [id, id]),
            TreeNode.directory("dir", modified: .zero, subtree: id),
            TreeNode(
                name: "l", kind: .symbolicLink(target: [0xFF, 0x41]), modified: .zero, mode: 1,
                byteCount: 0, content: [], subtree: nil),
        ]
        mutate("trees", try TreeCodec.encode(nodes)) { mutant in
            try TreeCodec.encode(TreeCodec.decode(mutant))
        } check: { encoded in
            let again = try TreeCodec.encode(TreeCodec.decode(encoded))
            #expect(again == encoded, "seed \(Self.seed)")
        }
    }

    @Test func indexes() {
        let blob = PackedBlob(
            key: BlobKey(.tree, id), offset: 4, length: 55, uncompressedLength: 99)
        mutate("indexes", IndexCodec.encode([IndexedPack(id: id, blobs: [blob, blob])])) { mutant in
            try IndexCodec.decode(mutant)
        } check: { packs in
            let again = try IndexCodec.decode(IndexCodec.encode(packs))
            #expect(again == packs, "seed \(Self.seed)")
        }
    }

    @Test func snapshots() {
        let draft = SnapshotDraft(
            time: Timestamp(seconds: 1, nanoseconds: 5), utcOffsetSeconds: 60, tree: id,
            parent: id, paths: ["/a"], hostname: "h", username: "u", tags: ["t"])
        mutate("snapshots", SnapshotCodec.encode(draft, program: "p")) { mutant in
            try SnapshotCodec.decode(mutant)
        } check: { draft in
            let again = try SnapshotCodec.decode(SnapshotCodec.encode(draft, program: ""))
            #expect(again.tree == draft.tree && again.tags == draft.tags, "seed \(Self.seed)")
        }
    }

    @Test func locks() {
        let lock = LockRecord(
            time: .zero, isExclusive: true, hostname: "h", username: "u", processID: 3)
        mutate("locks", LockCodec.encode(lock)) { mutant in
            try LockCodec.decode(mutant)
        } check: { lock in
            let again = try LockCodec.decode(LockCodec.encode(lock))
            #expect(again.isExclusive == lock.isExclusive, "seed \(Self.seed)")
        }
    }

    @Test func configs() {
        mutate("configs", ConfigCodec.encode(.random())) { mutant in
            try ConfigCodec.decode(mutant)
        } check: { config in
            let again = try ConfigCodec.decode(ConfigCodec.encode(config))
            #expect(again == config, "seed \(Self.seed)")
        }
    }

    @Test func packHeaders() throws {
        let sealer = Sealer(.random())
        let blobs = [UInt32(40), 300].map {
            PackedBlob(key: BlobKey(.data, id), offset: 0, length: $0, uncompressedLength: $0)
        }
        let end = PackHeader.encode(blobs, sealer: sealer)
        let header = try sealer.open(Array(end.dropLast(PackHeader.trailerCount)))
        mutate("pack headers", header) { mutant in
            (mutant, try PackHeader.decode(mutant))
        } check: { mutant, decoded in
            let encoded = PackHeader.encode(decoded, sealer: sealer)
            let plain = try sealer.open(Array(encoded.dropLast(PackHeader.trailerCount)))
            #expect(plain == mutant, "seed \(Self.seed)")
        }
        let pack = [UInt8](repeating: 1, count: 340) + end
        #expect(try PackHeader.decode(pack: pack, sealer: sealer).map(\.offset) == [0, 40])
        mutate("packs", pack) { mutant in
            _ = try PackHeader.decode(pack: mutant, sealer: sealer)
            return mutant
        } check: { mutant in
            // Only the blobs before the header may have changed, in place.
            #expect(mutant.count == pack.count && mutant[340...] == pack[340...])
        }
    }

    @Test func framesAndEnvelopes() {
        let codec = ZstdCodec()
        let plain = UnpackedFile.encode(seededBytes(3000, seed: 1).map { $0 & 7 }, codec: codec)
        mutate("envelopes", plain) { mutant in
            try UnpackedFile.decode(mutant, codec: codec)
        } check: { json in
            #expect(json.count <= UnpackedFile.maximumByteCount)
        }
        mutate("frames", Array(plain.dropFirst())) { mutant in
            try codec.decompress(mutant, limit: 5000)
        } check: { content in
            #expect(content.count <= 5000, "seed \(Self.seed)")
        }
    }

    @Test func keyFiles() {
        let key = MasterKey.random()
        let file = KeyFile.make(
            password: "p", masterKey: key, hostname: "h", username: "u", created: .zero,
            cost: .forTests
        ).bytes
        mutate("key files", file, times: 1000) { mutant in
            try KeyFile.open(mutant, password: "p")
        } check: { opened in
            #expect(opened == nil || opened == key, "seed \(Self.seed)")
        }
    }

    @Test func folderOfMoreThanAMillionEntriesIsRefused() throws {
        let node = #"{"name":"a","type":"file"},"#
        var json = Array(#"{"nodes":["#.utf8)
        for _ in 0..<TreeCodec.maximumEntryCount { json += node.utf8 }
        let most = json.dropLast() + Array("]}".utf8)
        #expect(try TreeCodec.decode(Array(most)).count == TreeCodec.maximumEntryCount)
        #expect(code { try TreeCodec.decode(json + Array(node.dropLast().utf8)) } == .limitExceeded)
    }

    @Test func nestingIsRefusedBeforeItEndsTheStack() {
        let deep = Array(repeating: UInt8(ascii: "["), count: 1_000_000)
        #expect(code { try IndexCodec.decode(Array(#"{"x":"#.utf8) + deep) } == .limitExceeded)
    }

    @Test(arguments: [true, false])
    func frameThatInflatesTooFarIsRefused(announcesItsSize: Bool) {
        let bomb = zstdBomb(byteCount: 2 << 30, announcesItsSize: announcesItsSize)
        #expect(bomb.count < 100_000)
        let codec = ZstdCodec()
        for limit in [100, 16 << 20] {
            #expect(code { try codec.decompress(bomb, limit: limit) } == .limitExceeded)
            #expect(
                code { try UnpackedFile.decode([2] + bomb, codec: codec, limit: limit) }
                    == .limitExceeded)
        }
    }

    @Test func jsonThatIsNotCompressedHasTheSameLimit() {
        let json = Array("{}".utf8) + Array(repeating: 0x20, count: 99)
        let codec = ZstdCodec()
        #expect(code { try UnpackedFile.decode(json, codec: codec, limit: 100) } == .limitExceeded)
        #expect(code { try UnpackedFile.decode(json, codec: codec, limit: 101) } == nil)
    }

    private func code<Value>(_ body: () throws -> Value) -> FormatError.Code? {
        do {
            _ = try body()
            return nil
        } catch {
            return (error as? FormatError)?.code
        }
    }

    /// A frame of `byteCount` zeros, a multiple of 128 KiB, in blocks that say "so many times 0"
    /// (RFC 8878, 3.1.1).
    private func zstdBomb(byteCount: UInt64, announcesItsSize: Bool) -> [UInt8] {
        let blockCount: UInt64 = 128 << 10
        var frame: [UInt8] = [0x28, 0xB5, 0x2F, 0xFD]
        // Descriptor and window of 128 KiB; with eight bytes of content size or without.
        frame += announcesItsSize ? [0xC0, 0x38] : [0x00, 0x38]
        if announcesItsSize {
            for shift in stride(from: UInt64(0), to: 64, by: 8) {
                frame.append(UInt8(truncatingIfNeeded: byteCount >> shift))
            }
        }
        for block in 1...byteCount / blockCount {
            let isLast: UInt64 = block == byteCount / blockCount ? 1 : 0
            let header = blockCount << 3 | 1 << 1 | isLast
            frame += (0..<3).map { UInt8(truncatingIfNeeded: header >> (8 * $0)) } + [0]
        }
        return frame
    }
}
