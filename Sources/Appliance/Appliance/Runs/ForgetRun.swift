package import BackupCore
package import ControlAPI
import Drives
import ResticRepository

/// Shows a plan and tells whether it may be carried out.
package typealias ForgetDecision = @Sendable (_ plan: JSONValue) async -> Bool

extension Box {
    /// Plans what to forget, has it decided, and carries it out on every drive. It never fails:
    /// what went wrong is in the summary.
    ///
    /// The plan is made without any lock and shown to `decide` (an array with one object for each
    /// owner, see ``RunSummary/details``). Then the repositories are held exclusively, the plan
    /// is made again, and only one that says the same is carried out.
    package func forget(
        _ options: ForgetOptions, events: @escaping RunEventSink, decide: ForgetDecision
    ) async -> RunSummary {
        let run = newRun()
        let started = clock.now()
        let start = clock.elapsed()
        var result = ForgetResult(mode: options.mode)
        var known: DriveRoster?
        do {
            let roster = try await roster()
            known = roster
            _ = try roster.required()
            try refuseUnknown(options.filter, roster)
            let job = ForgetJob(
                box: self, roster: roster, options: options,
                policy: try options.policy(or: configuration.retention), events: events)
            let plans = try await job.plans(&result)
            for plan in plans { result.plans[plan.owner] = plan.plan }
            let isWanted = await decide(result.planJSON(box: self))
            for plan in plans where !result.refuse(plan.plan) && !plan.plan.going.isEmpty {
                guard isWanted, options.mode != .dryRun, !Task.isCancelled else { continue }
                await job.carryOut(plan, &result)
            }
        } catch {
            result.add(Outcome(error), owner: nil)
        }
        if Task.isCancelled { result.outcomes.insert(.interrupted) }
        var summary = result.summary(run, box: self)
        if let known { summary.message = known.named(summary.message) }
        summary.duration = clock.elapsed() - start
        if options.mode != .dryRun {
            record(
                Catalog.RunFacts(
                    id: run, kind: "forget", owner: options.filter.owner, phone: nil,
                    started: started, seconds: summary.duration.roundedSeconds,
                    exitCode: summary.exitCode), summary)
        }
        return summary
    }
}
