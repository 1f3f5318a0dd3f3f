internal import BackupCore

/// How one capture ended.
struct CaptureResult {
    var snapshot: CommittedSnapshot?
    var files = BackupReport.Files()
    var bytesRead: UInt64 = 0
    var skipped: [BackupReport.Skipped] = []
    /// See ``BackupReport/onlyInCloud``.
    var onlyInCloud: UInt64?
    /// Each outcome with its sentence for people.
    var outcomes: [(code: ExitCode, message: String)] = []

    mutating func add(_ code: ExitCode, _ message: String) {
        outcomes.append((code, message))
    }
}

extension CaptureResult {
    /// The outcomes that the snapshot's copies and the skipped entries are.
    mutating func concludeCopies() {
        for receipt in snapshot?.copies ?? [] {
            guard case .behind(let error) = receipt.state else { continue }
            add(.notEveryDrive, "\(error.whatHappened) \(error.whatToDo)")
        }
        if files.skipped > 0 {
            add(
                .someUnreadable,
                "\(Counted.entries(files.skipped)) could not be read; the report names each, and what was "
                    + "saved of them before is kept.")
        }
    }
}
