import BackupCore
import ResticFormat
import Testing

@testable import ResticRepository

@Suite struct BlobIndexTests {
    @Test(arguments: [1, 2, 3] as [UInt64])
    func indexFindsWhatADictionaryFinds(seed: UInt64) {
        var generator = SeededGenerator(seed: seed)
        var index = BlobIndex()
        var expected: [BlobKey: [BlobPlace]] = [:]
        let ids = (0..<3000).map { _ in id(&generator) }
        for _ in 0..<400 {
            let pack = id(&generator)
            var offset: UInt32 = 0
            var blobs: [PackedBlob] = []
            for _ in 0..<(1 + generator.next() % 40) {
                let blob = PackedBlob(
                    key: BlobKey(
                        generator.next() % 5 == 0 ? .tree : .data,
                        ids[Int(generator.next() % 3000)]),
                    offset: offset, length: 32 + UInt32(generator.next() % 5000),
                    uncompressedLength: generator.next() % 2 == 0 ? nil : 77)
                offset += blob.length
                blobs.append(blob)
                expected[blob.key, default: []].append(BlobPlace(pack: pack, blob: blob))
            }
            index.add(pack: pack, blobs: blobs, isPresent: true)
        }
        for kind in BlobKind.allCases {
            for id in ids {
                let key = BlobKey(kind, id)
                let found = index.matches(key).map { index.place(of: $0) }
                #expect(found == expected[key] ?? [], "seed \(seed)")
                #expect(index.holds(key) == (expected[key] != nil))
            }
        }
    }

    @Test func onlyPacksThatArePresentHoldTheirBlobs() {
        var generator = SeededGenerator(seed: 5)
        let key = BlobKey(.data, id(&generator))
        let blob = PackedBlob(key: key, offset: 0, length: 100, uncompressedLength: nil)
        let (absent, present) = (id(&generator), id(&generator))
        var index = BlobIndex()
        index.add(pack: absent, blobs: [blob], isPresent: false)
        #expect(!index.holds(key))
        #expect(index.matches(key).count == 1, "it can still be tried")
        index.add(pack: present, blobs: [blob], isPresent: true)
        #expect(index.holds(key))
        #expect(index.matches(key).map { index.place(of: $0).pack } == [present, absent])
    }

    @Test func packInTwoIndexesCountsOnce() {
        var generator = SeededGenerator(seed: 6)
        let pack = id(&generator)
        let blobs = (0..<10).map { number in
            PackedBlob(
                key: BlobKey(.data, id(&generator)), offset: UInt32(number) * 100, length: 100,
                uncompressedLength: nil)
        }
        var index = BlobIndex()
        index.add(pack: pack, blobs: Array(blobs[..<6]), isPresent: true)
        index.add(pack: id(&generator), blobs: Array(blobs[..<2]), isPresent: true)
        index.add(pack: pack, blobs: blobs, isPresent: true)
        #expect(index.count == 12)
        #expect(index.entries(ofPack: pack).map { index.place(of: $0).blob } == blobs)
    }

    @Test func extentsEndWithWholeBlobsOfOnePack() {
        var generator = SeededGenerator(seed: 7)
        let blobs = (0..<10).map { number in
            PackedBlob(
                key: BlobKey(.data, id(&generator)), offset: UInt32(number) * 100, length: 100,
                uncompressedLength: nil)
        }
        var index = BlobIndex()
        index.add(pack: id(&generator), blobs: blobs, isPresent: true)
        index.add(pack: id(&generator), blobs: blobs, isPresent: true)
        #expect(index.extent(from: 0, limit: 350) == 300)
        #expect(index.extent(from: 8, limit: 10_000) == 200)
        #expect(index.extent(from: 3, limit: 10) == 100)
    }

    private func id(_ generator: inout SeededGenerator) -> ContentID {
        ContentID(
            words: (generator.next(), generator.next(), generator.next(), generator.next()))
    }
}
