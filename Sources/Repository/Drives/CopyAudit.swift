package import BackupCore

/// Looks at every copy of an owner's repository without a key: every file of the union must be
/// on every drive, unless it was removed on purpose, and with `readData` its bytes must have the
/// hash it is named by, read from the medium. Temporary files, locks and files of others are not
/// looked at.
package struct CopyAudit: Sendable {
    private let copies: [DriveBackend]
    private let judge: ConfigJudge

    /// An audit of `copies`; `validConfig` judges the one file that has no hash for a name.
    package init(_ copies: [DriveBackend], validConfig: @escaping ConfigJudge) {
        self.copies = copies
        judge = validConfig
    }

    /// Audits; by names and sizes only unless `readData`. Nothing is changed. When the task is
    /// cancelled, what was not read yet counts as present. `provers` read the packs of their
    /// drives in the audit's stead.
    package func run(
        readData: Bool, provers: [DriveID: PackProver] = [:], progress sink: CopyProgressSink? = nil
    ) async -> CopyAuditReport {
        await Self.judge(
            copies, readData: readData, judge: judge, provers: provers, sink: sink
        ).report
    }

    static func judge(
        _ copies: [DriveBackend], readData: Bool, judge: @escaping ConfigJudge,
        provers: [DriveID: PackProver] = [:], sink: CopyProgressSink?
    ) async -> (judgement: CopyJudgement, report: CopyAuditReport) {
        let (surveys, behind) = await CopySurvey.take(of: copies)
        let files = surveys.reduce(0) { $0 + $1.sizes.count }
        let bytes = surveys.reduce(UInt64(0)) { $0 + $1.sizes.values.reduce(0, +) }
        let progress = CopyProgress(
            .checking, files: files, bytes: readData ? bytes : nil, sink: sink)
        var judgement = await CopyJudgement.make(
            surveys, readData: readData, judge: judge, provers: provers, progress: progress)
        judgement.retired = await CopySurvey.tombstones(of: surveys)
        let report = CopyAuditReport(
            findings: judgement.findings(), fileCount: judgement.states.count,
            byteCount: readData ? bytes : 0,
            behind: behind.merging(judgement.failed) { first, _ in first },
            retired: judgement.retired, looks: judgement.looks)
        return (judgement, report)
    }
}

/// What an audit found.
package struct CopyAuditReport: Hashable, Sendable {
    /// In the order keys, config, packs, indexes, snapshots.
    package let findings: [CopyFinding]
    /// Files in the union of the copies.
    package let fileCount: Int
    /// Bytes read, over all drives.
    package let byteCount: UInt64
    /// Drives that could not be looked at, and why.
    package let behind: [DriveID: BackendError]
    /// Files that were removed on purpose, whether or not they are still there.
    package let retired: Set<FileName>
    /// What was seen of each drive that could be looked at.
    package let looks: [DriveID: CopyLook]

    /// Whether every drive that was looked at is whole, and all were looked at.
    package var isWhole: Bool { findings.isEmpty && behind.isEmpty }
}

/// The files of one drive as an audit saw them.
package struct CopyLook: Hashable, Sendable {
    /// All that lay there, and their sizes.
    package let sizes: [FileName: UInt64]
    /// Those that were read from the medium and are what their names promise.
    package let good: Set<FileName>

    /// The names of all that lay there.
    package var files: Set<FileName> { Set(sizes.keys) }
}

extension CopyJudgement {
    /// What was seen of each drive.
    fileprivate var looks: [DriveID: CopyLook] {
        var looks: [DriveID: CopyLook] = [:]
        for survey in surveys {
            looks[survey.drive] = CopyLook(
                sizes: survey.sizes,
                good: survey.sizes.keys.reduce(into: []) { good, file in
                    if states[file]?[survey.drive] == .good { good.insert(file) }
                })
        }
        return looks
    }
}
