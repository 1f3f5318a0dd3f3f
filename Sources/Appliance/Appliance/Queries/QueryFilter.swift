package import BackupCore

/// What narrows a question: `--phone`, `--capture`, `--owner`, `--drive`.
package struct QueryFilter: Hashable, Sendable {
    package var phone: PhoneID?
    package var capture: Capture?
    package var owner: OwnerID?
    package var drive: DriveID?

    /// A filter; what is nil does not narrow.
    package init(
        phone: PhoneID? = nil, capture: Capture? = nil, owner: OwnerID? = nil,
        drive: DriveID? = nil
    ) {
        self.phone = phone
        self.capture = capture
        self.owner = owner
        self.drive = drive
    }

    /// Whether a snapshot is of the phone and capture asked for.
    func accepts(_ snapshot: Snapshot) -> Bool {
        (phone == nil || snapshot.phone == phone)
            && (capture == nil || snapshot.capture == capture)
    }
}
