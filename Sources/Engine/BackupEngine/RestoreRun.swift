package import BackupCore

/// What a restore is told to do.
package struct RestoreRequest: Sendable {
    package var run: RunID
    /// The tree to restore from, a snapshot's.
    package var tree: ContentID
    /// What to restore: entries and folders with all beneath; empty for everything.
    package var paths: [EntryPath]

    /// A restore of `paths` out of `tree`.
    package init(run: RunID, tree: ContentID, paths: [EntryPath] = []) {
        self.run = run
        self.tree = tree
        self.paths = paths
    }
}

/// What a restore did.
package struct RestoreReport: Sendable {
    /// An entry that was not restored, and why.
    package struct Failed: Hashable, Sendable {
        package let path: EntryPath
        package let reason: String

        /// An entry and the reason.
        package init(path: EntryPath, reason: String) {
            self.path = path
            self.reason = reason
        }
    }

    package var run: RunID
    package var files = 0
    package var directories = 0
    package var bytes: UInt64 = 0
    /// The first entries that failed, by name.
    package var failed: [Failed] = []
    /// All entries that failed.
    package var failedCount = 0
    package var outcomes: Set<ExitCode> = []
    /// Sentences for people, most important first.
    package var messages: [String] = []
    package var started: Timestamp
    package var duration: Duration = .zero

    /// A report at the start of a restore.
    package init(run: RunID, started: Timestamp) {
        self.run = run
        self.started = started
    }

    /// How a program that did only this restore ends.
    package var exitCode: ExitCode { ExitCode.worst(of: outcomes) }
}

/// One restore: a snapshot's tree, or parts of it, into a target, under the full paths.
///
/// An entry that cannot be restored is named in the report and the restore goes on; a target that
/// is full or unusable, no drive left, or a cancelled task ends it. Names that could lead out of
/// the target never reach it.
package struct RestoreRun: Sendable {
    /// Failed entries named; more are only counted.
    static let namedFailures = 10_000

    let request: RestoreRequest
    let repository: any SnapshotRepository
    let target: any RestoreTarget
    let clock: any RunClock
    let events: RunEventSink

    /// A restore from `repository` to `target`.
    package init(
        _ request: RestoreRequest, repository: any SnapshotRepository,
        target: any RestoreTarget, clock: any RunClock, events: @escaping RunEventSink
    ) {
        self.request = request
        self.repository = repository
        self.target = target
        self.clock = clock
        self.events = events
    }

    /// Restores. It never fails: what went wrong stands in the report.
    package func run() async -> RestoreReport {
        let start = clock.elapsed()
        var journey = RestoreJourney(self)
        do throws(RestoreJourney.End) {
            let selection = try await journey.select()
            try await journey.countWhatIsToCome(selection)
            for entry in selection { try await journey.restoreSelected(entry) }
            try await journey.finishFoldersAbove()
        } catch {
            journey.end(error)
        }
        journey.conclude()
        journey.report.duration = clock.elapsed() - start
        return journey.report
    }
}
