import BackupCore
import ResticFormat
import Synchronization

/// What savers and readers know together about the blobs.
final class BlobLedger: Sendable {
    /// Held for moments only, never across an `await`.
    let blobs: Mutex<KnownBlobs>

    init(_ index: BlobIndex) { blobs = Mutex(KnownBlobs(index)) }

    /// One place of a blob and how much may be read from there at once.
    struct Source {
        let place: BlobPlace
        let byteCount: UInt32
    }

    /// Where the blob's entry `number` lies; `limit` bounds what is read with it.
    func source(_ number: Int, limit: (BlobPlace) -> UInt32) -> Source {
        blobs.withLock { blobs in
            let place = blobs.index.place(of: number)
            return Source(
                place: place, byteCount: blobs.index.extent(from: number, limit: limit(place)))
        }
    }
}
