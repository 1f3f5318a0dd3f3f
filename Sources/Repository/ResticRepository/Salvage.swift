package import BackupCore
package import ResticFormat

/// Saves what can be saved of files that no copy has good.
///
/// Blobs authenticate one by one, so a pack that is damaged on every drive may still be whole if
/// the copies are taken together: its good blobs go, as they are sealed, into a new pack, the same
/// on every drive. New index files name that pack, the packs that no index names any more, and
/// everything that the indexes naming a lost pack told of good ones. It only adds; which files are
/// of no use then stands in the report, for the drives to move aside.
///
/// To be called when every drive that may have a good copy takes part and all have the same files,
/// under an exclusive lock. Cut short anywhere, the next call goes on.
package struct Salvage: Sendable {
    let backend: any RepositoryBackend
    let files: CopyReader
    let sealer: FileSealer
    let key: MasterKey
    /// A rebuilt pack is closed once it has this many bytes.
    private let packByteCount: Int

    /// A rescue in `backend`, each of whose copies is one drive.
    package init(
        backend: any RepositoryBackend, masterKey: MasterKey, packByteCount: Int = 16 << 20
    ) {
        self.backend = backend
        files = CopyReader(backend)
        sealer = FileSealer(masterKey)
        key = masterKey
        self.packByteCount = packByteCount
    }

    /// Rescues. `damaged` are the files that some copy has and none has good, as a reading of
    /// every byte of every copy just told; all other files count as good. Packs in `retired` are
    /// left alone: they were removed on purpose. An error means that nothing is superseded.
    package func run(
        damaged: Set<FileName>, retired: Set<FileName> = []
    ) async throws(RepositoryError) -> SalvageReport {
        var report = SalvageReport()
        var survey = try await SalvageSurvey.take(self, damaged: damaged, retired: retired)
        var pending = survey.unindexed
        report.adoptedPacks = pending.map { FileName(.data, $0.id) }
        pending += try await rebuild(survey, &report)
        pending += survey.takeReplaced()
        report.newIndexes = try await writeIndexes(pending)
        try await makeDurable(report)
        report.superseded = survey.tainted.map { FileName(.index, $0) }
        report.damaged = damaged.filter { [.data, .index, .snapshot].contains($0.kind) }.sorted()
        return report
    }

    // MARK: Packs

    /// Writes new packs of the good blobs of lost ones.
    private func rebuild(
        _ survey: SalvageSurvey, _ report: inout SalvageReport
    ) async throws(RepositoryError) -> [IndexedPack] {
        var written: [IndexedPack] = []
        var open: [BlobKind: OpenPack] = [:]
        var settled: Set<BlobKey> = []
        var missing: Set<BlobKey> = []
        for (id, blobs) in survey.lost.sorted(by: { $0.key < $1.key }) {
            let wanted = blobs.filter {
                !survey.index.holds($0.key) && !settled.contains($0.key)
            }
            guard !wanted.isEmpty else { continue }
            let found = await BlobRescue(self, pack: id).find(wanted)
            for blob in wanted {
                guard let sealed = found[blob] else {
                    missing.insert(blob.key)
                    continue
                }
                guard settled.insert(blob.key).inserted else { continue }
                var pack = open[blob.key.kind] ?? OpenPack()
                pack.append(sealed: sealed, of: blob)
                open[blob.key.kind] = pack
                guard pack.byteCount >= packByteCount else { continue }
                written.append(try await write(&pack, &report))
                open[blob.key.kind] = pack
            }
        }
        for kind in BlobKind.allCases {
            guard var pack = open[kind], !pack.isEmpty else { continue }
            written.append(try await write(&pack, &report))
        }
        report.savedBlobCount = settled.count
        report.lostBlobs = missing.subtracting(settled)
        return written
    }

    private func write(
        _ pack: inout OpenPack, _ report: inout SalvageReport
    ) async throws(RepositoryError) -> IndexedPack {
        let finished = pack.finish(sealer: Sealer(key))
        let name = FileName(.data, finished.pack.id)
        try await write(name, finished.bytes)
        report.rebuiltPacks.append(name)
        return finished.pack
    }

    // MARK: Indexes

    /// Writes index files of `packs`, which are durable before one names them; all blobs of a
    /// pack stand in one file.
    private func writeIndexes(_ packs: [IndexedPack]) async throws(RepositoryError) -> [FileName] {
        guard !packs.isEmpty else { return [] }
        try await flush()
        var groups: [[IndexedPack]] = []
        var blobCount = 0
        for pack in packs {
            blobCount += pack.blobs.count
            if groups.isEmpty || blobCount > RepositoryLimits.blobsPerIndex {
                groups.append([])
                blobCount = pack.blobs.count
            }
            groups[groups.count - 1].append(pack)
        }
        var written: [FileName] = []
        for group in groups {
            let file = sealer.seal(json: IndexCodec.encode(group))
            try await write(FileName(.index, file.id), file.bytes)
            written.append(FileName(.index, file.id))
        }
        return written
    }

    // MARK: Backend

    private func write(_ name: FileName, _ bytes: [UInt8]) async throws(RepositoryError) {
        do throws(BackendError) { try await backend.write(name, bytes) } catch {
            throw RepositoryError(error)
        }
    }

    private func flush() async throws(RepositoryError) {
        do throws(BackendError) { try await backend.flush() } catch {
            throw RepositoryError(error)
        }
    }

    /// Nothing may be moved aside before every copy has what replaces it.
    private func makeDurable(_ report: SalvageReport) async throws(RepositoryError) {
        guard !report.newIndexes.isEmpty else { return }
        try await flush()
        for receipt in await backend.receipts() {
            if case .behind(let error) = receipt.state { throw RepositoryError(error) }
        }
    }
}

/// What a rescue did, and what is of no use any more.
package struct SalvageReport: Sendable {
    /// New packs of blobs that were good in some damaged copy.
    package internal(set) var rebuiltPacks: [FileName] = []
    /// Good packs that no index named and a new one names now.
    package internal(set) var adoptedPacks: [FileName] = []
    /// New index files.
    package internal(set) var newIndexes: [FileName] = []
    /// Good index files that name lost packs; new ones tell all else they told. They must not
    /// come back.
    package internal(set) var superseded: [FileName] = []
    /// Packs, indexes and snapshots that no copy has good.
    package internal(set) var damaged: [FileName] = []
    package internal(set) var savedBlobCount = 0
    /// Blobs that no copy of any pack has good. No index names them now, so the next backup
    /// reads what needs them from the phone again.
    package internal(set) var lostBlobs: Set<BlobKey> = []

    /// A report of nothing.
    package init() {}

    /// Snapshots whose own file no copy has good.
    package var lostSnapshots: [FileName] { damaged.filter { $0.kind == .snapshot } }

    /// Whether anything is to be moved aside or was written.
    package var isEmpty: Bool { newIndexes.isEmpty && superseded.isEmpty && damaged.isEmpty }
}
