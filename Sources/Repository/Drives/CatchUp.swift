package import BackupCore

/// Brings an owner's copies together before a run: the union of their files by name, both ways.
///
/// Nothing that one drive lacks is a deletion; only tombstones are, and they keep files from being
/// copied back. Keys and config come first, then packs, indexes and snapshots, each kind durable
/// before the next, so that a crash leaves no snapshot without its content. It adds only: a drive
/// that still holds what tombstones name is told, and ``ContentKeeper/retire(_:on:at:)`` removes
/// it. To be called under the owner's lock: left-overs of earlier runs are swept first.
package struct CatchUp: Sendable {
    private let copies: [DriveBackend]
    private let judge: ConfigJudge
    private let keeper: ContentKeeper?

    /// Catches up `copies`, which are on different drives; `validConfig` decides when configs
    /// differ. Without a `keeper`, snapshots that need files with tombstones are copied without
    /// them.
    package init(
        _ copies: [DriveBackend], validConfig: @escaping ConfigJudge,
        keeper: ContentKeeper? = nil
    ) {
        self.copies = copies
        judge = validConfig
        self.keeper = keeper
    }

    /// Copies what each drive lacks. A drive that fails stands in ``CatchUpReport/behind`` and
    /// must not be written to in the run that follows. Cancelling stops between pieces.
    package func run(progress sink: CopyProgressSink? = nil) async -> CatchUpReport {
        var report = CatchUpReport()
        await CopySurvey.sweep(copies)
        let (taken, behind) = await CopySurvey.take(of: copies)
        report.behind = behind
        var surveys = taken
        let tombstones = await tombstones(of: surveys)
        surveys = settleConfigs(surveys, &report)
        guard surveys.contains(where: \.isRepository) else { return report }
        await makeMissingRepositories(surveys, &report)
        let wanted = await judgeSizes(surveys, &report)
        let plan = CatchUpPlan(surveys, bad: wanted, tombstones: tombstones)
        let progress = CopyProgress(
            .saving, files: plan.fileCount, bytes: plan.byteCount, sink: sink)
        for survey in surveys {
            let left = tombstones.intersection(survey.sizes.keys).filter {
                DriveBackend.retiredKinds.contains($0.kind)
            }
            if !left.isEmpty { report.leftOver[survey.drive] = left }
        }
        for kind in CopySurvey.kinds {
            // After the packs: what is needed anew may lie in any of them.
            if kind == .index { await rescue(surveys, tombstones, &report) }
            await copy(kind, plan, surveys, progress, &report)
        }
        if Task.isCancelled { report.wasCancelled = true }
        return report
    }

    /// Has stored anew what kept snapshots need of the files that tombstones name, before any
    /// such snapshot is copied to a drive without them.
    private func rescue(
        _ surveys: [CopySurvey], _ tombstones: Set<FileName>, _ report: inout CatchUpReport
    ) async {
        let holders = report.leftOver.filter { $0.value.contains { $0.kind != .snapshot } }.keys
        guard let keeper, !Task.isCancelled, !holders.isEmpty else { return }
        let usable = surveys.filter { report.behind[$0.drive] == nil }
        do throws(BackendError) {
            let rescued = try await keeper.rescue(usable.map(\.backend), tombstones)
            report.behind.merge(rescued.behind) { first, _ in first }
            report.superseded = Set(rescued.superseded)
            for survey in usable {
                let left = report.superseded.intersection(survey.sizes.keys)
                report.leftOver[survey.drive, default: []].formUnion(left)
                await bury(report.superseded, on: survey, &report)
            }
        } catch {
            for drive in holders where report.behind[drive] == nil { report.behind[drive] = error }
        }
        // What only they hold may not have been stored anew: nothing that needs it is copied.
        report.apart = Set(holders.filter { report.behind[$0] != nil })
    }

    /// Names in a drive's journal what a rescue superseded, so that the next one need not.
    private func bury(
        _ files: Set<FileName>, on survey: CopySurvey, _ report: inout CatchUpReport
    ) async {
        let drive = survey.backend.drive
        guard !files.isEmpty, report.behind[drive.id] == nil else { return }
        do throws(BackendError) {
            try await survey.backend.bury(Array(files), at: drive.options.clock.now())
        } catch {
            report.behind[drive.id] = error
        }
    }

    /// The files that any drive's journal names; a journal that cannot be read names none, and
    /// then a removed file comes back, which costs room only.
    private func tombstones(of surveys: [CopySurvey]) async -> Set<FileName> {
        var result: Set<FileName> = []
        for survey in surveys {
            result.formUnion(
                (try? await survey.backend.drive.journal.tombstones(of: survey.backend.owner))
                    ?? [])
        }
        return result
    }

    /// Keeps the drives whose config is the owner's or is only missing.
    private func settleConfigs(
        _ surveys: [CopySurvey], _ report: inout CatchUpReport
    ) -> [CopySurvey] {
        let found = Set(surveys.compactMap(\.config))
        let valid = found.filter(judge)
        var kept: [CopySurvey] = []
        for survey in surveys {
            let system = survey.backend.drive.system
            if valid.count > 1 {
                report.behind[survey.drive] = system.error(
                    .wrongDrive, "the drives hold different repositories of one owner")
            } else if let config = survey.config, !valid.contains(config) {
                report.behind[survey.drive] = system.error(
                    .damaged, "the config of its repository is damaged")
            } else if survey.isRepository && valid.isEmpty {
                report.behind[survey.drive] = system.error(
                    .damaged, "its repository has no config, and no other drive has it")
            } else {
                kept.append(survey)
            }
        }
        return kept
    }

    private func makeMissingRepositories(
        _ surveys: [CopySurvey], _ report: inout CatchUpReport
    ) async {
        for survey in surveys where !survey.isRepository {
            do throws(BackendError) {
                try await survey.backend.writing { (folder) throws(BackendError) in
                    try folder.clearUnfinished()
                    try folder.makeSkeleton()
                }
            } catch {
                report.behind[survey.drive] = error
            }
        }
    }

    /// Files with different sizes under one name are read: which drives have them bad.
    private func judgeSizes(
        _ surveys: [CopySurvey], _ report: inout CatchUpReport
    ) async -> [DriveID: Set<FileName>] {
        var bad: [DriveID: Set<FileName>] = [:]
        for file in CopyJudgement.filesOfDifferentSizes(surveys) {
            for survey in surveys where survey.sizes[file] != nil {
                let isGood = await CopyJudgement.isGood(file, on: survey, judge: judge)
                if !isGood { bad[survey.drive, default: []].insert(file) }
            }
        }
        return bad
    }

    private func copy(
        _ kind: FileKind, _ plan: CatchUpPlan, _ surveys: [CopySurvey],
        _ progress: CopyProgress, _ report: inout CatchUpReport
    ) async {
        let targets = surveys.filter { report.behind[$0.drive] == nil }
        var outcomes: [CatchUpLane.Outcome] = []
        await withTaskGroup(of: CatchUpLane.Outcome.self) { group in
            for target in targets {
                let lane = CatchUpLane(
                    target: target,
                    surveys: surveys.filter {
                        $0.drive != target.drive && !report.apart.contains($0.drive)
                    }, plan: plan, superseded: report.superseded, judge: judge,
                    progress: progress)
                group.addTask { await lane.run(kind) }
            }
            for await outcome in group { outcomes.append(outcome) }
        }
        for outcome in outcomes { report.add(outcome) }
    }
}

/// What a catch-up did.
package struct CatchUpReport: Sendable {
    /// What one drive got.
    package struct Copied: Hashable, Sendable {
        package var files = 0
        package var bytes: UInt64 = 0
    }

    /// What each drive got that it lacked.
    package internal(set) var copied: [DriveID: Copied] = [:]
    /// Files of which a damaged copy was replaced by a good one.
    package internal(set) var repaired: [CopyFinding] = []
    /// Files that no drive has good; they are left as they are.
    package internal(set) var skipped: [CopyFinding] = []
    /// Drives that are not caught up, and why.
    package internal(set) var behind: [DriveID: BackendError] = [:]
    /// By drive, the files that tombstones name, or that are superseded, and that are still there.
    package internal(set) var leftOver: [DriveID: Set<FileName>] = [:]
    /// Indexes that a rescue superseded.
    var superseded: Set<FileName> = []
    /// Drives from which no index or snapshot may be copied.
    var apart: Set<DriveID> = []
    package internal(set) var wasCancelled = false

    /// All files that are still on some drive and on which nothing new may build.
    package var gone: Set<FileName> { leftOver.values.reduce(into: []) { $0.formUnion($1) } }

    mutating func add(_ outcome: CatchUpLane.Outcome) {
        if outcome.copied.files > 0 {
            copied[outcome.drive, default: Copied()].files += outcome.copied.files
            copied[outcome.drive, default: Copied()].bytes += outcome.copied.bytes
        }
        repaired += outcome.repaired
        skipped += outcome.skipped
        for (drive, error) in outcome.behind where behind[drive] == nil { behind[drive] = error }
    }
}
