package import BackupCore

/// Looks at every copy of an owner's repository without a key: every file of the union must be
/// on every drive, and with `readData` its bytes must have the hash it is named by, read from the
/// medium. Temporary files, locks and files of others are not looked at.
package struct CopyAudit: Sendable {
    private let copies: [DriveBackend]
    private let judge: ConfigJudge

    /// An audit of `copies`; `validConfig` judges the one file that has no hash for a name.
    package init(_ copies: [DriveBackend], validConfig: @escaping ConfigJudge) {
        self.copies = copies
        judge = validConfig
    }

    /// Audits; by names and sizes only unless `readData`. Nothing is changed. When the task is
    /// cancelled, what was not read yet counts as present.
    package func run(
        readData: Bool, progress sink: CopyProgressSink? = nil
    ) async -> CopyAuditReport {
        await Self.judge(copies, readData: readData, judge: judge, sink: sink).report
    }

    static func judge(
        _ copies: [DriveBackend], readData: Bool, judge: @escaping ConfigJudge,
        sink: CopyProgressSink?
    ) async -> (judgement: CopyJudgement, report: CopyAuditReport) {
        let (surveys, behind) = await CopySurvey.take(of: copies)
        let files = surveys.reduce(0) { $0 + $1.sizes.count }
        let bytes = surveys.reduce(UInt64(0)) { $0 + $1.sizes.values.reduce(0, +) }
        let progress = CopyProgress(
            .checking, files: files, bytes: readData ? bytes : nil, sink: sink)
        let judgement = await CopyJudgement.make(
            surveys, readData: readData, judge: judge, progress: progress)
        let report = CopyAuditReport(
            findings: judgement.findings(), fileCount: judgement.states.count,
            byteCount: readData ? bytes : 0, behind: behind)
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

    /// Whether every drive that was looked at is whole, and all were looked at.
    package var isWhole: Bool { findings.isEmpty && behind.isEmpty }
}
