import BackupCore
import ResticFormat

/// Writes sealed blobs of existing packs into new packs, and indexes of packs, without sealing
/// anything anew but headers: what was proved when it was stored stays as it is.
struct PackWriter {
    /// So many sealed bytes that lie in a row are read at once.
    private static let readByteCount = 8 << 20

    private let backend: any RepositoryBackend
    private let files: CopyReader
    private let sealer: FileSealer
    private let headerSealer: Sealer
    private let packByteCount: Int
    private var open: [BlobKind: OpenPack] = [:]
    private(set) var packs: [IndexedPack] = []
    private(set) var indexes: [FileName] = []

    init(
        backend: any RepositoryBackend, files: CopyReader, sealer: FileSealer, key: MasterKey,
        packByteCount: Int
    ) {
        self.backend = backend
        self.files = files
        self.sealer = sealer
        headerSealer = Sealer(key)
        self.packByteCount = packByteCount
    }

    // MARK: Packs

    /// Copies blobs of one pack, given in the order of its bytes. Each is opened and compared
    /// with its hash first; a copy that has it bad gives way to the next.
    mutating func copy(_ places: [BlobPlace]) async throws(RepositoryError) {
        var start = 0
        while start < places.count {
            var end = start + 1
            var byteCount = Int(places[start].blob.length)
            while end < places.count,
                places[end].range.lowerBound == places[end - 1].range.upperBound,
                byteCount + Int(places[end].blob.length) <= Self.readByteCount
            {
                byteCount += Int(places[end].blob.length)
                end += 1
            }
            try await copyRow(Array(places[start..<end]))
            start = end
            guard !Task.isCancelled else {
                throw RepositoryError(.cancelled, "writing packs anew was cancelled")
            }
        }
    }

    /// Copies blobs that lie in a row. When no copy has all of them good, each is looked for by
    /// itself: two copies may be bad in different places.
    private mutating func copyRow(_ places: [BlobPlace]) async throws(RepositoryError) {
        do throws(RepositoryError) {
            let sealed = try await read(places)
            for (place, bytes) in zip(places, sealed) { try await add(place.blob, bytes) }
        } catch {
            guard places.count > 1, error.code == .damaged else { throw error }
            for place in places { try await copyRow([place]) }
        }
    }

    /// The sealed bytes of each blob.
    private func read(_ places: [BlobPlace]) async throws(RepositoryError) -> [ArraySlice<UInt8>] {
        guard let first = places.first, let last = places.last else { return [] }
        let start = first.range.lowerBound
        let sealer = sealer
        return try await files.read(
            FileName(.data, first.pack), range: start..<last.range.upperBound
        ) { bytes throws(FormatError) in
            var slices: [ArraySlice<UInt8>] = []
            for place in places {
                let offset = Int(place.range.lowerBound - start)
                _ = try sealer.open(place.blob, in: bytes, at: offset)
                slices.append(bytes[offset..<offset + Int(place.blob.length)])
            }
            return slices
        }
    }

    private mutating func add(
        _ blob: PackedBlob, _ sealed: ArraySlice<UInt8>
    ) async throws(RepositoryError) {
        var pack = open.removeValue(forKey: blob.key.kind) ?? OpenPack()
        pack.append(sealed: sealed, of: blob)
        if pack.byteCount >= packByteCount {
            try await write(&pack)
        } else {
            open[blob.key.kind] = pack
        }
    }

    private mutating func write(_ pack: inout OpenPack) async throws(RepositoryError) {
        let finished = pack.finish(sealer: headerSealer)
        try await write(FileName(.data, finished.pack.id), finished.bytes)
        packs.append(finished.pack)
    }

    /// Ends the open packs and makes all packs durable.
    mutating func finishPacks() async throws(RepositoryError) {
        for kind in BlobKind.allCases {
            guard var pack = open.removeValue(forKey: kind) else { continue }
            try await write(&pack)
        }
        try await flush()
    }

    // MARK: Indexes

    /// Writes indexes of the packs that `next` gives, all blobs of a pack in one file, and makes
    /// them durable.
    mutating func writeIndexes(
        of packs: some Sequence<IndexedPack>
    ) async throws(RepositoryError) {
        var group: [IndexedPack] = []
        var blobCount = 0
        for pack in packs {
            if !group.isEmpty, blobCount + pack.blobs.count > RepositoryLimits.blobsPerIndex {
                try await writeIndex(group)
                group = []
                blobCount = 0
            }
            group.append(pack)
            blobCount += pack.blobs.count
        }
        if !group.isEmpty { try await writeIndex(group) }
        try await flush()
    }

    private mutating func writeIndex(_ packs: [IndexedPack]) async throws(RepositoryError) {
        let file = sealer.seal(json: IndexCodec.encode(packs))
        let name = FileName(.index, file.id)
        try await write(name, file.bytes)
        indexes.append(name)
    }

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
}
