import BackupCore
import ControlAPI
import Drives

extension BackupJob {
    /// Reads back from every drive's medium what the run wrote there, once the phone may go.
    func readBack(_ hold: OwnerHold, _ owner: OwnerID, _ summary: inout RunSummary) async {
        let copies = hold.copies.filter { copy in
            summary.copies.contains { $0.drive == copy.drive.id && $0.state != "behind" }
        }
        guard !copies.isEmpty, !Task.isCancelled else { return }
        let message = "The phone may be unplugged. Reading back what was written."
        board.post(.verify, message)
        events(.notice(RunNotice(code: "phone_may_go", message: message)))
        let plans = copies.map { ($0, $0.storedFiles.sorted()) }
        let meter = ScrubMeter(files: plans.reduce(0) { $0 + $1.1.count }, bytes: nil, events)
        var bad: [DriveID: Set<FileName>] = [:]
        await withTaskGroup(of: (DriveID, Set<FileName>).self) { group in
            for (copy, files) in plans {
                group.addTask {
                    (copy.drive.id, await readBack(files, of: copy, hold.configJudge, meter))
                }
            }
            for await (drive, files) in group { bad[drive] = files }
        }
        conclude(bad, meter, owner, &summary)
        await writeJournal(bad, owner, copies)
    }

    /// Reads files of one drive; gives those that are not as they were written.
    private func readBack(
        _ files: [FileName], of copy: DriveBackend, _ judge: @escaping ConfigJudge,
        _ meter: ScrubMeter
    ) async -> Set<FileName> {
        var batch = ReadBackBatch(
            place: Catalog.Copy(copy.drive.id, copy.owner), box: box)
        var bad: Set<FileName> = []
        await copy.readBack(
            files, validConfig: judge, mayRead: { !Task.isCancelled },
            found: { file, result, byteCount in
                // What was written a moment ago must be there.
                batch.add(file, result == .gone ? .bad(.missing) : result)
                if result != .good { bad.insert(file) }
                meter.add(byteCount)
            })
        batch.write()
        return bad
    }

    private func conclude(
        _ bad: [DriveID: Set<FileName>], _ meter: ScrubMeter, _ owner: OwnerID,
        _ summary: inout RunSummary
    ) {
        for index in summary.snapshots.indices {
            let snapshot = summary.snapshots[index]
            summary.snapshots[index].copies = snapshot.copies.map { copy in
                guard copy.state == "durable",
                    box.catalog.verifiedSnapshots(on: Catalog.Copy(copy.drive, owner))
                        .contains(snapshot.id)
                else { return copy }
                return CopyDocument(drive: copy.drive, state: "verified")
            }
            box.catalog.remember(summary.snapshots[index].copies, of: snapshot.id)
        }
        if let copies = summary.snapshots.last?.copies, summary.snapshots.count == 1 {
            summary.copies = copies
        }
        let (files, bytes) = meter.counts
        let badCount = bad.values.reduce(0) { $0 + $1.count }
        summary.details.append(
            .init(
                "read_back",
                .members([
                    "files": .integer(Int64(files)), "bytes": .unsigned(bytes),
                    "bad": .integer(Int64(badCount)),
                ])))
        guard badCount > 0 else {
            summary.message += " \(Counted.files(files)) read back, all as written."
            return
        }
        // Every drive was given the same bytes, so another one may have them good.
        let lost = bad.values.dropFirst().reduce(bad.values.first ?? []) { $0.intersection($1) }
        summary.add(lost.isEmpty ? .damageRecoverable : .damageLost)
        summary.verdict = .failed
        summary.message +=
            " \(Counted.files(badCount)) did not read back as written. Run holdfast heal; a drive "
            + "that does this again is to be replaced."
    }

    private func writeJournal(
        _ bad: [DriveID: Set<FileName>], _ owner: OwnerID, _ copies: [DriveBackend]
    ) async {
        for copy in copies {
            let standing = box.catalog.standing(of: Catalog.Copy(copy.drive.id, owner))
            let record = JournalRecord.audit(
                .scrub, run: run, owner: owner, files: standing?.fileCount ?? 0,
                damaged: bad[copy.drive.id]?.count ?? 0, repaired: 0, lost: 0,
                readData: standing?.unverifiedCount == 0)
            // What the journal does not tell is read once more some day.
            _ = try? await copy.drive.journal.append(record, at: box.clock.now())
        }
    }
}
