import BackupCore
import ResticFormat

/// What the index files tell of a repository some of whose files no copy has good.
struct SalvageSurvey {
    /// All blobs in packs that are good.
    private(set) var index = BlobIndex()
    /// Packs that no copy has good, with the blobs they should hold.
    private(set) var lost: [ContentID: [PackedBlob]] = [:]
    /// Good index files that name a lost pack.
    private(set) var tainted: [ContentID] = []
    /// Good packs that no index names.
    private(set) var unindexed: [IndexedPack] = []
    /// Good packs that tainted indexes name.
    private var replaced: [IndexedPack] = []
    /// Packs that indexes which stay name.
    private var named: Set<ContentID> = []

    /// Reads all indexes that are good, and the headers of packs that none names.
    static func take(
        _ salvage: Salvage, damaged: Set<FileName>, retired: Set<FileName>
    ) async throws(RepositoryError) -> SalvageSurvey {
        var survey = SalvageSurvey()
        let packs = try await list(.data, salvage)
        let good = packs.filter { !damaged.contains(FileName(.data, $0.key)) }
        let loader = IndexLoader(
            files: salvage.files, sealer: salvage.sealer, purpose: .reading)
        for id in try await list(.index, salvage).keys.sorted()
        where !damaged.contains(FileName(.index, id)) {
            survey.add(try await loader.listed(in: id).get(), of: id, good: good)
        }
        for (id, sizes) in packs.sorted(by: { $0.key < $1.key })
        where !survey.knows(id) && !retired.contains(FileName(.data, id)) {
            // Without a header that authenticates, nobody can tell what is in it.
            guard let blobs = await header(of: id, sizes: sizes, salvage) else { continue }
            survey.add(IndexedPack(id: id, blobs: blobs), isGood: good[id] != nil)
        }
        return survey
    }

    private mutating func add(
        _ packs: [IndexedPack], of index: ContentID, good: [ContentID: Set<UInt64>]
    ) {
        /// An index that tells other blobs than a good pack has room for lies about it.
        func isTrue(_ pack: IndexedPack) -> Bool {
            good[pack.id]?.contains(pack.byteCount) ?? false && pack.isContiguous
        }
        let isTainted = !packs.allSatisfy(isTrue)
        if isTainted { tainted.append(index) }
        for pack in packs {
            guard isTrue(pack) else {
                // The header of a good pack tells the truth.
                if good[pack.id] == nil { lost[pack.id, default: []] += pack.blobs }
                continue
            }
            self.index.add(pack: pack.id, blobs: pack.blobs, isPresent: true)
            if isTainted { replaced.append(pack) } else { named.insert(pack.id) }
        }
    }

    private mutating func add(_ pack: IndexedPack, isGood: Bool) {
        guard isGood else { return lost[pack.id] = pack.blobs }
        index.add(pack: pack.id, blobs: pack.blobs, isPresent: true)
        unindexed.append(pack)
    }

    private func knows(_ pack: ContentID) -> Bool { index.names(pack: pack) || lost[pack] != nil }

    /// The good packs that no index will name once the tainted ones are gone.
    mutating func takeReplaced() -> [IndexedPack] {
        replaced.filter { named.insert($0.id).inserted }
    }

    private static func list(
        _ kind: FileKind, _ salvage: Salvage
    ) async throws(RepositoryError) -> [ContentID: Set<UInt64>] {
        do throws(BackendError) {
            var found: [ContentID: Set<UInt64>] = [:]
            for file in try await salvage.backend.list(kind) {
                found[file.name.id, default: []].insert(file.byteCount)
            }
            return found
        } catch {
            throw RepositoryError(error)
        }
    }

    /// The blobs of a pack by its own header, from the first copy in which that authenticates.
    private static func header(
        of pack: ContentID, sizes: Set<UInt64>, _ salvage: Salvage
    ) async -> [PackedBlob]? {
        for copy in 0..<max(1, salvage.backend.copyCount) {
            for size in sizes.sorted(by: >) {
                // A copy that cannot be read, or is no pack, has no header: the next one may.
                if let blobs = try? await header(of: pack, size: size, copy: copy, salvage) {
                    return blobs
                }
            }
        }
        return nil
    }

    private static func header(
        of pack: ContentID, size: UInt64, copy: Int, _ salvage: Salvage
    ) async throws -> [PackedBlob] {
        let name = FileName(.data, pack)
        let end = UInt64(PackHeader.trailerCount)
        guard size > end else { throw FormatError(.malformed, "it is shorter than any pack") }
        let trailer = try await salvage.backend.read(name, range: size - end..<size, copy: copy)
        let count = UInt64(try PackHeader.sealedCount(trailer: trailer, fileSize: size))
        let sealed = try await salvage.backend.read(
            name, range: size - end - count..<size - end, copy: copy)
        return try PackHeader.decode(sealed: sealed, fileSize: size, sealer: Sealer(salvage.key))
    }
}

/// Looks for good blobs in every copy of one lost pack.
struct BlobRescue {
    private let salvage: Salvage
    private let name: FileName

    init(_ salvage: Salvage, pack: ContentID) {
        self.salvage = salvage
        name = FileName(.data, pack)
    }

    /// The sealed bytes of those of `wanted` that are good in some copy.
    func find(_ wanted: [PackedBlob]) async -> [PackedBlob: [UInt8]] {
        var found: [PackedBlob: [UInt8]] = [:]
        for copy in 0..<max(1, salvage.backend.copyCount) {
            let missing = wanted.filter { found[$0] == nil }
            guard !missing.isEmpty else { break }
            // What cannot be read at once (a bad sector) is read blob by blob.
            let whole = try? await salvage.backend.read(name, range: nil, copy: copy)
            for blob in missing {
                found[blob] = await sealed(blob, in: whole, copy: copy)
            }
        }
        return found
    }

    private func sealed(_ blob: PackedBlob, in whole: [UInt8]?, copy: Int) async -> [UInt8]? {
        let (start, end) = (Int(blob.offset), Int(blob.offset) + Int(blob.length))
        let bytes: [UInt8]
        if let whole {
            guard end <= whole.count else { return nil }
            bytes = Array(whole[start..<end])
        } else {
            let range = UInt64(start)..<UInt64(end)
            // A copy that cannot give it does not have it.
            guard let part = try? await salvage.backend.read(name, range: range, copy: copy) else {
                return nil
            }
            bytes = part
        }
        // Code, length and hash prove it, or it is not the blob.
        guard (try? salvage.sealer.open(blob, in: bytes, at: 0)) != nil else { return nil }
        return bytes
    }
}
