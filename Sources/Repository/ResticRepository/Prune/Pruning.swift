package import BackupCore
package import ResticFormat

/// Plans and writes what a prune needs; it removes nothing.
///
/// Over a mirror of all drives that take part: the same new files go to each. Sealed blobs are
/// copied as they are. To be used under exclusive locks, after the drives were caught up.
package struct Pruning: Sendable {
    private let backend: any RepositoryBackend
    private let key: MasterKey
    private let options: PruneOptions
    private let files: CopyReader
    private let sealer: FileSealer

    /// A prune of the repository of `masterKey` on `backend`.
    package init(
        backend: any RepositoryBackend, masterKey: MasterKey, options: PruneOptions
    ) {
        self.backend = backend
        key = masterKey
        self.options = options
        files = CopyReader(backend)
        sealer = FileSealer(masterKey)
    }

    /// Looks through all indexes and the folders of all snapshots. It throws when an index or a
    /// folder cannot be read from any copy or a needed blob is nowhere: what is needed is not
    /// known then, and nothing may go.
    package func plan() async throws(RepositoryError) -> PrunePlan {
        // What appears after this look is loaded, perhaps, but not retired.
        let indexes = try await list(.index).map(\.name)
        let snapshots = try await list(.snapshot)
        var report = OpeningReport()
        let index = try await IndexLoader(files: files, sealer: sealer, purpose: .reading).load(
            &report)
        if let unreadable = report.unreadableIndexes.first {
            throw RepositoryError(.damaged, "\(unreadable.relativePath) cannot be read")
        }
        var needs = BlobNeeds(files: files, sealer: sealer, index: index)
        for name in Set(snapshots.map(\.name)).sorted() {
            try await needs.visit(try await root(of: name))
            if let lost = needs.firstLost { throw lost }
        }
        var planner = PrunePlanner(
            index: index, needed: needs.needed, packs: try await list(.data), options: options)
        var plan = planner.make(indexes: Array(Set(indexes)))
        plan.snapshotCount = Set(snapshots.map(\.name)).count
        return plan
    }

    /// Writes the new packs and then the new indexes, each durable on every copy that can take
    /// them, and gives the new files' names. Cut short, it leaves packs that no index names, or
    /// blobs that stand twice: both harm nothing.
    package func write(
        _ plan: PrunePlan, progress: (_ done: UInt64, _ total: UInt64) -> Void = { _, _ in }
    ) async throws(RepositoryError) -> [FileName] {
        var writer = PackWriter(
            backend: backend, files: files, sealer: sealer, key: key,
            packByteCount: options.packByteCount)
        let index = plan.index
        var done: UInt64 = 0
        for pack in plan.repackedPacks {
            let places = index.entries(ofPack: pack.name.id).filter(plan.copied.contains)
                .map(index.place).sorted { $0.blob.offset < $1.blob.offset }
            try await writer.copy(places)
            done += places.reduce(0) { $0 + UInt64($1.blob.length) }
            progress(done, plan.writtenBytes)
        }
        try await writer.finishPacks()
        guard !plan.retiredIndexes.isEmpty else { return [] }
        let kept = plan.keptPacks.lazy.map { number in
            let pack = index.packs[number]
            return IndexedPack(
                id: pack.id,
                blobs: index.entries(ofPack: pack.id).map { index.place(of: $0).blob })
        }
        try await writer.writeIndexes(
            of: [AnySequence(kept), AnySequence(writer.packs)].joined())
        return writer.packs.map { FileName(.data, $0.id) } + writer.indexes
    }

    /// Proves on one drive's copy the blobs of which other places go: throws when one of them
    /// cannot be read there.
    package func proveSurvivors(
        of plan: PrunePlan, on copy: any RepositoryBackend
    ) async throws(RepositoryError) {
        let reader = BlobReader(files: CopyReader(copy), sealer: sealer)
        for entry in plan.soleSurvivors {
            let place = plan.index.place(of: entry)
            _ = try await reader.read(place, byteCount: place.blob.length)
        }
    }

    private func root(of snapshot: FileName) async throws(RepositoryError) -> ContentID {
        let sealer = sealer
        return try await files.read(snapshot) { bytes throws(FormatError) in
            try SnapshotCodec.decode(sealer.openJSON(bytes, .snapshot)).tree
        }
    }

    private func list(_ kind: FileKind) async throws(RepositoryError) -> [StoredFile] {
        do throws(BackendError) { return try await backend.list(kind) } catch {
            throw RepositoryError(error)
        }
    }
}
