/// What a run tells while it goes: for a terminal, NDJSON, a bay's state file and logs.
package enum RunEvent: Sendable {
    case progress(RunProgress)
    case notice(RunNotice)
}

/// How far a run has come.
package struct RunProgress: Hashable, Sendable {
    /// What is being done.
    package enum Phase: String, Sendable {
        case waiting, listing, reading, saving, restoring, checking, healing
    }

    package var phase: Phase
    package var filesDone: Int
    /// nil while not known.
    package var filesTotal: Int?
    package var bytesDone: UInt64
    package var bytesTotal: UInt64?

    /// Progress with every field given.
    package init(
        phase: Phase, filesDone: Int = 0, filesTotal: Int? = nil, bytesDone: UInt64 = 0,
        bytesTotal: UInt64? = nil
    ) {
        self.phase = phase
        self.filesDone = filesDone
        self.filesTotal = filesTotal
        self.bytesDone = bytesDone
        self.bytesTotal = bytesTotal
    }
}

/// Something worth a line: a wait, an entry skipped, a drive that fell behind.
package struct RunNotice: Hashable, Sendable {
    /// A stable word for programs, in snake_case.
    package let code: String
    /// A sentence for people; escaped.
    package let message: String
    package let path: EntryPath?

    /// A notice.
    package init(code: String, message: String, path: EntryPath? = nil) {
        self.code = code
        self.message = message
        self.path = path
    }
}

/// Where a run's events go. Called in order, from one task; it must not block.
package typealias RunEventSink = @Sendable (RunEvent) -> Void
