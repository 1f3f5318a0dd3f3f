package import BackupCore
package import ControlAPI
import Drives
import Logging
import ResticRepository

extension Box {
    /// Looks at every enrolled drive's repositories; with `readData` every byte is read and
    /// hashed. 0 only when every enrolled drive is whole.
    package func check(
        _ filter: QueryFilter, readData: Bool, wait: Int?, events: @escaping RunEventSink
    ) async -> RunSummary {
        await audit(.check, filter, wait: wait, events: events) { owner, roster, wait, run in
            try await checkOwner(
                owner, filter, on: roster, readData: readData, wait: wait, run: run,
                events: events)
        }
    }

    /// Repairs every drive's repositories from the others. 0 when afterwards every enrolled drive
    /// is whole and all are alike.
    package func heal(
        _ filter: QueryFilter, wait: Int?, events: @escaping RunEventSink
    ) async -> RunSummary {
        await audit(.heal, filter, wait: wait, events: events) { owner, roster, wait, run in
            try await healOwner(owner, on: roster, wait: wait, run: run, events: events)
        }
    }

    /// Does `work` for each owner and sums up.
    private func audit(
        _ kind: JournalRecord.AuditKind, _ filter: QueryFilter, wait: Int?,
        events: @escaping RunEventSink,
        _ work: (OwnerID, DriveRoster, Duration, RunID) async throws -> AuditResult
    ) async -> RunSummary {
        let run = newRun()
        let started = clock.now()
        let start = clock.elapsed()
        var total = AuditResult()
        var known: DriveRoster?
        do {
            let roster = try await roster()
            known = roster
            _ = try roster.required()
            try refuseUnknown(filter, roster)
            // A check only looks.
            if kind == .heal { await finishPending(on: roster, events: events) }
            let limit = Duration.seconds(wait ?? configuration.waitSeconds)
            for owner in try owners(filter.owner) {
                do {
                    total.add(try await work(owner.id, roster, limit, run))
                } catch {
                    // One owner's trouble must not hide another's.
                    total.add(failure: Outcome(error), owner: owner.id)
                }
                if Task.isCancelled { break }
            }
            for slot in roster.slots where filter.drive == nil || filter.drive == slot.entry.id {
                if let problem = slot.problem { total.add(missing: slot.entry, problem) }
            }
        } catch {
            total.add(failure: Outcome(error), owner: nil)
        }
        if Task.isCancelled { total.outcomes.insert(.interrupted) }
        var summary = total.summary(kind, run)
        if let known { summary.message = known.named(summary.message) }
        summary.duration = clock.elapsed() - start
        record(
            Catalog.RunFacts(
                id: run, kind: kind.rawValue, owner: filter.owner, phone: nil, started: started,
                seconds: summary.duration.roundedSeconds, exitCode: summary.exitCode), summary)
        return summary
    }

    // MARK: Check

    private func checkOwner(
        _ owner: OwnerID, _ filter: QueryFilter, on roster: DriveRoster, readData: Bool,
        wait: Duration, run: RunID, events: @escaping RunEventSink
    ) async throws -> AuditResult {
        let hold = try await hold(owner, for: .check, on: roster, wait: wait, events: events)
        let result = await check(
            hold, filter, on: roster, readData: readData, events: events)
        await writeJournal(result, .check, hold, run: run, readData: readData)
        await hold.release()
        return result
    }

    private func check(
        _ hold: OwnerHold, _ filter: QueryFilter, on roster: DriveRoster, readData: Bool,
        events: @escaping RunEventSink
    ) async -> AuditResult {
        let started = clock.now()
        var result = AuditResult()
        var isAnywhere = false
        for copy in hold.copies {
            // A drive that cannot answer fails in the audit just below and is told there.
            if (try? await copy.isInitialised()) == true { isAnywhere = true }
        }
        // An owner whose first backup has not begun has nothing to look at.
        guard isAnywhere else { return result }
        // Every byte of every drive is compared with its name. Whether the content makes sense is
        // the same on each good copy: on one drive both are asked in one reading.
        let looked = hold.copies.filter { filter.drive == nil || filter.drive == $0.drive.id }
        let proof = readData ? looked.first.map { PackProof($0, hold) } : nil
        let audit = await CopyAudit(hold.copies, validConfig: hold.configJudge).run(
            readData: readData,
            provers: looked.first.flatMap { copy in
                proof.map { [copy.drive.id: $0.prover] }
            } ?? [:]
        ) { events(.progress($0)) }
        if !Task.isCancelled { track(audit, of: hold.owner, at: started) }
        result.add(audit, narrowedTo: filter.drive)
        // What is wrong with a drive as a whole is told once, for all owners.
        result.add(behind: hold.behind.filter { roster.problems[$0.key] == nil })
        // Where all copies of a file are bad, each tells which blobs are still whole in it.
        let isAnyLost = audit.findings.contains { !$0.hasGoodCopy }
        for copy in looked where audit.behind[copy.drive.id] == nil {
            guard !Task.isCancelled else { break }
            if copy === looked.first, let structure = proof?.structure {
                result.add(structure, on: copy.drive.id, isProven: true)
            } else {
                await result.addStructure(
                    of: copy, hold, readData: readData && isAnyLost, events: events)
            }
        }
        await result.addKeys(of: hold, narrowedTo: filter.drive)
        result.settle(drives: hold.copies.map(\.drive.id), box: hold)
        await nameSnapshots(of: &result, hold)
        return result
    }

    /// Names the snapshots that need what is lost.
    func nameSnapshots(of result: inout AuditResult, _ hold: OwnerHold) async {
        guard !result.lostKeys.isEmpty, !Task.isCancelled else { return }
        do {
            let repository = try await ResticSnapshotRepository.open(
                backend: MirroredBackend(hold.copies), masterKey: hold.key,
                options: RepositoryOptions(.reading, clock: clock))
            result.concerned += try await repository.snapshots(needing: result.lostKeys)
        } catch {
            // The files are named already; which snapshots need them is a comfort.
            log.info("snapshots not named", metadata: ["owner": "\(hold.owner)"])
        }
    }

    /// Tells each drive's journal what was found on it.
    func writeJournal(
        _ result: AuditResult, _ kind: JournalRecord.AuditKind, _ hold: OwnerHold, run: RunID,
        readData: Bool
    ) async {
        guard !Task.isCancelled else { return }
        let now = clock.now()
        for copy in hold.copies where result.behind[copy.drive.id] == nil {
            let drive = copy.drive.id
            let damaged = result.damaged(on: drive)
            let record = JournalRecord.audit(
                kind, run: run, owner: hold.owner, files: result.files, damaged: damaged,
                repaired: result.repaired.count { $0.drive == drive }, lost: result.lostCount,
                readData: readData)
            // A drive that takes no record (read-only) was still looked at.
            _ = try? await copy.drive.journal.append(record, at: now)
        }
    }
}
