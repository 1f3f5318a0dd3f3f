import BackupCore
import ResticFormat

/// Reads all that is known about a repository's blobs when it is opened.
struct IndexLoader {
    let files: CopyReader
    let sealer: FileSealer
    /// A writer counts a blob as stored only where every drive has both the pack and an index that
    /// names it: another program may be at work on one of the drives alone.
    let purpose: RepositoryOptions.Purpose

    /// The content of all index files. Packs are listed after the indexes, so that a pack written
    /// meanwhile is not taken for missing.
    func load(_ report: inout OpeningReport) async throws(RepositoryError) -> BlobIndex {
        let everywhere = Set(try await listReliable(.index).map(\.name.id))
        let indexes = try await listing(.index)
        let packs = PackSizes(try await listReliable(.data))
        var index = BlobIndex(
            packCount: packs.count, blobCount: RepositoryLimits.expectedBlobs(indexes))
        var missing: Set<ContentID> = []
        // A file is decoded whole before any of it counts, the next one meanwhile.
        try await inOrder(
            Set(indexes.map(\.name.id)).sorted(), width: 2
        ) {
            await listed(in: $0)
        } use: {
            id, listed throws(RepositoryError) in
            let listedPacks: [IndexedPack]
            do throws(RepositoryError) { listedPacks = try listed.get() } catch {
                // Saving again repairs damage; an index that is not understood may be a good one.
                guard error.code == .damaged || error.code == .missing else { throw error }
                return report.unreadableIndexes.append(FileName(.index, id))
            }
            for pack in listedPacks {
                let isPresent = packs.contains(pack.id, pack.byteCount) && pack.isContiguous
                if !isPresent { missing.insert(pack.id) }
                index.add(
                    pack: pack.id, blobs: pack.blobs,
                    isPresent: isPresent && everywhere.contains(id))
            }
            try RepositoryLimits.check(blobCount: index.count)
        }
        report.missingPacks = missing.sorted().map { FileName(.data, $0) }
        return index
    }

    /// All packs of one index file.
    func listed(in id: ContentID) async -> Result<[IndexedPack], RepositoryError> {
        let name = FileName(.index, id)
        do throws(RepositoryError) {
            // In steps, so that the sealed bytes are gone while the long text is made and read.
            let plain = try await files.read(name) { bytes throws(FormatError) in
                try sealer.open(file: bytes)
            }
            do throws(FormatError) {
                return .success(try IndexCodec.decode(sealer.json(in: plain, .index)))
            } catch {
                return .failure(RepositoryError(name, error))
            }
        } catch {
            return .failure(error)
        }
    }

    /// Packs that are on every drive and that no index names, each checked whole: a run that was
    /// killed between its packs and its index left them, and their content need not be read from
    /// the phone again.
    func adoptPacks(
        missingFrom index: BlobIndex, _ report: inout OpeningReport
    ) async throws(RepositoryError) -> [IndexedPack] {
        var adopted: [IndexedPack] = []
        let packs = Set(try await listReliable(.data).map(\.name.id))
        for id in packs.sorted() where !index.names(pack: id) {
            let name = FileName(.data, id)
            do throws(RepositoryError) {
                let blobs = try await files.read(name) { bytes throws(FormatError) in
                    try sealer.blobs(ofPack: bytes)
                }
                adopted.append(IndexedPack(id: id, blobs: blobs))
                report.adoptedPacks.append(name)
            } catch {
                guard error.code != .noDrive else { throw error }
                report.ignoredPacks.append(name)
            }
        }
        return adopted
    }

    /// What a writer may rely on; for a reader, all there is.
    private func listReliable(
        _ kind: FileKind
    ) async throws(RepositoryError) -> [StoredFile] {
        guard purpose == .writing else { return try await listing(kind) }
        do throws(BackendError) {
            return try await files.backend.listOnEveryCopy(kind)
        } catch {
            throw RepositoryError(error)
        }
    }

    private func listing(_ kind: FileKind) async throws(RepositoryError) -> [StoredFile] {
        do throws(BackendError) { return try await files.backend.list(kind) } catch {
            throw RepositoryError(error)
        }
    }
}

/// The packs there are, with the sizes that the drives show. Sorted, because a dictionary of them
/// would take as much memory as a tenth of the index.
private struct PackSizes {
    private let files: [StoredFile]

    init(_ listed: [StoredFile]) { files = listed.sorted { $0.name.id < $1.name.id } }

    var count: Int { files.count }

    func contains(_ id: ContentID, _ byteCount: UInt64) -> Bool {
        var low = 0
        var high = files.count
        while low < high {
            let middle = (low + high) / 2
            if files[middle].name.id < id { low = middle + 1 } else { high = middle }
        }
        // Two drives may show two sizes.
        return files[low...].prefix { $0.name.id == id }.contains { $0.byteCount == byteCount }
    }
}
