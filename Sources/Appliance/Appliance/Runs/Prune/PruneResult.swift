import BackupCore
import ControlAPI
import Drives
import ResticRepository

/// How a `prune` went, on its way to a summary.
struct PruneResult {
    let mode: PruneRequest.Mode
    var plans: [OwnerID: PrunePlan] = [:]
    /// Whose plan was carried out.
    var pruned: Set<OwnerID> = []
    var outcomes: Set<ExitCode> = []
    /// What was told about owners and drives, in order.
    private var told: [String] = []

    init(mode: PruneRequest.Mode) { self.mode = mode }

    mutating func add(_ failure: Outcome, owner: OwnerID?) {
        outcomes.insert(failure.exitCode)
        told.append((owner.map { "Owner \($0): " } ?? "") + failure.explanation)
    }

    mutating func add(behind drives: [DriveID: BackendError]) {
        for (_, error) in drives.sorted(by: { $0.key < $1.key }) {
            outcomes.insert(.notEveryDrive)
            told.append("\(error.whatHappened) What was pruned goes from it when it is back.")
        }
    }

    /// Whether a plan must not be carried out; then it is told why.
    mutating func refuses(_ plan: PrunePlan, of owner: OwnerID) -> Bool {
        guard !plan.isEmpty else { return false }
        if plan.snapshotCount == 0 {
            // A listing that is empty by mistake looks the same.
            outcomes.insert(.held)
            told.append(
                "Nothing of \(owner) was pruned: no snapshot is there, so everything would go.")
            return true
        }
        guard mode == .scheduled, plan.freedBytes > plan.totalBytes / 4 else { return false }
        outcomes.insert(.held)
        told.append(
            "Nothing of \(owner) was pruned: more than a quarter would go. Look at the plan with "
                + "holdfast prune --dry-run, then run holdfast prune by hand.")
        return true
    }

    func summary(_ run: RunID) -> RunSummary {
        let outcomes = outcomes.isEmpty ? [.done] : outcomes
        let verdict: Verdict =
            switch ExitCode.worst(of: outcomes) {
            case .done: .safe
            case .notEveryDrive: .oneDrive
            case .held: .held
            case .interrupted: .partial
            default: .failed
            }
        var summary = RunSummary(verdict: verdict, outcomes: outcomes, message: message)
        let done = plans.filter { pruned.contains($0.key) }.values
        summary.bytesStored = done.reduce(0) { $0 + $1.writtenBytes }
        summary.details = [
            .init("run", .string(run.rawValue)), .init("dry_run", .bool(mode == .dryRun)),
            .init("freed_bytes", .unsigned(done.reduce(0) { $0 + $1.freedBytes })),
            .init("plan", planJSON),
        ]
        return summary
    }

    private var message: String {
        let waiting = plans.filter { !$0.value.isEmpty }
        var sentences: [String] = []
        if !pruned.isEmpty {
            let freed = plans.filter { pruned.contains($0.key) }.values
                .reduce(UInt64(0)) { $0 + $1.freedBytes }
            sentences.append("Pruned; every drive has \(freed) bytes more room.")
        } else if outcomes.isEmpty || outcomes == [.notEveryDrive] {
            sentences.append(
                waiting.isEmpty
                    ? "There is nothing to prune."
                    : mode == .dryRun ? "Nothing was changed." : "Nothing was pruned.")
        }
        return (sentences + told).joined(separator: " ")
    }

    /// An array with one object for each owner; sizes are bytes on each drive.
    var planJSON: JSONValue {
        .array(
            plans.sorted(by: { $0.key < $1.key }).map { owner, plan in
                .members([
                    "owner": .string(owner.rawValue),
                    "snapshots": .integer(Int64(plan.snapshotCount)),
                    "total_bytes": .unsigned(plan.totalBytes),
                    "packs": .members([
                        "removed": .integer(Int64(plan.removedPacks.count)),
                        "repacked": .integer(Int64(plan.repackedPacks.count)),
                        "kept": .integer(Int64(plan.keptPackCount)),
                        "postponed": .integer(Int64(plan.postponedPackCount)),
                    ]),
                    "indexes_replaced": .integer(Int64(plan.retiredIndexes.count)),
                    "written_bytes": .unsigned(plan.writtenBytes),
                    "freed_bytes": .unsigned(plan.freedBytes),
                    "unused_bytes_left": .unsigned(plan.keptUnusedBytes),
                ])
            })
    }
}
