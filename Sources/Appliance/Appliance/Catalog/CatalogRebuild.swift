import BackupCore
import ControlAPI
import Drives
import Logging

extension Box {
    /// Fills a catalog that was made anew from the drives' journals: runs, what was verified, and
    /// counts of snapshots. What journals do not tell is counted in the trees when it is asked
    /// for.
    func rebuildCatalog(from drives: [Drive]) async {
        guard catalog.isNew, !drives.isEmpty else { return }
        for drive in drives {
            // A journal that cannot be read tells nothing; the other drive's may.
            guard let reading = try? await drive.journal.read() else { continue }
            var snapshots: [RunID: [(id: ContentID, isComplete: Bool)]] = [:]
            for entry in reading.entries {
                switch entry.record.kind {
                case "committed": note(entry.record, in: &snapshots)
                case "run": rebuild(entry, snapshots)
                case "check", "heal": rebuildAudit(entry, on: drive.id)
                default: break
                }
            }
        }
        catalog.markFilled()
        log.notice("catalog rebuilt", metadata: ["drives": "\(drives.count)"])
    }

    private func note(
        _ record: JournalRecord, in snapshots: inout [RunID: [(id: ContentID, isComplete: Bool)]]
    ) {
        guard let run = record.text("run").flatMap(RunID.init(rawValue:)),
            let id = record.text("snapshot").flatMap({ ContentID(hex: $0) })
        else { return }
        snapshots[run, default: []].append((id, record.count("complete") == 1))
    }

    private func rebuild(
        _ entry: JournalEntry, _ snapshots: [RunID: [(id: ContentID, isComplete: Bool)]]
    ) {
        let record = entry.record
        guard let run = record.text("run").flatMap(RunID.init(rawValue:)),
            let code = record.count("exit_code").flatMap({ ExitCode(rawValue: Int32(clamping: $0)) }
            )
        else { return }
        catalog.remember(
            Catalog.RunFacts(
                id: run, kind: "backup",
                owner: record.text("owner").flatMap(OwnerID.init(rawValue:)),
                phone: nil, started: entry.time, seconds: 0, exitCode: code))
        if let made = snapshots[run], made.count == 1, let snapshot = made.first,
            let files = record.count("snapshot_files"),
            let bytes = record.count("snapshot_bytes")
        {
            catalog.remember(
                Catalog.SnapshotFacts(
                    isComplete: snapshot.isComplete, files: Int(clamping: files), bytes: bytes),
                of: snapshot.id)
        }
    }

    private func rebuildAudit(_ entry: JournalEntry, on drive: DriveID) {
        let record = entry.record
        guard let owner = record.text("owner").flatMap(OwnerID.init(rawValue:)) else { return }
        if let damaged = record.count("damaged"), damaged > 0 {
            catalog.forgetVerified(drive, owner: owner)
        }
        guard record.count("read_data") == 1, record.count("damaged") == 0,
            record.count("lost") == 0
        else { return }
        catalog.remember(verified: entry.time, of: drive, owner: owner)
    }
}
