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
    private static let keptCount = 4

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

    private let files: CopyReader
    private let sealer: FileSealer
    private let extents = Mutex<[Extent]>([])

    init(files: CopyReader, sealer: FileSealer) {
        self.files = files
        self.sealer = sealer
    }

    /// How far a read for `place` may go on to the blobs behind it.
    func readAhead(for place: BlobPlace) -> UInt32 {
        extents.withLock { extents in
            extents.contains { $0.ends(before: place) } ? Self.longRead : Self.shortRead
        }
    }

    /// The blob's bytes from `place`; `byteCount` bytes are read, those of the blobs behind it
    /// included.
    func read(_ place: BlobPlace, byteCount: UInt32) async throws(RepositoryError) -> [UInt8] {
        if let extent = extents.withLock({ $0.first { $0.contains(place) } }) {
            // A fault in memory is as good a reason to read again as one on a drive.
            if let plain = try? open(place, in: extent) { return plain }
        }
        let start = place.range.lowerBound
        let range = start..<start + UInt64(max(byteCount, place.blob.length))
        let name = FileName(.data, place.pack)
        let (plain, extent) = try await files.read(name, range: range) {
            bytes throws(FormatError) in
            let extent = Extent(pack: place.pack, start: start, bytes: bytes)
            return (try self.open(place, in: extent), extent)
        }
        if range.count > Int(place.blob.length) { keep(extent) }
        return plain
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
        extents.withLock { extents in
            extents.removeAll {
                $0.pack == extent.pack && $0.start + UInt64($0.bytes.count) == extent.start
            }
            if extents.count >= Self.keptCount { extents.removeFirst() }
            extents.append(extent)
        }
    }
}
