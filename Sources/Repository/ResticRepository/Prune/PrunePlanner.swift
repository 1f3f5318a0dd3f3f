import BackupCore
import ResticFormat

/// Decides which packs stay, which go, and which are written anew.
///
/// Flat tables with one line for each pack and bits for each entry: a million blobs cost 5 MB.
struct PrunePlanner {
    /// Fully used packs below this share of the target size are small, in percent.
    private static let smallPercent: UInt64 = 80
    /// So many small packs of a kind are worth being merged.
    private static let smallPackCount = 10

    /// What a pack holds, in sealed bytes of blobs.
    private struct Contents {
        var used: UInt64 = 0
        var unused: UInt64 = 0
        var usedCount = 0
        var kinds: Set<BlobKind> = []
        /// Needed blobs that stand nowhere else: what keeps a pack anyway.
        var sole: UInt64 = 0
    }

    private let index: BlobIndex
    private let needed: EntrySet
    private let options: PruneOptions
    private let sizes: [ContentID: UInt64]
    private let packOf: [UInt32]
    private var contents: [Contents]
    private var chosen: EntrySet
    private var plan: PrunePlan

    /// A planner over all packs that a repository's drives list.
    init(index: BlobIndex, needed: EntrySet, packs: [StoredFile], options: PruneOptions) {
        self.index = index
        self.needed = needed
        self.options = options
        var sizes: [ContentID: UInt64] = [:]
        for pack in packs { sizes[pack.name.id] = max(sizes[pack.name.id] ?? 0, pack.byteCount) }
        self.sizes = sizes
        var packOf = [UInt32](repeating: 0, count: index.count)
        for (number, pack) in index.packs.enumerated() {
            for entry in index.entries(ofPack: pack.id) { packOf[entry] = UInt32(number) }
        }
        self.packOf = packOf
        contents = Array(repeating: Contents(), count: index.packs.count)
        chosen = EntrySet(count: index.count)
        plan = PrunePlan(index: index)
    }

    /// The plan; `indexes` are all index files there are.
    mutating func make(indexes: [FileName]) -> PrunePlan {
        chooseEntries()
        measure()
        plan.totalBytes = sizes.values.reduce(0, +)
        var isRepacked = candidates()
        fitRoom(&isRepacked)
        sort(isRepacked)
        let isAnyMissing = index.packs.contains { sizes[$0.id] == nil }
        let isAnyGone = plan.removedPacks.contains { index.names(pack: $0.name.id) }
        if isAnyGone || isAnyMissing || !plan.repackedPacks.isEmpty
            || indexes.count > index.count / RepositoryLimits.blobsPerIndex + Self.smallPackCount
        {
            plan.retiredIndexes = indexes.sorted()
        }
        return plan
    }

    // MARK: Entries

    /// Chooses one entry of each needed blob: where it stands several times, the one in the pack
    /// that holds most of what stands nowhere else, since that pack stays longest.
    private mutating func chooseEntries() {
        var isRepeated = false
        for entry in 0..<index.count where needed.contains(entry) {
            let blob = index.place(of: entry).blob
            guard index.presentMatches(blob.key).count == 1 else {
                isRepeated = true
                continue
            }
            chosen.insert(entry)
            contents[Int(packOf[entry])].sole += UInt64(blob.length)
        }
        guard isRepeated else { return }
        var settled = EntrySet(count: index.count)
        for entry in 0..<index.count where needed.contains(entry) && !chosen.contains(entry) {
            guard !settled.contains(entry) else { continue }
            let all = index.presentMatches(index.place(of: entry).blob.key)
            for match in all { settled.insert(match) }
            let best = all.max { left, right in
                let (one, other) = (packOf[left], packOf[right])
                return (contents[Int(one)].sole, other) < (contents[Int(other)].sole, one)
            }
            guard let best else { continue }
            chosen.insert(best)
            plan.soleSurvivors.append(best)
        }
    }

    private mutating func measure() {
        for entry in 0..<index.count {
            let blob = index.place(of: entry).blob
            let pack = Int(packOf[entry])
            contents[pack].kinds.insert(blob.key.kind)
            if chosen.contains(entry) {
                contents[pack].used += UInt64(blob.length)
                contents[pack].usedCount += 1
            } else {
                contents[pack].unused += UInt64(blob.length)
            }
        }
    }

    // MARK: Packs

    /// Which packs are worth being written anew.
    private func candidates() -> [Bool] {
        var isRepacked = [Bool](repeating: false, count: contents.count)
        var wasteful: [Int] = []
        var unused: UInt64 = 0
        for (number, pack) in contents.enumerated() where pack.usedCount > 0 && pack.unused > 0 {
            // Folders are read at each look, and mixed packs are of old versions of restic.
            if pack.kinds != [.data] {
                isRepacked[number] = true
            } else {
                wasteful.append(number)
                unused += pack.unused
            }
        }
        wasteful.sort { left, right in
            let (one, other) = (contents[left], contents[right])
            let wide = (
                one.unused.multipliedFullWidth(by: other.used),
                other.unused.multipliedFullWidth(by: one.used)
            )
            return (wide.0.high, wide.0.low, right) > (wide.1.high, wide.1.low, left)
        }
        for number in wasteful where unused > allowedUnused {
            isRepacked[number] = true
            unused -= contents[number].unused
        }
        for kind in BlobKind.allCases {
            let small = contents.indices.filter { isSmall($0, kind) || isRepacked[$0] }
                .filter { contents[$0].kinds == [kind] }
            guard small.count(where: { isSmall($0, kind) }) >= Self.smallPackCount else { continue }
            for number in small { isRepacked[number] = true }
        }
        return isRepacked
    }

    private var allowedUnused: UInt64 {
        let percent = UInt64(max(0, options.maxUnusedPercent))
        guard percent < 100 else { return .max }
        let used = contents.reduce(UInt64(0)) { $0 + $1.used }
        return used / (100 - percent) * percent
    }

    private func isSmall(_ number: Int, _ kind: BlobKind) -> Bool {
        contents[number].usedCount > 0 && contents[number].kinds == [kind]
            && (sizes[index.packs[number].id] ?? 0)
                < UInt64(options.packByteCount) * Self.smallPercent / 100
    }

    /// Leaves out what would not fit, beginning with what gains least.
    private mutating func fitRoom(_ isRepacked: inout [Bool]) {
        let order = contents.indices.filter { isRepacked[$0] }.sorted { left, right in
            (contents[left].unused, right) > (contents[right].unused, left)
        }
        var written: UInt64 = 0
        for number in order {
            // A header takes at most 41 bytes for each blob.
            let size = contents[number].used + UInt64(contents[number].usedCount * 41 + 64)
            guard size <= options.room, written <= options.room - size else {
                isRepacked[number] = false
                plan.postponedPackCount += 1
                continue
            }
            written += size
        }
        plan.writtenBytes = written
    }

    private mutating func sort(_ isRepacked: [Bool]) {
        for (number, pack) in index.packs.enumerated() {
            guard let size = sizes[pack.id] else { continue }
            let file = StoredFile(name: FileName(.data, pack.id), byteCount: size)
            if contents[number].usedCount == 0 {
                plan.removedPacks.append(file)
            } else if isRepacked[number] {
                plan.repackedPacks.append(file)
                for entry in index.entries(ofPack: pack.id) where chosen.contains(entry) {
                    plan.copied.insert(entry)
                }
            } else {
                plan.keptPacks.append(number)
                plan.keptUnusedBytes += contents[number].unused
            }
        }
        plan.keptPackCount = plan.keptPacks.count
        plan.soleSurvivors.removeAll { isRepacked[Int(packOf[$0])] }
        for (id, size) in sizes.sorted(by: { $0.key < $1.key }) where !index.names(pack: id) {
            plan.removedPacks.append(StoredFile(name: FileName(.data, id), byteCount: size))
        }
    }
}
