package import BackupCore

/// Repairs an owner's copies from each other: what one drive lacks or has bad and another has
/// good is copied, the bad file moved to quarantine. It only adds; nothing is deleted.
///
/// To be called under the owner's lock and with an exclusive one in each repository.
package struct Heal: Sendable {
    private let copies: [DriveBackend]
    private let judge: ConfigJudge

    /// A repair of `copies`; `validConfig` judges the one file that has no hash for a name.
    package init(_ copies: [DriveBackend], validConfig: @escaping ConfigJudge) {
        self.copies = copies
        judge = validConfig
    }

    /// Reads everything, repairs what can be, and reads each repaired file back from the medium.
    package func run(progress sink: CopyProgressSink? = nil) async -> HealReport {
        await CopySurvey.sweep(copies)
        let (judgement, audit) = await CopyAudit.judge(
            copies, readData: true, judge: judge, sink: sink)
        var report = HealReport(audit: audit)
        guard !Task.isCancelled else {
            report.wasCancelled = true
            return report
        }
        await makeMissingRepositories(judgement, &report)
        let progress = CopyProgress(
            .healing, files: audit.findings.count, bytes: nil, sink: sink)
        for kind in CopySurvey.kinds {
            let findings = audit.findings.filter { $0.file.kind == kind }
            for survey in judgement.surveys {
                await repair(
                    findings.filter { $0.drive == survey.drive }, on: survey, judgement, progress,
                    &report)
            }
        }
        return report
    }

    private func makeMissingRepositories(
        _ judgement: CopyJudgement, _ report: inout HealReport
    ) async {
        guard judgement.surveys.contains(where: \.isRepository) else { return }
        for survey in judgement.surveys {
            do throws(BackendError) {
                try await survey.backend.writing { (folder) throws(BackendError) in
                    if !survey.isRepository { try folder.clearUnfinished() }
                    try folder.makeSkeleton()
                }
            } catch {
                report.behind[survey.drive] = error
            }
        }
    }

    /// Repairs one drive's files of one kind, makes them durable and reads them back.
    private func repair(
        _ findings: [CopyFinding], on target: CopySurvey, _ judgement: CopyJudgement,
        _ progress: CopyProgress, _ report: inout HealReport
    ) async {
        var copied: [CopyFinding] = []
        for finding in findings {
            if Task.isCancelled { report.wasCancelled = true }
            guard report.behind[target.drive] == nil, !report.wasCancelled,
                await copy(finding, to: target, judgement, &report)
            else {
                report.lost.append(finding)
                continue
            }
            copied.append(finding)
            progress.add(files: 1)
        }
        guard !copied.isEmpty else { return }
        do throws(BackendError) {
            try await target.backend.flush()
        } catch {
            report.behind[target.drive] = error
        }
        for finding in copied {
            if report.behind[target.drive] == nil, await isRepaired(finding.file, on: target) {
                report.repaired.append(finding)
            } else {
                report.lost.append(finding)
            }
        }
    }

    private func copy(
        _ finding: CopyFinding, to target: CopySurvey, _ judgement: CopyJudgement,
        _ report: inout HealReport
    ) async -> Bool {
        for source in judgement.surveys
        where judgement.states[finding.file]?[source.drive] == .good {
            let transfer = FileTransfer(
                file: finding.file, source: source.backend, target: target.backend,
                isKnownBad: finding.problem != .missing, judge: judge)
            do throws(FileTransfer.Failure) {
                _ = try await transfer.run()
                return true
            } catch {
                switch error {
                case .cancelled: report.wasCancelled = true
                case .target(let cause): report.behind[target.drive] = cause
                // The next drive may have it; if none has, it counts as lost.
                case .source: continue
                }
                return false
            }
        }
        return false
    }

    private func isRepaired(_ file: FileName, on target: CopySurvey) async -> Bool {
        // An error here means that it cannot be read back: not repaired.
        if file == .config {
            let bytes = try? await target.backend.read(.config, range: nil, copy: 0)
            return bytes.map(judge) ?? false
        }
        return
            (try? await target.backend.reading { (folder) throws(BackendError) in
                try folder.isGood(file)
            }) ?? false
    }
}

/// What a repair did.
package struct HealReport: Sendable {
    /// What was found before anything was repaired.
    package let audit: CopyAuditReport
    /// Files that are good now, read back from the medium.
    package internal(set) var repaired: [CopyFinding] = []
    /// Files that could not be repaired: no good copy, or the drive failed.
    package internal(set) var lost: [CopyFinding] = []
    /// Drives that could not be looked at or failed, and why.
    package internal(set) var behind: [DriveID: BackendError]
    package internal(set) var wasCancelled = false

    init(audit: CopyAuditReport) {
        self.audit = audit
        behind = audit.behind
    }

    /// Files that some drive has and none has good, when every drive was looked at.
    package var lostEverywhere: Set<FileName> {
        guard behind.isEmpty, !wasCancelled else { return [] }
        return Set(audit.findings.filter { !$0.hasGoodCopy }.map(\.file))
    }

    /// Whether every drive is whole and all have the same files now.
    package var isWhole: Bool { lost.isEmpty && behind.isEmpty && !wasCancelled }
}
