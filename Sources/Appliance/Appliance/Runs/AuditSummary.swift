import BackupCore
import ControlAPI
import Drives

extension AuditResult {
    /// Findings named in a summary; more are only counted.
    private static let namedFindings = 1000

    /// The summary of a check or a repair.
    func summary(_ kind: JournalRecord.AuditKind, _ run: RunID) -> RunSummary {
        let outcomes = outcomes.isEmpty ? [.done] : outcomes
        let verdict: Verdict =
            switch ExitCode.worst(of: outcomes) {
            case .done: .safe
            case .notEveryDrive: .oneDrive
            case .interrupted: .partial
            default: .failed
            }
        var summary = RunSummary(
            verdict: verdict, outcomes: outcomes, message: message(kind))
        summary.bytesRead = bytesRead
        summary.details = [
            .init("run", .string(run.rawValue)), .init("files_checked", .integer(Int64(files))),
            .init("repaired", .integer(Int64(repaired.count))),
            .init("findings_count", .integer(Int64(lines.count))),
            .init("findings", .array(lines.prefix(Self.namedFindings).map(Self.json))),
            .init("snapshots_concerned", .array(concerned.map { .string($0.id.hex) })),
        ]
        return summary
    }

    /// The findings as lines for people.
    private static func json(_ line: Line) -> JSONValue {
        .members([
            "drive": .string(line.drive.rawValue),
            "file": .optional(line.file?.relativePath), "problem": .string(line.problem),
            "good_copy": .bool(line.hasGoodCopy),
            "paths": .array(line.paths.map(JSONValue.string)),
        ])
    }

    private func message(_ kind: JournalRecord.AuditKind) -> String {
        var parts: [String] = []
        let lost = lines.filter { !$0.hasGoodCopy }
        let recoverable = lines.count - lost.count
        if !lost.isEmpty {
            // Each drive lacks the same: told once.
            var paths: [String] = []
            for path in lost.flatMap(\.paths) where !paths.contains(path) { paths.append(path) }
            let names = paths.prefix(5).joined(separator: ", ")
            parts.append(
                "\(lost.count) findings have no good copy on any drive that is connected"
                    + (names.isEmpty ? "." : "; concerned are \(names)."))
            let snapshots = concerned.prefix(5).map(\.id.short).joined(separator: ", ")
            if !snapshots.isEmpty {
                parts.append(
                    "\(concerned.count) snapshots need them: \(snapshots). What the phone still "
                        + "has is read again by the next backup"
                        + (kind == .heal ? "." : " after holdfast heal."))
            }
        }
        if recoverable > 0 {
            parts.append(
                "\(Counted.files(recoverable)) damaged or missing; a good copy of each exists. "
                    + "Run holdfast heal.")
        }
        if kind == .heal, !repaired.isEmpty {
            parts.append("Repaired \(Counted.files(repaired.count)) from a good copy.")
        }
        if lines.isEmpty, outcomes.isEmpty {
            let whole =
                switch kind {
                case .check: "Every drive is whole: \(Counted.files(files))."
                case .heal: "Every drive is whole and all hold the same files."
                case .scrub: "Read \(Counted.files(files)) back; no damage is known."
                }
            parts.append(whole)
        }
        return (parts + told).joined(separator: " ")
    }
}
