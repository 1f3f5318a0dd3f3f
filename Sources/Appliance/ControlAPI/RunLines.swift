package import BackupCore

/// The closing record of a run.
package struct RunSummary: Hashable, Sendable {
    package var verdict: Verdict
    package var exitCode: ExitCode
    /// Every outcome, the one that most needs a person first.
    package var outcomes: [ExitCode]
    package var snapshots: [SnapshotDocument]
    package var files: BackupReport.Files
    /// Content read from the phone (backup) or from the drives (restore, check, heal).
    package var bytesRead: UInt64
    /// New blobs before compression.
    package var bytesAdded: UInt64
    /// New files after compression and sealing, per drive.
    package var bytesStored: UInt64
    package var copies: [CopyDocument]
    package var duration: Duration
    /// The closing sentences.
    package var message: String
    /// Facts of one kind of run (`restored`, `findings`), as extra keys.
    package var details: [JSONValue.Member]

    /// A summary with no counts yet.
    package init(verdict: Verdict, outcomes: Set<ExitCode>, message: String) {
        self.verdict = verdict
        exitCode = ExitCode.worst(of: outcomes)
        self.outcomes = ExitCode.byNeedOfAPerson.filter(outcomes.contains)
        snapshots = []
        files = BackupReport.Files()
        bytesRead = 0
        bytesAdded = 0
        bytesStored = 0
        copies = []
        duration = .zero
        self.message = message
        details = []
    }

    /// Adds an outcome; the one that most needs a person decides.
    package mutating func add(_ outcome: ExitCode) {
        let all = Set(outcomes).subtracting([.done]).union([outcome])
        exitCode = ExitCode.worst(of: all)
        outcomes = ExitCode.byNeedOfAPerson.filter(all.contains)
    }

    /// `message_type` `summary` with the keys `verdict, exit_code, snapshots, files: {new,
    /// changed, unchanged, removed, skipped}, bytes: {read, added, stored}, copies,
    /// duration_seconds, message`, and `outcomes`.
    package var json: JSONValue {
        let counts: JSONValue = .members([
            "new": .integer(Int64(files.new)), "changed": .integer(Int64(files.changed)),
            "unchanged": .integer(Int64(files.unchanged)),
            "removed": .integer(Int64(files.removed)),
            "skipped": .integer(Int64(files.skipped)),
        ])
        let bytes: JSONValue = .members([
            "read": .unsigned(bytesRead), "added": .unsigned(bytesAdded),
            "stored": .unsigned(bytesStored),
        ])
        let members: [JSONValue.Member] = [
            .init("message_type", .string("summary")),
            .init("verdict", .string(verdict.rawValue)),
            .init("exit_code", .integer(Int64(exitCode.rawValue))),
            .init("outcomes", .array(outcomes.map { .integer(Int64($0.rawValue)) })),
            .init("snapshots", .array(snapshots.map(\.json))),
            .init("files", counts), .init("bytes", bytes),
            .init("copies", .array(copies.map(\.json))),
            .init("duration_seconds", .number(duration.roundedSeconds)),
            .init("message", .string(message)),
        ]
        return .object(members + details)
    }
}

/// A run's event as one NDJSON line.
package enum RunLine {
    /// `message_type` `status` or `event`.
    package static func json(_ event: RunEvent) -> JSONValue {
        switch event {
        case .progress(let progress): status(progress)
        case .notice(let notice):
            .members([
                "message_type": .string("event"), "code": .string(notice.code),
                "message": .string(notice.message),
                "path": .optional(notice.path?.description),
            ])
        }
    }

    private static func status(_ progress: RunProgress) -> JSONValue {
        .members([
            "message_type": .string("status"), "phase": .string(progress.phase.rawValue),
            "files_done": .integer(Int64(progress.filesDone)),
            "files_total": progress.filesTotal.map { .integer(Int64($0)) } ?? .null,
            "bytes_done": .unsigned(progress.bytesDone),
            "bytes_total": progress.bytesTotal.map(JSONValue.unsigned) ?? .null,
        ])
    }
}

extension Duration {
    /// Seconds with three decimals.
    package var roundedSeconds: Double {
        let (seconds, attoseconds) = components
        return Double(seconds) + Double(attoseconds / 1_000_000_000_000_000) / 1000
    }
}
