import BackupCore
import ControlAPI
import Drives
import ResticRepository

extension Box {
    /// Repairs one owner's repository on every drive: whole files from other drives, then what can
    /// be saved of files that no drive has good.
    func healOwner(
        _ owner: OwnerID, on roster: DriveRoster, wait: Duration, run: RunID,
        events: @escaping RunEventSink
    ) async throws -> AuditResult {
        let started = clock.now()
        let hold = try await hold(owner, for: .heal, on: roster, wait: wait, events: events)
        let report = await Heal(hold.copies, validConfig: hold.configJudge).run {
            events(.progress($0))
        }
        var result = AuditResult()
        result.add(report)
        result.add(given: hold.given)
        result.add(behind: hold.behind.filter { roster.problems[$0.key] == nil })
        let salvage = await salvage(after: report, hold, &result)
        for copy in hold.copies where report.behind[copy.drive.id] == nil && !Task.isCancelled {
            // An owner without a repository anywhere has nothing to look at.
            guard (try? await copy.isInitialised()) == true else { continue }
            await result.addStructure(of: copy, hold, readData: false, events: events)
        }
        await result.addKeys(of: hold, narrowedTo: nil)
        result.settle(drives: hold.copies.map(\.drive.id), box: hold)
        await nameSnapshots(of: &result, hold)
        await track(
            report, rebuilt: Set(salvage.rebuiltPacks + salvage.newIndexes),
            aside: Set(salvage.superseded + salvage.damaged), hold, at: started)
        await writeJournal(result, .heal, hold, run: run, readData: true)
        await renew(hold.copies.map(\.drive).filter { report.behind[$0.id] == nil })
        await hold.release()
        return result
    }

    /// Rebuilds packs and indexes that no drive has good, and moves what is of no use aside. A
    /// drive that is away may have what the others lost: then all stays as it is.
    private func salvage(
        after report: HealReport, _ hold: OwnerHold, _ result: inout AuditResult
    ) async -> SalvageReport {
        guard hold.behind.isEmpty, report.behind.isEmpty, !report.wasCancelled,
            !report.lost.contains(where: \.hasGoodCopy)
        else { return SalvageReport() }
        // An owner without a repository anywhere has nothing to save.
        guard (try? await hold.copies.first?.isInitialised()) == true else {
            return SalvageReport()
        }
        let mirror = MirroredBackend(hold.copies)
        do {
            let salvage = try await Salvage(backend: mirror, masterKey: hold.key).run(
                damaged: report.lostEverywhere, retired: report.audit.retired)
            try await hold.copies.setAside(
                salvage.superseded, salvage.damaged, for: salvage.rebuiltPacks + salvage.newIndexes,
                at: clock.now())
            result.add(salvage)
            return salvage
        } catch {
            result.add(failure: Outcome(error), owner: hold.owner)
            return SalvageReport()
        }
    }
}
