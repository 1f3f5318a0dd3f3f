/// What goes wrong between the box and a phone.
package struct DeviceError: Error, Explained, Hashable {
    /// The kinds callers decide on.
    package enum Code: String, Sendable, CaseIterable {
        /// Locked, charge-only or not yet allowed: a person has to act on the phone.
        case waitingForUser
        /// Another program holds the phone.
        case busy
        /// The phone went away (unplugged, reset, rebooted).
        case gone
        /// A call passed its deadline; the worker was ended.
        case timedOut
        /// The worker process ended by itself (a crash in a C library, or killed).
        case workerEnded
        /// The phone, or a worker, answered against the protocol.
        case protocolViolation
        /// Depth, count or size passed a limit of ours.
        case limitExceeded
        /// One entry or folder cannot be read; the session goes on.
        case unreadable
        /// The content ended short of, or beyond, its announced size; the session goes on.
        case wrongSize
        /// The phone refuses (trust denied, managed).
        case refused
        /// Not a phone this product supports, or not in a usable mode.
        case unsuitable
        /// The phone found too little room: on the drives for a backup, on itself for a restore.
        case noSpace
        /// The backup's password is not the one that was given, or none was.
        case wrongPassword
        /// The run was cancelled.
        case cancelled
    }

    package let code: Code
    /// The entry concerned, when there is one.
    package let path: EntryPath?
    /// What was being done and how it failed, for people: escaped, without a final stop.
    package let detail: String
    /// The C library's or the protocol's own code, e.g. an MTP response.
    package let nativeCode: Int?
    /// What a person can do, when more is known of it than the code tells; a sentence.
    package let advice: String?

    /// An error; `detail` must already be harmless (see ``HostileText``).
    package init(
        _ code: Code, _ detail: String, path: EntryPath? = nil, nativeCode: Int? = nil,
        advice: String? = nil
    ) {
        self.code = code
        self.detail = detail
        self.path = path
        self.nativeCode = nativeCode
        self.advice = advice
    }

    /// Whether only one entry is lost and the session can go on.
    package var concernsOneEntry: Bool { code == .unreadable || code == .wrongSize }

    /// Whether the same phone may come back and the run go on.
    package var mayComeBack: Bool {
        switch code {
        case .gone, .timedOut, .workerEnded, .waitingForUser, .busy: true
        default: false
        }
    }

    package var whatHappened: String {
        let where_ = path.map { " (\($0))" } ?? ""
        let native = nativeCode.map { " [\($0)]" } ?? ""
        return "\(detail)\(where_)\(native)."
    }

    package var consequence: Consequence {
        concernsOneEntry ? .incomplete(skipped: 1) : .nothingChanged
    }

    package var whatToDo: String {
        if let advice { return advice }
        return switch code {
        case .waitingForUser:
            "Unlock the phone, open its USB notification and choose File transfer."
        case .busy:
            "Close other programs that use the phone (a file manager, a photo program), then try again."
        case .gone: "Plug the same phone in again; the next run continues."
        case .timedOut, .workerEnded:
            "Unplug the phone, plug it in again, and run the backup again; it continues."
        case .protocolViolation:
            "Restart the phone and try again; if it stays, try another cable."
        case .limitExceeded: "Tidy the folder named on the phone, then run the backup again."
        case .unreadable, .wrongSize:
            "Open the file on the phone to see whether it is whole; the next run tries it again."
        case .refused: "Allow the connection on the phone, then plug it in again."
        case .unsuitable: "Choose File transfer on the phone, or plug in a supported phone."
        case .noSpace: "Make room, then run it again."
        case .wrongPassword: "Give the password that the phone's backups are encrypted with."
        case .cancelled: "Run it again when you are ready; it continues."
        }
    }

    /// The code this error alone ends a program with.
    package var exitCode: ExitCode {
        switch code {
        case .waitingForUser: .waitingRanOut
        case .busy: .phone
        case .gone, .timedOut, .workerEnded, .protocolViolation: .phone
        case .limitExceeded: .phoneLimit
        case .unreadable, .wrongSize: .someUnreadable
        case .refused: .phoneRefused
        case .unsuitable: .phoneUnsuitable
        case .noSpace: .driveFull
        case .wrongPassword: .key
        case .cancelled: .interrupted
        }
    }
}
