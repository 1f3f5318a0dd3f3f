package import BackupCore
package import ControlAPI
import Drives
import ResticRepository

/// Shows a plan and tells whether it may be carried out.
package typealias PruneDecision = @Sendable (_ plan: JSONValue) async -> Bool

extension Box {
    /// Plans what to prune, has it decided, and carries it out on every drive. It never fails:
    /// what went wrong is in the summary.
    ///
    /// The plan is made without any lock and shown to `decide` (an array with one object for each
    /// owner, see ``RunSummary/details``). Then each repository is held exclusively, looked
    /// through on every drive, and planned again; more than was shown never goes.
    package func prune(
        _ request: PruneRequest, events: @escaping RunEventSink, decide: PruneDecision
    ) async -> RunSummary {
        let run = newRun()
        let started = clock.now()
        let start = clock.elapsed()
        var result = PruneResult(mode: request.mode)
        var known: DriveRoster?
        do {
            let roster = try await roster()
            known = roster
            _ = try roster.required()
            try refuseUnknown(request.filter, roster)
            let job = PruneJob(
                box: self, roster: roster, request: request, run: run, events: events)
            try await job.plans(&result)
            let isWanted = await decide(result.planJSON)
            for (owner, plan) in result.plans.sorted(by: { $0.key < $1.key }) {
                guard isWanted, request.mode != .dryRun, !Task.isCancelled, !plan.isEmpty else {
                    continue
                }
                await job.carryOut(owner, plan, &result)
            }
        } catch {
            result.add(Outcome(error), owner: nil)
        }
        if Task.isCancelled { result.outcomes.insert(.interrupted) }
        var summary = result.summary(run)
        if let known { summary.message = known.named(summary.message) }
        summary.duration = clock.elapsed() - start
        if request.mode != .dryRun {
            record(
                Catalog.RunFacts(
                    id: run, kind: "prune", owner: request.filter.owner, phone: nil,
                    started: started, seconds: summary.duration.roundedSeconds,
                    exitCode: summary.exitCode), summary)
        }
        return summary
    }
}
