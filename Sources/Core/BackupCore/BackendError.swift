/// What goes wrong between the box and one drive.
package struct BackendError: Error, Explained, Hashable {
    /// The kinds callers decide on.
    package enum Code: String, Sendable, CaseIterable {
        /// The drive is not there: not mounted, no `drive.json`, or taken out in mid-run.
        case absent
        /// No space, no inodes, or the quota is used up.
        case full
        /// The filesystem is read-only.
        case readOnly
        /// The drive answered with an I/O error, or not in time.
        case io
        /// The drive is another one than enrolled, or a clone.
        case wrongDrive
        /// A stranger holds a lock on the repository.
        case locked
        /// The file asked for is not there.
        case noSuchFile
        /// A file's bytes are not what its name promises.
        case damaged
    }

    package let code: Code
    /// The drive; nil for backends without one (tests, benchmarks).
    package let drive: DriveID?
    /// What was being done and how it failed, for people, without a final stop.
    package let detail: String
    /// `errno`, when a system call failed.
    package let nativeCode: Int32?

    /// An error on `drive`.
    package init(
        _ code: Code, _ detail: String, drive: DriveID? = nil, nativeCode: Int32? = nil
    ) {
        self.code = code
        self.detail = detail
        self.drive = drive
        self.nativeCode = nativeCode
    }

    package var whatHappened: String {
        let who = drive.map { "Drive \($0): " } ?? ""
        return "\(who)\(detail)."
    }

    package var consequence: Consequence {
        switch code {
        case .damaged: .damaged(recoverable: true)
        default: drive.map { .oneCopyOnly(lacking: [$0]) } ?? .nothingChanged
        }
    }

    package var whatToDo: String {
        switch code {
        case .absent: "Connect and mount the drive; the next run catches it up."
        case .full: "Free some space on it or use a larger drive; the next run catches it up."
        case .readOnly, .io:
            "Check the drive and its cable; after an error a filesystem may need fsck."
        case .wrongDrive: "Connect the enrolled drive, or enrol this one with setup."
        case .locked: "Wait until the other program is done; the next run catches it up."
        case .noSuchFile, .damaged: "Run holdfast heal; it copies good files from another drive."
        }
    }

    /// The code this error ends a program with when no drive is left.
    package var exitCode: ExitCode {
        switch code {
        case .absent: .noDrive
        case .full: .driveFull
        case .readOnly, .io: .driveIO
        case .wrongDrive: .wrongDrive
        case .locked: .busy
        case .noSuchFile, .damaged: .damageRecoverable
        }
    }
}
