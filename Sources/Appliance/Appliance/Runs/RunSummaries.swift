import BackupCore
import ControlAPI
import Logging

extension RunSummary {
    /// The summary of a run that ended in `error` before it did anything.
    init(failed error: any Error) {
        let outcome = Task.isCancelled ? Outcome(CancellationError()) : Outcome(error)
        let verdict: Verdict =
            switch outcome.exitCode {
            case .waitingRanOut: .waiting
            case .held: .held
            default: .failed
            }
        self.init(verdict: verdict, outcomes: [outcome.exitCode], message: outcome.explanation)
    }

    /// Several runs as one: counts added, the worst verdict, all outcomes.
    static func joined(_ parts: [RunSummary]) -> RunSummary {
        guard let first = parts.first else {
            return RunSummary(
                verdict: .failed, outcomes: [.waitingRanOut], message: "Nothing was done.")
        }
        guard parts.count > 1 else { return first }
        let worst = ExitCode.worst(of: parts.map(\.exitCode))
        let outcomes = Set(parts.flatMap(\.outcomes))
        var result = RunSummary(
            verdict: parts.first { $0.exitCode == worst }?.verdict ?? .failed,
            outcomes: outcomes.count > 1 ? outcomes.subtracting([.done]) : outcomes,
            message: parts.map(\.message).joined(separator: " "))
        for part in parts {
            result.snapshots += part.snapshots
            result.files.new += part.files.new
            result.files.changed += part.files.changed
            result.files.unchanged += part.files.unchanged
            result.files.removed += part.files.removed
            result.files.skipped += part.files.skipped
            result.bytesRead += part.bytesRead
            result.bytesAdded += part.bytesAdded
            result.bytesStored += part.bytesStored
            result.duration += part.duration
            result.copies = merged(result.copies, part.copies)
        }
        result.details = [
            .init(
                "runs",
                .array(
                    parts.map { part in
                        let code = JSONValue.unsigned(UInt64(part.exitCode.rawValue))
                        return .object(part.details + [.init("exit_code", code)])
                    }))
        ]
        return result
    }

    /// For each drive the weaker of two states.
    private static func merged(
        _ left: [CopyDocument], _ right: [CopyDocument]
    ) -> [CopyDocument] {
        let order = ["behind", "written", "durable", "verified"]
        var states: [DriveID: String] = [:]
        for copy in left + right {
            let known = states[copy.drive].flatMap(order.firstIndex) ?? order.count
            if order.firstIndex(of: copy.state) ?? 0 < known { states[copy.drive] = copy.state }
        }
        return states.sorted { $0.key < $1.key }.map {
            CopyDocument(drive: $0.key, state: $0.value)
        }
    }
}

extension Box {
    /// Remembers a run in the catalog and tells the log.
    func record(_ run: Catalog.RunFacts, _ summary: RunSummary) {
        catalog.remember(run)
        var metadata: Logger.Metadata = [
            "run": "\(run.id)", "kind": "\(run.kind)", "verdict": "\(summary.verdict.rawValue)",
            "exit_code": "\(summary.exitCode.rawValue)", "seconds": "\(run.seconds)",
            "bytes_read": "\(summary.bytesRead)", "bytes_added": "\(summary.bytesAdded)",
            "bytes_stored": "\(summary.bytesStored)",
        ]
        if let owner = run.owner { metadata["owner"] = "\(owner)" }
        if let phone = run.phone { metadata["phone"] = "\(phone)" }
        log.log(
            level: summary.exitCode == .done ? .notice : .warning, "run ended", metadata: metadata)
    }
}
