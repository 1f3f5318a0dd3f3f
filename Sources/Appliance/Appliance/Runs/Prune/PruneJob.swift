import BackupCore
import Drives
import ResticFormat
import ResticRepository

/// Makes the plans of a `prune` and carries them out, owner by owner.
struct PruneJob: Sendable {
    let box: Box
    let roster: DriveRoster
    let request: PruneRequest
    let run: RunID
    let events: RunEventSink

    // MARK: Planning

    /// The plans of all owners who are concerned, made without locks and without writing. An
    /// owner who cannot be read is told in `result` and hides no other.
    func plans(_ result: inout PruneResult) async throws {
        for owner in try box.owners(request.filter.owner).map(\.id) {
            do {
                var copies: [DriveBackend] = []
                for drive in try roster.required() {
                    let copy = drive.repository(owner)
                    // A drive that fails here is told when the plan is carried out.
                    if (try? await copy.isInitialised()) == true { copies.append(copy) }
                }
                guard !copies.isEmpty else { continue }
                let key = try await box.masterKey(of: owner, on: copies.map(\.drive)).key
                var gone: Set<FileName> = []
                for copy in copies {
                    gone.formUnion(try await copy.drive.journal.tombstones(of: owner))
                }
                result.plans[owner] = try await plan(copies, key, without: gone)
            } catch {
                result.add(Outcome(error), owner: owner)
            }
        }
    }

    private func plan(
        _ copies: [DriveBackend], _ key: MasterKey, without gone: Set<FileName>
    ) async throws(RepositoryError) -> PrunePlan {
        var execution = PruneExecution(
            copies: copies, key: key, gone: gone, clock: box.clock, isTrusted: { _ in false },
            events: events)
        execution.options = await options(copies)
        do throws(RepositoryError) { return try await execution.plan() } catch {
            guard error.code == .missing else { throw error }
            // A drive that was away may need what others removed, until it is caught up.
            execution.gone = gone.filter { $0.kind == .snapshot }
            return try await execution.plan()
        }
    }

    private func options(_ copies: [DriveBackend]) async -> PruneOptions {
        var options = PruneOptions()
        options.maxUnusedPercent = request.maxUnusedPercent
        for copy in copies { options.room = min(options.room, await copy.freeBytes()) }
        return options
    }

    // MARK: Carrying out

    /// Prunes one owner's repository under exclusive locks; how it went is told in `result`.
    func carryOut(_ owner: OwnerID, _ shown: PrunePlan, _ result: inout PruneResult) async {
        do {
            let wait = Duration.seconds(request.waitSeconds ?? box.configuration.waitSeconds)
            let hold = try await box.hold(
                owner, for: .retention, on: roster, wait: wait, events: events)
            do {
                try await carryOut(hold, shown, &result)
            } catch {
                result.add(Outcome(error), owner: owner)
            }
            await hold.release()
        } catch {
            result.add(Outcome(error), owner: owner)
        }
    }

    private func carryOut(
        _ hold: OwnerHold, _ shown: PrunePlan, _ result: inout PruneResult
    ) async throws {
        try refuseFewDrives(hold)
        var execution = PruneExecution(
            copies: hold.copies, key: hold.key, gone: hold.gone, clock: box.clock,
            isTrusted: { await hold.isConfirmed($0) }, events: events)
        execution.options = await options(hold.copies)
        try await execution.verify(readsAll: request.readsAll)
        let plan = try await execution.plan()
        result.plans[hold.owner] = plan
        guard !result.refuses(plan, of: hold.owner) else { return }
        guard request.mode == .scheduled || Set(plan.retired).isSubset(of: shown.retired) else {
            throw ApplianceError(
                .busy, "The repository of \(hold.owner) changed after the plan was shown.",
                whatToDo: "Run it again, and look at the new plan.")
        }
        if !plan.isEmpty {
            let written = try await execution.run(plan)
            await record(plan, hold)
            await box.trackFiles(on: hold.copies, of: hold.owner, readBack: Set(written))
            result.pruned.insert(hold.owner)
        }
        result.add(behind: hold.behind)
    }

    /// Nothing goes from the last drive that could give it back.
    private func refuseFewDrives(_ hold: OwnerHold) throws {
        let failed = hold.behind.filter { $0.value.code != .absent }
        guard hold.copies.count < 2 || request.mode == .scheduled && !failed.isEmpty else { return }
        guard !hold.behind.isEmpty else {
            throw ApplianceError(
                .configuration, "A single drive is never pruned.",
                whatToDo: "Enrol a second one with holdfast setup --drive DIR.")
        }
        throw DriveRoster.worst(failed.isEmpty ? hold.behind : failed)
    }

    private func record(_ plan: PrunePlan, _ hold: OwnerHold) async {
        let record = JournalRecord.pruned(
            run: run, owner: hold.owner, removedPacks: plan.removedPacks.count,
            repackedPacks: plan.repackedPacks.count, freedBytes: plan.freedBytes)
        for copy in hold.copies {
            // The tombstones tell it too; this record is for people.
            _ = try? await copy.drive.journal.append(record, at: box.clock.now())
        }
        await box.renew(hold.copies.map(\.drive))
    }
}
