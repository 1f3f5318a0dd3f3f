import BackupCore

/// The codes a phone ends a job with (MBErrorDomain), in words.
enum JobError {
    /// What was asked for.
    enum Job {
        case backup
        case restore
        case changePassword

        /// Completes "the phone … ".
        var word: String {
            switch self {
            case .backup: "backup"
            case .restore: "restore"
            case .changePassword: "change of the backup password"
            }
        }
    }

    /// The error that a phone's last `code` stands for; nil when it says that it succeeded.
    static func of(_ native: Int64, _ job: Job) -> DeviceError? {
        guard native != 0 else { return nil }
        let (code, detail, advice) = words(native, job)
        return DeviceError(code, detail, nativeCode: Int(clamping: native), advice: advice)
    }

    /// Whether what was saved before cannot be continued, and a full backup is the way on.
    static func asksForFullBackup(_ error: DeviceError) -> Bool {
        error.code == .timedOut || [103, 104, 205].contains(error.nativeCode)
    }

    /// Whether the same may work at once when it is tried again.
    static func asksForAnotherTry(_ error: DeviceError) -> Bool {
        [11, 14, 22, 26].contains(error.nativeCode)
    }

    private typealias Words = (DeviceError.Code, detail: String, advice: String)

    private static func words(_ code: Int64, _ job: Job) -> Words {
        let restart = "Restart the phone, then run it again."
        switch code {
        case 100:
            return (
                .gone, "The phone lost the connection during its \(job.word)",
                "Unlock the phone, try another cable or socket, and run it again."
            )
        case 102:
            return (
                .refused, "The phone cannot make room for a second restore before a restart",
                restart
            )
        case 103, 104:
            return (
                .protocolViolation, "The phone cannot read what it saved before",
                "Run the backup again; a full one is made."
            )
        case 205:
            return (
                .protocolViolation, "The phone found what was saved before damaged",
                "Run the backup again; a full one is made."
            )
        case 105: return noSpace(job)
        case 207:
            return (
                .wrongPassword, "The phone says that the backup password is wrong",
                "Tell the right one with holdfast key phone; nobody can recover a forgotten one."
            )
        case 208:
            return (
                .waitingForUser, "The phone was locked, or its passcode was not entered in time",
                "Unlock the phone, run it again and enter the passcode when the phone asks."
            )
        case 211:
            return (
                .refused, "Find My is on",
                "Turn off Find My in the phone's settings, then run it again."
            )
        case 212:
            return (
                .refused, "The phone is not set up yet",
                "Finish the phone's set-up, then run it again."
            )
        case 202, 217...224:
            return (
                .refused, "The \(job.word) was cancelled on the phone",
                "Run it again when you are ready."
            )
        case 300...399:
            return (
                .busy, "The phone is backing up to iCloud or restoring from it",
                "Wait until it is done, then run it again."
            )
        case 11, 14, 22, 26:
            return (.protocolViolation, "The phone could not do its \(job.word) now", restart)
        case 3...8:
            return (
                .protocolViolation,
                "Something of an earlier attempt stands in the way of the phone's \(job.word)",
                restart
            )
        default:
            return (.protocolViolation, "The phone's \(job.word) failed", restart)
        }
    }

    private static func noSpace(_ job: Job) -> Words {
        guard job == .restore else {
            return (
                .noSpace, "The phone's backup needs more room than the drives have left",
                "Free space with holdfast forget and prune, or add larger drives."
            )
        }
        // Not `noSpace`, which is what drives lack.
        return (
            .refused, "The phone has too little room for what the backup holds",
            "Restore to a phone with more storage, or free some on this one."
        )
    }
}
