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
            await rebuildFiles(of: drive, reading)
            for entry in reading.entries {
                switch entry.record.kind {
                case "committed": note(entry.record, in: &snapshots)
                case "run": rebuild(entry, snapshots)
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

    /// Notes what lies on a drive. An owner's files count as verified only when the last that
    /// the journal tells of the owner is that all of them were read back and good, and there are
    /// as many as there were then.
    private func rebuildFiles(of drive: Drive, _ reading: JournalReading) async {
        // A drive that cannot be listed now is noted when it next is.
        for owner in (try? await drive.owners()) ?? [] {
            let copy = Catalog.Copy(drive.id, owner)
            // What is known already is newer than what the journal tells.
            guard catalog.standing(of: copy) == nil,
                let files = try? await drive.repository(owner).allFiles()
            else { continue }
            catalog.note(files, on: copy, at: clock.now())
            let own = { (entry: JournalEntry) in entry.record.text("owner") == owner.rawValue }
            guard let last = reading.entries.last(where: own),
                ["check", "heal", "scrub"].contains(last.record.kind),
                last.record.count("read_data") == 1, last.record.count("damaged") == 0,
                last.record.count("lost") == 0,
                last.record.count("files") == UInt64(files.count)
            else { continue }
            catalog.remember(good: files, problems: [:], on: copy, at: last.time)
        }
    }
}
