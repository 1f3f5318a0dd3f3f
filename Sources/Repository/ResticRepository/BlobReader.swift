import BackupCore
import ResticFormat
import Synchronization

/// Reads blobs out of packs, each proved by code and hash, reading ahead where blobs are asked
/// for in the order of the pack.
final class BlobReader: Sendable {
    /// The least that is read at once: a few hundred small files, or part of a photo.
    private static let shortRead: UInt32 = 512 << 10
    /// What is read once blobs are asked for in order.
    private static let longRead: UInt32 = 4 << 20
    /// A restore reads several files at once, each perhaps out of two packs.
    private static let keptCount = 8

    /// Sealed bytes of neighbouring blobs.
    private struct Extent {
        let pack: ContentID
        let start: UInt64
        let bytes: [UInt8]

        func contains(_ place: BlobPlace) -> Bool {
            pack == place.pack && start <= place.range.lowerBound
                && place.range.upperBound <= start + UInt64(bytes.count)
        }

        func ends(before place: BlobPlace) -> Bool {
            pack == place.pack && start + UInt64(bytes.count) == place.range.lowerBound
        }
    }

    private struct State {
        var extents: [Extent] = []
        /// Extents on their way from a drive, so that two readers do not fetch the same one.
        var loading: [Loading] = []
    }

    private enum Found {
        case extent(Extent)
        case loading(Loading)
        case nothing
    }

    private let files: CopyReader
    private let sealer: FileSealer
    private let state = Mutex(State())

    init(files: CopyReader, sealer: FileSealer) {
        self.files = files
        self.sealer = sealer
    }

    /// How far a read for `place` may go on to the blobs behind it.
    func readAhead(for place: BlobPlace) -> UInt32 {
        state.withLock { state in
            state.extents.contains { $0.ends(before: place) } ? Self.longRead : Self.shortRead
        }
    }

    /// The blob's bytes from `place`; `byteCount` bytes are read, those of the blobs behind it
    /// included.
    func read(_ place: BlobPlace, byteCount: UInt32) async throws(RepositoryError) -> [UInt8] {
        do throws(FormatError) { try RepositoryLimits.check(place.blob) } catch {
            throw RepositoryError(
                .limitExceeded, "blob \(place.blob.key.id.short) cannot be read: \(error.detail)")
        }
        var found = find(place)
        if case .loading(let loading) = found {
            await loading.end()
            found = find(place)
        }
        if case .extent(let extent) = found {
            // A fault in memory is as good a reason to read again as one on a drive.
            if let plain = try? open(place, in: extent) { return plain }
        }
        let start = place.range.lowerBound
        let range = start..<start + UInt64(max(byteCount, place.blob.length))
        guard range.count > Int(place.blob.length) else { return try await fetch(place, range).0 }
        let loading = Loading(pack: place.pack, range: range)
        state.withLock { $0.loading.append(loading) }
        defer {
            state.withLock { state in state.loading.removeAll { $0 === loading } }
            loading.finish()
        }
        let (plain, extent) = try await fetch(place, range)
        keep(extent)
        return plain
    }

    private func find(_ place: BlobPlace) -> Found {
        state.withLock { state in
            if let extent = state.extents.first(where: { $0.contains(place) }) {
                return .extent(extent)
            }
            return state.loading.first { $0.contains(place) }.map { .loading($0) } ?? .nothing
        }
    }

    private func fetch(
        _ place: BlobPlace, _ range: Range<UInt64>
    ) async throws(RepositoryError) -> ([UInt8], Extent) {
        try await files.read(FileName(.data, place.pack), range: range) {
            bytes throws(FormatError) in
            let extent = Extent(pack: place.pack, start: range.lowerBound, bytes: bytes)
            return (try self.open(place, in: extent), extent)
        }
    }

    private func open(_ place: BlobPlace, in extent: Extent) throws(FormatError) -> [UInt8] {
        do throws(FormatError) {
            return try sealer.open(
                place.blob, in: extent.bytes, at: Int(place.range.lowerBound - extent.start))
        } catch {
            throw FormatError(error.code, "blob \(place.blob.key.id.short): \(error.detail)")
        }
    }

    private func keep(_ extent: Extent) {
        state.withLock { state in
            state.extents.removeAll {
                $0.pack == extent.pack && $0.start + UInt64($0.bytes.count) == extent.start
            }
            if state.extents.count >= Self.keptCount { state.extents.removeFirst() }
            state.extents.append(extent)
        }
    }
}

/// An extent that is being read, and who waits for it.
private final class Loading: Sendable {
    private struct State {
        var isDone = false
        var waiting: [CheckedContinuation<Void, Never>] = []
    }

    private let pack: ContentID
    private let range: Range<UInt64>
    private let state = Mutex(State())

    init(pack: ContentID, range: Range<UInt64>) {
        self.pack = pack
        self.range = range
    }

    func contains(_ place: BlobPlace) -> Bool {
        pack == place.pack && range.lowerBound <= place.range.lowerBound
            && place.range.upperBound <= range.upperBound
    }

    /// Waits until the read has ended, well or not.
    func end() async {
        await withCheckedContinuation { continuation in
            let isDone = state.withLock { state in
                if !state.isDone { state.waiting.append(continuation) }
                return state.isDone
            }
            if isDone { continuation.resume() }
        }
    }

    func finish() {
        let waiting = state.withLock { state in
            state.isDone = true
            defer { state.waiting = [] }
            return state.waiting
        }
        for continuation in waiting { continuation.resume() }
    }
}
