import BackupCore
import Drives
import ResticFormat

/// Which snapshots each drive lists, beside what the journals say was stored.
struct SnapshotListing {
    private var listed: [DriveID: Set<ContentID>] = [:]
    /// How many snapshots each drive lacks that a journal calls committed and none calls removed:
    /// a directory that lost entries looks like a wish to forget, and is none.
    private(set) var missing: [DriveID: Int] = [:]

    /// Reads the listings and journals of `copies`. A journal that cannot be read is an error: a
    /// listing must not pass for whole because of it.
    init(_ copies: [DriveBackend], owner: OwnerID) async throws(BackendError) {
        var committed: Set<ContentID> = []
        var removed: Set<FileName> = []
        for copy in copies {
            let drive = copy.drive
            listed[drive.id] = Set(try await copy.list(.snapshot).map(\.name.id))
            for entry in try await drive.journal.read().entries {
                guard entry.record.kind == "committed",
                    entry.record.text("owner") == owner.rawValue,
                    let id = entry.record.text("snapshot").flatMap({ ContentID(hex: $0) })
                else { continue }
                committed.insert(id)
            }
            removed.formUnion(try await drive.journal.tombstones(of: owner))
        }
        let expected = committed.filter { !removed.contains(FileName(.snapshot, $0)) }
        for (drive, ids) in listed { missing[drive] = expected.subtracting(ids).count }
    }

    /// The snapshots that a drive lists.
    func snapshots(on drive: DriveID) -> Set<ContentID> { listed[drive] ?? [] }
}
