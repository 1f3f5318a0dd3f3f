package import BackupCore

/// What goes wrong in the box itself: its configuration, keys, state, and what it is asked for.
package struct ApplianceError: Error, Explained, Hashable {
    /// The kinds callers decide on.
    package enum Code: String, Sendable, CaseIterable {
        /// The configuration or the state folder cannot be used as it is.
        case configuration
        /// A key, words or a password are missing or wrong.
        case key
        /// No such snapshot, phone, owner or drive.
        case notFound
        /// Another run holds what this one needs.
        case busy
        /// No usable drive.
        case noDrive
        /// A drive is another one than enrolled, or a clone.
        case wrongDrive
        /// Nobody plugged in, unlocked or allowed in time.
        case waitingRanOut
        /// The arguments contradict each other.
        case usage
        /// The run was cancelled.
        case interrupted
    }

    package let code: Code
    /// What happened, in one sentence with its stop.
    package let whatHappened: String
    package let consequence: Consequence
    package let whatToDo: String

    /// An error with its three answers; texts from outside are already escaped.
    package init(
        _ code: Code, _ whatHappened: String, consequence: Consequence = .nothingChanged,
        whatToDo: String
    ) {
        self.code = code
        self.whatHappened = whatHappened
        self.consequence = consequence
        self.whatToDo = whatToDo
    }

    /// The code this error alone ends a program with.
    package var exitCode: ExitCode {
        switch code {
        case .configuration: .configuration
        case .key: .key
        case .notFound: .notFound
        case .busy: .busy
        case .noDrive: .noDrive
        case .wrongDrive: .wrongDrive
        case .waitingRanOut: .waitingRanOut
        case .usage: .usage
        case .interrupted: .interrupted
        }
    }
}

/// Any error of any part as an exit code and three answers; one that no part declares is our bug.
package struct Outcome: Sendable {
    package let exitCode: ExitCode
    package let explanation: String

    /// The outcome that `error` means.
    package init(_ error: any Error) {
        switch error {
        case let error as ApplianceError: self.init(error, error.exitCode)
        case let error as DeviceError: self.init(error, error.exitCode)
        case let error as BackendError:
            // It ends a run only when no drive is left: then nothing was written at all.
            self.init(
                error.exitCode,
                "\(error.whatHappened) \(Consequence.nothingChanged.sentence) \(error.whatToDo)")
        case let error as RepositoryError: self.init(error, error.exitCode)
        case let error as RestoreError:
            self.init(error, error.code == .full ? .driveFull : .notAllRestored)
        case SaveError.source(let error): self.init(error, error.exitCode)
        case SaveError.repository(let error): self.init(error, error.exitCode)
        case is CancellationError:
            self.init(.interrupted, "The run was interrupted. Run it again when you are ready.")
        default:
            self.init(
                .bug,
                "Something unexpected happened: \(HostileText.escaped("\(error)")). "
                    + "This is our bug; please report it with this line.")
        }
    }

    /// An outcome in words of its own.
    package init(_ exitCode: ExitCode, _ explanation: String) {
        self.exitCode = exitCode
        self.explanation = explanation
    }

    private init(_ error: any Explained, _ code: ExitCode) {
        self.init(code, error.explanation)
    }
}
