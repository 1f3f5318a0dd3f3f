/// The verdict of a run, as programs read it.
package enum Verdict: String, Sendable {
    /// On every drive, and at least two are enrolled.
    case safe
    /// Complete, but not on two drives.
    case oneDrive = "one_drive"
    /// Cut short; what was read is kept.
    case partial
    /// Complete but for named entries.
    case unreadable
    /// The phone looks emptier than before.
    case held
    /// Nobody unlocked, allowed or plugged in in time.
    case waiting
    case failed
}

/// What a backup run did.
package struct BackupReport: Sendable {
    /// Counts of the phone's files.
    package struct Files: Hashable, Sendable {
        package var new = 0
        package var changed = 0
        package var unchanged = 0
        package var removed = 0
        package var skipped = 0
        /// Zero counts.
        package init() {}
    }

    /// An entry that is not in the snapshot as the phone has it now, and why.
    package struct Skipped: Hashable, Sendable {
        package let path: EntryPath
        package let reason: String
        /// An entry and the reason.
        package init(path: EntryPath, reason: String) {
            self.path = path
            self.reason = reason
        }
    }

    package var run: RunID
    package var phone: PhoneID?
    package var owner: OwnerID?
    package var snapshots: [CommittedSnapshot] = []
    package var files = Files()
    /// Content read from the phone.
    package var bytesRead: UInt64 = 0
    package var statistics = RepositoryStatistics()
    package var skipped: [Skipped] = []
    /// Photos and videos whose originals the phone keeps only in its maker's cloud; nil when the
    /// phone does not tell.
    package var onlyInCloud: UInt64?
    /// Every outcome; the worst decides how the program ends.
    package var outcomes: Set<ExitCode> = []
    /// Sentences for people, most important first.
    package var messages: [String] = []
    package var started: Timestamp
    package var duration: Duration = .zero

    /// A report at the start of a run.
    package init(run: RunID, started: Timestamp) {
        self.run = run
        self.started = started
    }

    /// How a program that did only this run ends.
    package var exitCode: ExitCode { ExitCode.worst(of: outcomes) }
}
