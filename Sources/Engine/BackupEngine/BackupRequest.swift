package import BackupCore

/// What a backup run is told to do.
package struct BackupRequest: Sendable {
    package var run: RunID
    package var phone: PhoneID
    package var family: PhoneFamily
    package var owner: OwnerID
    /// The box's configured name, as snapshots record it.
    package var hostname: String
    /// Only this capture; nil for all that the phone offers.
    package var capture: Capture?
    /// Bounds every wait for a person and, up to 120 s, for a phone that went away.
    package var wait: Duration = .seconds(120)
    /// Reads every file from the phone, also unchanged ones.
    package var readsAll = false
    /// Answers the shrink guard's question for this run: what is gone was meant to go.
    package var acceptsShrink = false
    package var shrinkLimits = ShrinkLimits()
    package var listingLimits = ListingLimits()
    /// How much reading a crash may cost at most: what was read is made durable this often.
    package var checkpointInterval = Duration.seconds(300)

    /// A run of everything the phone offers, with the default limits.
    package init(
        run: RunID, phone: PhoneID, family: PhoneFamily, owner: OwnerID, hostname: String
    ) {
        self.run = run
        self.phone = phone
        self.family = family
        self.owner = owner
        self.hostname = hostname
    }
}

/// What a run needs from the box around it.
package struct BackupServices: Sendable {
    package var clock: any RunClock
    /// SHA-256; shortened names carry a part of it.
    package var hash: @Sendable ([UInt8]) -> ContentID
    /// The drives that take part and their space; empty when not known, then nothing is checked.
    package var driveSpace: @Sendable () async -> [DriveSpace]
    /// Tries once to open a session with the same phone again, told by its identity, after the
    /// last session was closed. `gone` while it is not there; the run asks again every 2 s.
    package var reconnect: @Sendable () async throws(DeviceError) -> any DeviceSession
    package var events: RunEventSink
    /// Where the files that were read are listed for the next run; nil when nobody keeps a list.
    package var readList: (any ReadList)?
    /// Done with a capture that the phone drives before the phone backs up; nil when there is
    /// nothing to do. What it throws ends that capture.
    package var prepare: (@Sendable (PushedBeginning) async throws(SaveError) -> Void)?

    /// Services with every part given but a list of what was read.
    package init(
        clock: any RunClock, hash: @escaping @Sendable ([UInt8]) -> ContentID,
        driveSpace: @escaping @Sendable () async -> [DriveSpace],
        reconnect: @escaping @Sendable () async throws(DeviceError) -> any DeviceSession,
        events: @escaping RunEventSink
    ) {
        self.clock = clock
        self.hash = hash
        self.driveSpace = driveSpace
        self.reconnect = reconnect
        self.events = events
    }
}

/// A capture that the phone is about to drive.
package struct PushedBeginning: Sendable {
    package let source: any PushedCapture
    /// What the phone says of itself now; nil when it did not.
    package let attributes: PhoneAttributes?
    /// Whether there is no complete snapshot of it yet.
    package let isFirst: Bool

    /// A capture with every field given.
    package init(source: any PushedCapture, attributes: PhoneAttributes?, isFirst: Bool) {
        self.source = source
        self.attributes = attributes
        self.isFirst = isFirst
    }
}

/// One drive's room.
package struct DriveSpace: Hashable, Sendable {
    package let drive: DriveID
    /// What people call the drive; escaped when shown.
    package let name: String
    /// Bytes that may still be used, less the drive's reserve.
    package let freeBytes: UInt64

    /// A drive and its room.
    package init(drive: DriveID, name: String, freeBytes: UInt64) {
        self.drive = drive
        self.name = name
        self.freeBytes = freeBytes
    }
}

/// What every part of one capture's journey works with.
struct CaptureParts: Sendable {
    let request: BackupRequest
    let services: BackupServices
    let repository: any SnapshotRepository
    let capture: Capture

    func notice(_ code: String, _ message: String, path: EntryPath? = nil) {
        services.events(.notice(RunNotice(code: code, message: message, path: path)))
    }
}
