/// What goes wrong with a repository as a whole, above its drives.
package struct RepositoryError: Error, Explained, Hashable {
    /// The kinds callers decide on.
    package enum Code: String, Sendable, CaseIterable {
        /// No key file opens with the password given.
        case wrongPassword
        /// A file or blob is damaged and no copy of it is good.
        case damaged
        /// A blob, tree or snapshot that is referred to is nowhere.
        case missing
        /// The repository is of a format version this program does not know.
        case unsupported
        /// Another process holds it.
        case busy
        /// Content broke a limit of ours (a tree too large, a frame that inflates too far).
        case limitExceeded
        /// No drive is left; `backend` tells why.
        case noDrive
        /// The run was cancelled.
        case cancelled
        /// Asked for something that is not in the snapshot.
        case notFound
    }

    package let code: Code
    /// What was being done and how it failed, for people, without a final stop.
    package let detail: String
    /// The drive's error beneath, when there is one.
    package let backend: BackendError?

    /// An error; `detail` must already be harmless.
    package init(_ code: Code, _ detail: String, backend: BackendError? = nil) {
        self.code = code
        self.detail = detail
        self.backend = backend
    }

    /// A backend's error that ended the whole operation.
    package init(_ backend: BackendError) {
        switch backend.code {
        case .noSuchFile: code = .missing
        case .damaged: code = .damaged
        case .locked: code = .busy
        default: code = .noDrive
        }
        detail = backend.detail
        self.backend = backend
    }

    package var whatHappened: String {
        backend.map(\.whatHappened) ?? "\(detail)."
    }

    package var consequence: Consequence {
        switch code {
        case .damaged, .missing: .damaged(recoverable: false)
        default: .nothingChanged
        }
    }

    package var whatToDo: String {
        switch code {
        case .wrongPassword:
            "Check the words or the password; key sheet prints them on the box that made them."
        case .damaged, .missing:
            "Run holdfast check --read-data, then holdfast heal with all drives connected."
        case .unsupported: "Use a newer version of this program."
        case .busy: "Wait until the other run is done, then try again."
        case .limitExceeded:
            "Run holdfast check --read-data; what it finds sound can be read with restic."
        case .noDrive: backend?.whatToDo ?? "Connect the drives, then try again."
        case .cancelled: "Run it again when you are ready."
        case .notFound: "Use holdfast snapshots and holdfast ls to see what there is."
        }
    }

    /// The code this error alone ends a program with.
    package var exitCode: ExitCode {
        switch code {
        case .wrongPassword: .key
        case .damaged, .missing, .limitExceeded: .damageLost
        case .unsupported: .configuration
        case .busy: .busy
        case .noDrive: backend?.exitCode ?? .noDrive
        case .cancelled: .interrupted
        case .notFound: .notFound
        }
    }
}

/// Saving content fails on the phone's side or on the repository's.
package enum SaveError: Error {
    /// The phone's side: this entry or the session.
    case source(DeviceError)
    /// The repository's side.
    case repository(RepositoryError)
}
