import BackupCore
import ResticFormat

/// A blob and the pack it lies in.
struct BlobPlace: Hashable, Sendable {
    let pack: ContentID
    let blob: PackedBlob

    /// The blob's sealed bytes in the pack file.
    var range: Range<UInt64> {
        UInt64(blob.offset)..<UInt64(blob.offset) + UInt64(blob.length)
    }
}

/// Which blobs a repository holds and where: the content of all its index files.
///
/// One million blobs take about 60 MB: entries of 48 bytes lie in segments that never move, and
/// an open-addressing table of four-byte entry numbers finds them. Every location of a blob that
/// is stored twice is kept, because one of them may be damaged.
struct BlobIndex: Sendable {
    /// A pack as the index files describe it.
    struct Pack: Sendable {
        let id: ContentID
        /// Whether a drive holds it with the right size, so that its blobs count as held.
        var isPresent: Bool
        /// Its first entry and how many there are, in one run unless two indexes name the pack.
        let firstEntry: Int
        var entryCount = 0
    }

    private struct Entry {
        let id: ContentID
        /// The pack's number, with the highest bit set for a tree blob.
        let packAndKind: UInt32
        let offset: UInt32
        let length: UInt32
        /// 0 for a blob that is not compressed.
        let uncompressedLength: UInt32

        static var treeBit: UInt32 { 1 << 31 }
        var pack: Int { Int(packAndKind & ~Self.treeBit) }
        var kind: BlobKind { packAndKind & Self.treeBit == 0 ? .data : .tree }
    }

    private static let segmentBits = 13
    private static let segmentSize = 1 << segmentBits
    /// More places of one blob are not looked up: an index that lists one a million times would
    /// make each look-up a walk over all of them.
    private static let placesPerID = 32

    private var segments: [[Entry]] = []
    /// The number of blobs, every location counted.
    private(set) var count = 0
    private var table: IDTable
    private(set) var packs: [Pack] = []
    private var packTable: IDTable

    /// An index of nothing that expects so many packs and blobs.
    init(packCount: Int = 0, blobCount: Int = 0) {
        packs.reserveCapacity(packCount)
        packTable = IDTable(expectedCount: packCount)
        table = IDTable(expectedCount: blobCount)
    }

    /// Adds a pack's blobs; ones that are known at the same place are not added again.
    mutating func add(pack id: ContentID, blobs: [PackedBlob], isPresent: Bool) {
        var mayRepeat = true
        let number: Int
        if let known = packNumber(id) {
            number = known
            packs[number].isPresent = packs[number].isPresent && isPresent
        } else {
            number = packs.count
            packs.append(Pack(id: id, isPresent: isPresent, firstEntry: count))
            packTable.add(number, id, idOf: { [packs] in packs[$0].id })
            mayRepeat = false
        }
        for blob in blobs {
            if mayRepeat,
                entryNumbers(blob.key).contains(where: { isAt($0, number, blob.offset) })
            {
                continue
            }
            packs[number].entryCount += 1
            let treeBit = blob.key.kind == .tree ? Entry.treeBit : 0
            append(
                Entry(
                    id: blob.key.id, packAndKind: UInt32(number) | treeBit, offset: blob.offset,
                    length: blob.length, uncompressedLength: blob.uncompressedLength ?? 0))
        }
    }

    /// Whether a pack that is present holds the blob.
    func holds(_ key: BlobKey) -> Bool {
        var slot = table.firstSlot(key.id)
        while let number = table.number(at: slot) {
            let entry = self[entry: number]
            if entry.id == key.id, entry.kind == key.kind, packs[entry.pack].isPresent {
                return true
            }
            slot = table.slot(after: slot)
        }
        return false
    }

    /// Whether an index file names `pack`.
    func names(pack id: ContentID) -> Bool { packNumber(id) != nil }

    /// The numbers of the blob's entries, those in packs that are present first.
    func matches(_ key: BlobKey) -> [Int] {
        let all = entryNumbers(key)
        return all.filter(isPresent) + all.filter { !isPresent($0) }
    }

    /// The numbers of the blob's entries in packs that are present.
    func presentMatches(_ key: BlobKey) -> [Int] { entryNumbers(key).filter(isPresent) }

    /// The numbers of all entries of a pack. It looks at the whole index unless the pack's
    /// entries follow each other, which they do when one index file names it.
    func entries(ofPack id: ContentID) -> [Int] {
        guard let number = packNumber(id) else { return [] }
        let pack = packs[number]
        let run = pack.firstEntry..<pack.firstEntry + pack.entryCount
        if run.upperBound <= count, run.allSatisfy({ self[entry: $0].pack == number }) {
            return Array(run)
        }
        return (0..<count).filter { self[entry: $0].pack == number }
    }

    private func entryNumbers(_ key: BlobKey) -> [Int] {
        var found: [Int] = []
        var slot = table.firstSlot(key.id)
        while let number = table.number(at: slot) {
            let entry = self[entry: number]
            if entry.id == key.id, entry.kind == key.kind { found.append(number) }
            slot = table.slot(after: slot)
        }
        return found
    }

    private func isPresent(_ number: Int) -> Bool { packs[self[entry: number].pack].isPresent }

    /// The blob of entry `number` and where it lies.
    func place(of number: Int) -> BlobPlace {
        let entry = self[entry: number]
        return BlobPlace(
            pack: packs[entry.pack].id,
            blob: PackedBlob(
                key: BlobKey(entry.kind, entry.id), offset: entry.offset, length: entry.length,
                uncompressedLength: entry.uncompressedLength == 0
                    ? nil : entry.uncompressedLength))
    }

    /// How far a read that starts at entry `number` may go, so that it ends with a whole blob:
    /// the bytes of the entry and of those right behind it, at most `limit` unless the entry
    /// itself is longer. A pack's entries stand in the order of its bytes.
    func extent(from number: Int, limit: UInt32) -> UInt32 {
        let first = self[entry: number]
        var length = first.length
        var next = number + 1
        while next < count {
            let entry = self[entry: next]
            guard entry.pack == first.pack,
                UInt64(entry.offset) == UInt64(first.offset) + UInt64(length),
                UInt64(length) + UInt64(entry.length) <= UInt64(limit)
            else { break }
            length += entry.length
            next += 1
        }
        return length
    }

    private subscript(entry number: Int) -> Entry {
        segments[number >> Self.segmentBits][number & (Self.segmentSize - 1)]
    }

    private func isAt(_ number: Int, _ pack: Int, _ offset: UInt32) -> Bool {
        let entry = self[entry: number]
        return entry.pack == pack && entry.offset == offset
    }

    private func packNumber(_ id: ContentID) -> Int? {
        var slot = packTable.firstSlot(id)
        while let number = packTable.number(at: slot) {
            if packs[number].id == id { return number }
            slot = packTable.slot(after: slot)
        }
        return nil
    }

    private mutating func append(_ entry: Entry) {
        if count >> Self.segmentBits == segments.count {
            segments.append([])
            segments[segments.count - 1].reserveCapacity(
                segments.count == 1 ? 1024 : Self.segmentSize)
        }
        segments[segments.count - 1].append(entry)
        count += 1
        let segments = segments
        func id(of number: Int) -> ContentID {
            segments[number >> Self.segmentBits][number & (Self.segmentSize - 1)].id
        }
        table.add(count - 1, entry.id, idOf: id) { table in
            var slot = table.firstSlot(entry.id)
            var places = 0
            while places < Self.placesPerID, let number = table.number(at: slot) {
                if id(of: number) == entry.id { places += 1 }
                slot = table.slot(after: slot)
            }
            return places < Self.placesPerID
        }
    }
}
