package import BackupCore
package import ResticFormat

/// Keeps what kept snapshots need when files are removed that were thought superseded.
///
/// A drive that was away while others pruned may have made snapshots of packs that are gone
/// elsewhere. Their blobs are copied into new packs: a tombstone stays for ever, and no order of
/// drives and journals can make it come true again later.
package struct Rescue: Sendable {
    private let key: MasterKey
    private let sealer: FileSealer

    /// A rescue in the repository of `masterKey`.
    package init(masterKey: MasterKey) {
        key = masterKey
        sealer = FileSealer(masterKey)
    }

    /// Writes new packs and indexes to `backend`, a mirror of the copies, so that every kept
    /// snapshot on any of them is whole without the files `gone`. Gives further indexes that are
    /// superseded by that: they name packs of `gone`. What no copy has is left lost.
    package func run(
        on backend: any RepositoryBackend, without gone: Set<FileName>
    ) async throws(RepositoryError) -> [FileName] {
        let files = CopyReader(backend)
        let rest = RemainingFiles(backend, without: gone)
        let all = try await load(files)
        let remaining = try await load(CopyReader(rest))
        var needs = BlobNeeds(files: files, sealer: sealer, index: all)
        for snapshot in try await list(.snapshot, rest) {
            guard let root = try await tree(of: snapshot, files) else { continue }
            try await needs.visit(root)
        }
        var writer = PackWriter(
            backend: backend, files: files, sealer: sealer, key: key,
            packByteCount: PruneOptions().packByteCount)
        for pack in all.packs {
            let places = all.entries(ofPack: pack.id).filter { entry in
                let blob = all.place(of: entry).blob.key
                return needs.needed.contains(entry) && !remaining.holds(blob)
                    && all.presentMatches(blob).first == entry
            }.map(all.place).sorted { $0.blob.offset < $1.blob.offset }
            do throws(RepositoryError) { try await writer.copy(places) } catch {
                // What is damaged everywhere is not made worse here; heal tells it.
                guard error.code == .damaged || error.code == .missing else { throw error }
            }
        }
        try await writer.finishPacks()
        let (superseded, packs) = try await indexes(naming: gone, rest)
        try await writer.writeIndexes(of: packs + writer.packs)
        return superseded
    }

    /// Whether a drive keeps all that it has when the files `gone` are removed from it: its kept
    /// snapshots are as whole without them as with them, and no folder is lost.
    package func losesNothing(
        on copy: any RepositoryBackend, without gone: Set<FileName>
    ) async throws(BackendError) -> Bool {
        let rest = RemainingFiles(copy, without: gone)
        let after = try await StructureCheck(backend: rest, masterKey: key).run()
        guard !after.isInterrupted else { return false }
        if after.isSound { return true }
        let kept = RemainingFiles(copy, without: gone.filter { $0.kind == .snapshot })
        let before = try await StructureCheck(backend: kept, masterKey: key).run()
        return !before.isInterrupted && Self.damage(after).isSubset(of: Self.damage(before))
            && !after.findings.contains(where: \.isLostFolder)
    }

    private static func damage(_ report: StructureReport) -> Set<Finding> {
        Set(
            report.findings.filter { finding in
                if case .note = finding { false } else { true }
            })
    }

    /// Indexes that name packs of `gone`, and the other packs they name.
    private func indexes(
        naming gone: Set<FileName>, _ rest: RemainingFiles
    ) async throws(RepositoryError) -> (superseded: [FileName], packs: [IndexedPack]) {
        let files = CopyReader(rest)
        var superseded: [FileName] = []
        var packs: [IndexedPack] = []
        for name in try await list(.index, rest) {
            let listed: [IndexedPack]
            do throws(RepositoryError) {
                listed = try await files.read(name) { bytes throws(FormatError) in
                    try IndexCodec.decode(sealer.openJSON(bytes, .index))
                }
            } catch {
                guard error.code != .noDrive else { throw error }
                continue
            }
            let kept = listed.filter { !gone.contains(FileName(.data, $0.id)) }
            guard kept.count < listed.count else { continue }
            superseded.append(name)
            packs += kept
        }
        return (superseded, packs)
    }

    private func load(_ files: CopyReader) async throws(RepositoryError) -> BlobIndex {
        var report = OpeningReport()
        return try await IndexLoader(files: files, sealer: sealer, purpose: .reading).load(&report)
    }

    /// A snapshot's folder; nil when no copy of the snapshot is good.
    private func tree(
        of snapshot: FileName, _ files: CopyReader
    ) async throws(RepositoryError) -> ContentID? {
        do throws(RepositoryError) {
            return try await files.read(snapshot) { bytes throws(FormatError) in
                try SnapshotCodec.decode(sealer.openJSON(bytes, .snapshot)).tree
            }
        } catch {
            guard error.code != .noDrive else { throw error }
            return nil
        }
    }

    private func list(
        _ kind: FileKind, _ backend: RemainingFiles
    ) async throws(RepositoryError) -> [FileName] {
        do throws(BackendError) {
            return Set(try await backend.list(kind).map(\.name)).sorted()
        } catch {
            throw RepositoryError(error)
        }
    }
}

extension Finding {
    /// Whether it is a lost folder: what lies beneath it is not known.
    fileprivate var isLostFolder: Bool {
        if case .lostBlob(let blob) = self { blob.key.kind == .tree } else { false }
    }
}
