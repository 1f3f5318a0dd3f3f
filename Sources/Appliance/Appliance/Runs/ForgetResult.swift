import BackupCore
import ControlAPI
import Drives
import ResticRepository

/// How a `forget` went, on its way to a summary.
struct ForgetResult {
    let mode: ForgetOptions.Mode
    var plans: [OwnerID: ForgetPlan] = [:]
    var forgotten = 0
    var outcomes: Set<ExitCode> = []
    /// What was told about owners and drives, in order.
    private var told: [String] = []

    init(mode: ForgetOptions.Mode) { self.mode = mode }

    mutating func add(_ failure: Outcome, owner: OwnerID?) {
        outcomes.insert(failure.exitCode)
        told.append((owner.map { "Owner \($0): " } ?? "") + failure.explanation)
    }

    mutating func add(behind drives: [DriveID: BackendError]) {
        for (_, error) in drives.sorted(by: { $0.key < $1.key }) {
            outcomes.insert(.notEveryDrive)
            told.append("\(error.whatHappened) What was forgotten goes from it when it is back.")
        }
    }

    /// Whether a plan must not be carried out; then it is told why.
    mutating func refuse(_ plan: ForgetPlan) -> Bool {
        for refusal in plan.refusals {
            // Nobody may ask for the last one; the rails wait for a person.
            if case .lastComplete = refusal {
                outcomes.insert(.usage)
            } else {
                outcomes.insert(.held)
            }
            told.append(refusal.message)
        }
        return !plan.refusals.isEmpty
    }

    func summary(_ run: RunID, box: Box) -> RunSummary {
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
        summary.details = [
            .init("run", .string(run.rawValue)), .init("dry_run", .bool(mode == .dryRun)),
            .init("forgotten", .integer(Int64(forgotten))), .init("plan", planJSON(box: box)),
        ]
        return summary
    }

    private var message: String {
        let going = plans.values.reduce(0) { $0 + $1.going.count }
        let kept = plans.values.reduce(0) { $0 + $1.kept.count }
        let postponed = plans.values.flatMap(\.groups).reduce(0) { $0 + $1.postponed }
        var sentences: [String] = []
        if forgotten > 0 {
            sentences.append(
                "Forgot \(Self.snapshots(forgotten)) and kept \(kept). Run holdfast prune to free "
                    + "their space.")
        } else if mode == .dryRun, outcomes.isEmpty {
            sentences.append(
                "Would forget \(Self.snapshots(going)) and keep \(kept). Nothing was changed.")
        } else if outcomes.isEmpty {
            sentences.append(
                going == 0
                    ? "Nothing is to be forgotten; \(Self.snapshots(kept)) kept."
                    : "Nothing was forgotten.")
        }
        if postponed > 0 {
            sentences.append(
                "\(Self.snapshots(postponed)) more would go by the rules; unattended, at most a "
                    + "quarter goes in one run.")
        }
        return (sentences + told).joined(separator: " ")
    }

    static func snapshots(_ count: Int) -> String {
        count == 1 ? "1 snapshot" : "\(count) snapshots"
    }
}

extension ForgetPlan.Refusal {
    /// A stable word for programs.
    var code: String {
        switch self {
        case .lastComplete: "last_complete"
        case .newestInFuture: "newest_in_future"
        case .shrunkenListing: "shrunken_listing"
        }
    }

    /// What it means and what to do.
    var message: String {
        switch self {
        case .lastComplete(let id):
            "Nothing was forgotten: \(id.short) would be the last complete snapshot of its phone "
                + "to go. Leave it out."
        case .newestInFuture(let id):
            "Nothing was forgotten: snapshot \(id.short) lies in the future of this box's clock. "
                + "Set the clock, or run holdfast forget by hand and look at its plan."
        case .shrunkenListing(let drive, let missing):
            "Nothing was forgotten: Drive \(drive) lacks "
                + "\(ForgetResult.snapshots(missing)) that its journal tells of. Run holdfast "
                + "check, or holdfast forget by hand if they were removed with restic."
        }
    }
}

// MARK: For programs

extension ForgetResult {
    /// An array with one object for each owner: `owner`, `groups` and `refusals`; a group has
    /// `phone, phone_name, capture, keep, forget, postponed`, a snapshot there `id, time,
    /// complete, reasons`.
    func planJSON(box: Box) -> JSONValue {
        .array(
            plans.sorted(by: { $0.key < $1.key }).map { owner, plan in
                .members([
                    "owner": .string(owner.rawValue),
                    "groups": .array(plan.groups.map { Self.json($0, box) }),
                    "refusals": .array(
                        plan.refusals.map { refusal in
                            .members([
                                "code": .string(refusal.code),
                                "message": .string(refusal.message),
                            ])
                        }),
                ])
            })
    }

    private static func json(_ group: ForgetPlan.Group, _ box: Box) -> JSONValue {
        // A name is a comfort: without one the id stands alone.
        let name = group.phone.flatMap { try? box.store.phone($0)?.name }
        return .members([
            "phone": .optional(group.phone?.rawValue), "phone_name": .optional(name),
            "capture": .optional(group.capture?.rawValue),
            "keep": .array(group.kept.map(json)), "forget": .array(group.going.map(json)),
            "postponed": .integer(Int64(group.postponed)),
        ])
    }

    private static func json(_ entry: ForgetPlan.Entry) -> JSONValue {
        let draft = entry.snapshot.draft
        return .members([
            "id": .string(entry.snapshot.id.hex),
            "time": .string(
                RFC3339.text(draft.time, utcOffsetSeconds: draft.utcOffsetSeconds)),
            "complete": .bool(!entry.snapshot.isPartial),
            "reasons": .array(entry.reasons.map(JSONValue.string)),
        ])
    }
}
