import Appliance
import BackupCore
import Drives
import ResticFormat
import ResticRepository

/// Runs that take something from the drives on purpose.
extension StoreRun {
    /// Removes the oldest snapshot from every drive, as `holdfast forget` does.
    func forget() async -> RunOutcome {
        guard let oldest = lab.state.oldest else { return RunOutcome() }
        return await removing { hold, outcome in
            lab.note { state in
                state.unusedPercent = nil
                for drive in Lab.drives { state.drives[drive].snapshots[oldest] = nil }
            }
            let files = [FileName(.snapshot, oldest)]
            for copy in hold.copies { try await copy.bury(files, at: lab.clock.now()) }
            for copy in hold.copies {
                try await copy.retire(files, at: lab.clock.now())
                let number = lab.number(copy.drive.id)
                lab.note { _ = $0.drives[number].forgotten.insert(oldest) }
                outcome.done.insert(number)
            }
        }
    }

    /// Removes what nothing needs, by the appliance's own code.
    func prune() async -> RunOutcome {
        await removing { hold, outcome in
            let locks = hold.locks
            var execution = PruneExecution(
                copies: hold.copies, key: lab.seed.repository.masterKey, gone: hold.gone,
                clock: lab.clock, isTrusted: { await locks[$0]?.isConfirmed() ?? false },
                events: { _ in })
            execution.options.packByteCount = Self.packByteCount
            try await execution.verify(readsAll: false)
            let plan = try await execution.plan()
            if !plan.isEmpty { try await execution.run(plan) }
            lab.note { $0.unusedPercent = execution.options.maxUnusedPercent }
            outcome.done = Set(drives)
        }
    }

    /// A run that removes: on all drives, or on none.
    private func removing(
        _ body: (Hold, inout RunOutcome) async throws -> Void
    ) async -> RunOutcome {
        await held(exclusive: true) { hold, outcome in
            await catchUp(&hold, exclusive: true)
            outcome.behind = hold.behind
            guard hold.behind.isEmpty else { return outcome.error = "not every drive is there" }
            do { try await body(hold, &outcome) } catch {
                outcome.error = TrialReading.text(error)
            }
        }
    }

    /// Puts the second key in the place of the first.
    func rotateKeys() async -> RunOutcome {
        let added = await addKey()
        guard added.done == Set(drives) else { return added }
        lab.note { $0.isRotated = true }
        return await held(exclusive: true) { hold, outcome in
            for copy in hold.copies {
                do throws(BackendError) {
                    try await copy.retireKeys(
                        Set(lab.seed.repository.keys.map(\.id)), keeping: [lab.seed.newKey.id],
                        at: lab.clock.now())
                    outcome.done.insert(lab.number(copy.drive.id))
                } catch {
                    outcome.behind[copy.drive.id] = error
                }
            }
        }
    }

    /// Erases the owner from every drive.
    func erase() async -> RunOutcome {
        lab.clock.turn()
        lab.note { $0.isErasing = true }
        var outcome = RunOutcome()
        for number in drives {
            do throws(BackendError) {
                let drive = try await openDrive(number)
                try await drive.journal.append(
                    .erased(TrialStore.owner), at: lab.clock.now())
                try await drive.erase(TrialStore.owner)
                outcome.done.insert(number)
                _ = try await drive.renew()
            } catch {
                outcome.behind[BoxSeed.drives[number]] = error
            }
        }
        return outcome
    }
}
