package import BackupCore
internal import ResticFormat
import Synchronization

/// A restic repository of format 2 over any backend: one drive, or several that hold the same.
///
/// Saving cuts and hashes on the caller's task and seals on two threads of the repository's own;
/// full packs are written by whichever call comes next, so that no task outlives a call and a slow
/// drive holds back the reading. Several tasks may save at once. See ``RepositoryWriter`` for what
/// a failure means. ``close()`` ends the threads; they also end with the object.
package final class ResticSnapshotRepository: SnapshotRepository {
    /// What was found when it was opened.
    package let openingReport: OpeningReport
    /// The repository's own id, from its config; equal on all drives.
    package let id: ContentID

    private let backend: any RepositoryBackend
    private let program: String
    private let files: CopyReader
    private let sealer: FileSealer
    private let chunker: Chunker
    private let ledger: BlobLedger
    private let writer: RepositoryWriter
    private let reader: BlobReader
    private let trees = TreeCache()
    private let snapshotCache = Mutex<[ContentID: Snapshot]>([:])

    /// Wires up a repository whose config and indexes are read.
    init(
        _ opened: OpenedParts, backend: any RepositoryBackend, key: MasterKey,
        options: RepositoryOptions
    ) {
        self.backend = backend
        program = options.program
        openingReport = opened.report
        id = opened.config.id
        chunker = Chunker(polynomial: opened.config.polynomial)
        files = opened.files
        sealer = opened.sealer
        ledger = opened.ledger
        writer = RepositoryWriter(
            backend: backend, key: key, options: options, ledger: opened.ledger,
            sealer: opened.sealer)
        reader = BlobReader(files: opened.files, sealer: opened.sealer)
    }

    /// Ends saving. What no checkpoint covers stays as packs without an index, which the next
    /// opening for writing takes over. Reading goes on.
    package func close() async { await writer.close() }

    // MARK: - Reading

    package func snapshots() async throws(RepositoryError) -> [Snapshot] {
        var found: [Snapshot] = []
        for id in try await snapshotIDs() {
            do throws(RepositoryError) {
                found.append(try await snapshot(id))
            } catch {
                // Readers take no lock: one that was forgotten meanwhile is not missed.
                guard error.code == .missing, try await !snapshotIDs().contains(id) else {
                    throw error
                }
            }
        }
        return found.sorted { ($0.time, $0.id) < ($1.time, $1.id) }
    }

    private func snapshotIDs() async throws(RepositoryError) -> Set<ContentID> {
        do throws(BackendError) {
            return Set(try await backend.list(.snapshot).map(\.name.id))
        } catch {
            throw RepositoryError(error)
        }
    }

    private func snapshot(_ id: ContentID) async throws(RepositoryError) -> Snapshot {
        if let known = snapshotCache.withLock({ $0[id] }) { return known }
        let draft = try await files.read(FileName(.snapshot, id)) {
            bytes throws(FormatError) in
            try SnapshotCodec.decode(self.sealer.openJSON(bytes, .snapshot))
        }
        let snapshot = Snapshot(id: id, draft: draft)
        snapshotCache.withLock { $0[id] = snapshot }
        return snapshot
    }

    package func tree(_ id: ContentID) async throws(RepositoryError) -> [TreeNode] {
        if let nodes = trees[id] { return nodes }
        let bytes = try await plainBytes(BlobKey(.tree, id))
        do throws(FormatError) {
            let nodes = try TreeCodec.decode(bytes)
            trees.keep(nodes, as: id)
            return nodes
        } catch {
            throw RepositoryError(
                error.code == .limitExceeded ? .limitExceeded : .damaged,
                "folder \(id.short) cannot be read: \(error.detail)")
        }
    }

    package func blob(_ id: ContentID) async throws(RepositoryError) -> [UInt8] {
        try await plainBytes(BlobKey(.data, id))
    }

    private func plainBytes(_ key: BlobKey) async throws(RepositoryError) -> [UInt8] {
        var whereabouts = ledger.blobs.withLock { $0.whereabouts(key) }
        if case .queued = whereabouts {
            try await writer.settle()
            whereabouts = ledger.blobs.withLock { $0.whereabouts(key) }
        }
        switch whereabouts {
        case .indexed(let numbers): return try await plainBytes(key, at: numbers)
        case .written(let place):
            try await writer.settleWritten()
            return try await reader.read(place, byteCount: place.blob.length)
        case .queued:
            throw RepositoryError(.missing, "blob \(key.id.short) is still being stored")
        }
    }

    private func plainBytes(
        _ key: BlobKey, at numbers: [Int]
    ) async throws(RepositoryError) -> [UInt8] {
        var failure: RepositoryError?
        for number in numbers {
            let source = ledger.source(number, limit: reader.readAhead(for:))
            do throws(RepositoryError) {
                return try await reader.read(source.place, byteCount: source.byteCount)
            } catch {
                // Damage tells more than a pack that is not there.
                if failure == nil || failure?.code == .missing { failure = error }
            }
        }
        throw failure
            ?? RepositoryError(.missing, "\(key.kind.name) blob \(key.id.short) is in no index")
    }

    package func holds(_ content: [ContentID]) async -> Bool {
        ledger.blobs.withLock { blobs in
            content.allSatisfy { blobs.holds(BlobKey(.data, $0)) }
        }
    }

    package func holds(tree: ContentID) async -> Bool {
        ledger.blobs.withLock { $0.holds(BlobKey(.tree, tree)) }
    }

    // MARK: - Saving

    package func save(
        _ source: ByteSource<DeviceError>
    ) async throws(SaveError) -> SavedContent {
        let result: Result<SavedContent, SaveError>
        do throws(SaveError) { result = .success(try await pull(source)) } catch {
            result = .failure(error)
        }
        await source.close()
        return try result.get()
    }

    private func pull(_ source: ByteSource<DeviceError>) async throws(SaveError) -> SavedContent {
        var buffer = ContentBuffer(cutter: FileCutter(chunker: chunker), pool: writer.buffers)
        var saved = SavingContent()
        while let piece = try await nextPiece(of: source) {
            saved.byteCount += UInt64(piece.count)
            buffer.append(piece)
            while let chunk = buffer.nextChunk() { try await store(chunk, &saved) }
        }
        if let rest = buffer.rest() { try await store(rest, &saved) }
        return SavedContent(
            content: saved.content, byteCount: saved.byteCount, addedBytes: saved.addedBytes)
    }

    private func nextPiece(
        of source: ByteSource<DeviceError>
    ) async throws(SaveError) -> [UInt8]? {
        guard !Task.isCancelled else {
            throw .repository(RepositoryError(.cancelled, "saving was cancelled"))
        }
        do throws(DeviceError) { return try await source.next() } catch {
            throw .source(error)
        }
    }

    private func store(
        _ chunk: consuming [UInt8], _ saved: inout SavingContent
    ) async throws(SaveError) {
        let id = ContentID.sha256(of: chunk)
        saved.content.append(id)
        do throws(RepositoryError) {
            saved.addedBytes += UInt64(try await writer.store(BlobKey(.data, id), chunk))
        } catch {
            throw .repository(error)
        }
    }

    package func save(tree: [TreeNode]) async throws(RepositoryError) -> ContentID {
        let sorted = tree.sorted { $0.name < $1.name }
        let bytes: [UInt8]
        do throws(FormatError) { bytes = try TreeCodec.encode(sorted) } catch {
            throw RepositoryError(.limitExceeded, error.detail)
        }
        let id = ContentID.sha256(of: bytes)
        _ = try await writer.store(BlobKey(.tree, id), bytes)
        trees.keep(sorted, as: id)
        return id
    }

    package func checkpoint() async throws(RepositoryError) { try await writer.checkpoint() }

    package func commit(
        _ draft: SnapshotDraft
    ) async throws(RepositoryError) -> CommittedSnapshot {
        guard await holds(tree: draft.tree) else {
            throw RepositoryError(
                .missing, "the snapshot's folder \(draft.tree.short) is not in the repository")
        }
        let id = try await writer.writeSnapshot(json: SnapshotCodec.encode(draft, program: program))
        let snapshot = Snapshot(id: id, draft: draft)
        snapshotCache.withLock { $0[id] = snapshot }
        return CommittedSnapshot(snapshot: snapshot, copies: await backend.receipts())
    }

    package func statistics() async -> RepositoryStatistics { writer.statistics }

    package func freeBytes() async -> UInt64 { await backend.freeBytes() }
}

/// A file's content while it is being saved.
private struct SavingContent {
    var content: [ContentID] = []
    var byteCount: UInt64 = 0
    var addedBytes: UInt64 = 0
}
