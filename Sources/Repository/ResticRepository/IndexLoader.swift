import BackupCore
import ResticFormat

/// Reads all that is known about a repository's blobs when it is opened.
struct IndexLoader {
    let files: CopyReader
    let sealer: FileSealer

    /// The content of all index files. Packs are listed after the indexes, so that a pack written
    /// meanwhile is not taken for missing.
    func load(_ report: inout OpeningReport) async throws(RepositoryError) -> BlobIndex {
        let indexes = try await list(.index)
        let packs = try await packSizes()
        var index = BlobIndex()
        var missing: Set<ContentID> = []
        for id in indexes.keys.sorted() {
            let name = FileName(.index, id)
            // One file is decoded whole before any of it counts, and is given up if damaged.
            let listed: [IndexedPack]
            do throws(RepositoryError) {
                listed = try await files.read(name) { bytes throws(FormatError) in
                    try IndexCodec.decode(sealer.openJSON(bytes))
                }
            } catch {
                guard error.code != .noDrive else { throw error }
                report.unreadableIndexes.append(name)
                continue
            }
            for pack in listed {
                let isPresent = packs[pack.id]?.contains(pack.byteCount) ?? false
                if !isPresent { missing.insert(pack.id) }
                index.add(pack: pack.id, blobs: pack.blobs, isPresent: isPresent)
            }
        }
        report.missingPacks = missing.sorted().map { FileName(.data, $0) }
        return index
    }

    /// Packs that are on a drive and that no index names, each checked whole: a run that was
    /// killed between its packs and its index left them, and their content need not be read from
    /// the phone again.
    func adoptPacks(
        missingFrom index: BlobIndex, _ report: inout OpeningReport
    ) async throws(RepositoryError) -> [IndexedPack] {
        var adopted: [IndexedPack] = []
        for id in try await list(.data).keys.sorted() where !index.names(pack: id) {
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

    /// The names and sizes of the packs on the drives. Two drives may show two sizes.
    private func packSizes() async throws(RepositoryError) -> [ContentID: [UInt64]] {
        try await list(.data)
    }

    private func list(_ kind: FileKind) async throws(RepositoryError) -> [ContentID: [UInt64]] {
        do throws(BackendError) {
            var found: [ContentID: [UInt64]] = [:]
            for file in try await files.backend.list(kind) {
                found[file.name.id, default: []].append(file.byteCount)
            }
            return found
        } catch {
            throw RepositoryError(error)
        }
    }
}
