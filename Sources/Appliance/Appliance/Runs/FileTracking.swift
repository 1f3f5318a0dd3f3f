import BackupCore
import Drives

/// Keeping the catalog's knowledge of files up with what runs see.
extension Box {
    /// Notes what an audit under the owner's lock saw of each drive.
    func track(_ audit: CopyAuditReport, of owner: OwnerID, at time: Timestamp) {
        let findings = Dictionary(grouping: audit.findings, by: \.drive)
        for (drive, look) in audit.looks where audit.behind[drive] == nil {
            let copy = Catalog.Copy(drive, owner)
            let problems = Self.problems(findings[drive] ?? [])
            catalog.note(
                look.files, on: copy, at: time, problems: problems, isWhole: true)
            catalog.forgetProblems(
                except: Set(problems.keys), of: [.missing, .wrongSize], on: copy)
            catalog.remember(good: look.good, problems: problems, on: copy, at: time)
        }
    }

    /// Notes what a repair left on each drive: what it read good or put there and read back
    /// (`rebuilt`), and what it could not repair; files in `aside` are in quarantine now.
    func track(
        _ report: HealReport, rebuilt: Set<FileName>, aside: Set<FileName>, _ hold: OwnerHold,
        at time: Timestamp
    ) async {
        track(report.audit, of: hold.owner, at: time)
        for copy in hold.copies where report.behind[copy.drive.id] == nil {
            // A drive that fails here is told by what follows; it is as was noted last.
            guard let files = try? await copy.allFiles() else { continue }
            let drive = copy.drive.id
            let place = Catalog.Copy(drive, hold.owner)
            let problems = Self.problems(
                report.lost.filter { $0.drive == drive && !aside.contains($0.file) })
            catalog.note(files, on: place, at: time, problems: problems, isWhole: true)
            let repaired = report.repaired.filter { $0.drive == drive }.map(\.file)
            catalog.remember(
                good: rebuilt.union(repaired), problems: problems, on: place, at: time)
        }
    }

    /// Notes what lies on each drive after a run that wrote there. One that removed files under an
    /// exclusive lock gives the new ones, `readBack`, which it has read back from every drive.
    func trackFiles(
        on copies: [DriveBackend], of owner: OwnerID, readBack: Set<FileName>? = nil
    ) async {
        let now = clock.now()
        for copy in copies {
            // A drive that cannot be listed now is looked at by the next run.
            guard let files = try? await copy.allFiles() else { continue }
            let place = Catalog.Copy(copy.drive.id, owner)
            catalog.note(files, on: place, at: now, isWhole: readBack != nil)
            catalog.remember(good: readBack ?? [], problems: [:], on: place, at: now)
        }
    }

    private static func problems(
        _ findings: [CopyFinding]
    ) -> [FileName: CopyFinding.Problem] {
        Dictionary(findings.map { ($0.file, $0.problem) }) { first, _ in first }
    }
}
