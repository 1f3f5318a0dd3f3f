/// Port: a kind of phone. It finds its phones and opens sessions with them.
package protocol DeviceFamily: Sendable {
    var family: PhoneFamily { get }
    /// The phones that are plugged in now, told without touching any of them. No bus is an empty
    /// list.
    func detect() async throws(DeviceError) -> [DetectedPhone]
    /// Returns when its phones may have come or gone since the last call, or after `limit`.
    func waitForChange(atMost limit: Duration) async
    /// Opens a session in a worker process of its own.
    func open(_ phone: DetectedPhone) async throws(DeviceError) -> any DeviceSession
}

/// Port: what tells that phones of a family may have come or gone.
package protocol PresenceWatch: Sendable {
    /// Returns when something was heard since the last call, or after `limit`.
    func change(within limit: Duration) async
}

/// A phone seen on the bus, before anybody has spoken to it.
package struct DetectedPhone: Hashable, Sendable {
    /// How a worker finds the phone again. It changes at every replug.
    package enum Address: Hashable, Sendable {
        /// libusb's bus number and device address, with the ids that libmtp wants too.
        case usb(bus: UInt8, address: UInt8, vendor: UInt16, product: UInt16)
        /// usbmuxd's device id and the phone's UDID.
        case usbmux(device: UInt32, udid: String)
    }

    package let family: PhoneFamily
    package let bay: BayID
    package let address: Address
    /// Why it cannot be used as it is (only debugging, a camera, recovery mode), or nil.
    package let unsuitable: String?

    /// A phone in `bay`.
    package init(family: PhoneFamily, bay: BayID, address: Address, unsuitable: String? = nil) {
        self.family = family
        self.bay = bay
        self.address = address
        self.unsuitable = unsuitable
    }
}

/// What a phone says of itself. All text is hostile and bounded to 1 KiB a field.
package struct PhoneAttributes: Hashable, Sendable {
    /// What tells this phone from all others: the UDID, or serial and model joined by a newline.
    package var identity: String
    /// The name its owner gave it, else the model.
    package var name: String
    package var manufacturer: String
    package var model: String
    package var osVersion: String
    /// 0 to 100, nil when the phone does not tell.
    package var batteryPercent: Int?
    /// Facts for the run report: the lane used, quirks in force.
    package var notes: [String]
    /// Whether the phone encrypts the backups that it makes itself; nil when it makes none, or does
    /// not tell yet.
    package var encryptsBackups: Bool?

    /// Attributes with every field given.
    package init(
        identity: String, name: String, manufacturer: String, model: String, osVersion: String,
        batteryPercent: Int?, notes: [String], encryptsBackups: Bool? = nil
    ) {
        self.identity = identity
        self.name = name
        self.manufacturer = manufacturer
        self.model = model
        self.osVersion = osVersion
        self.batteryPercent = batteryPercent
        self.notes = notes
        self.encryptsBackups = encryptsBackups
    }
}

/// Port: one open session with one phone.
///
/// Each capture is offered either as a source that the engine pulls from or, for a family whose
/// phone drives the host, as a journey that the phone pushes into a ``SnapshotBuilder``.
package protocol DeviceSession: Sendable {
    /// What the phone says of itself.
    func attributes() async throws(DeviceError) -> PhoneAttributes
    /// The captures this phone offers, in the order they should run.
    var captures: [Capture] { get }
    /// The way a capture's content is had; nil when `captures` does not name it.
    func source(of capture: Capture) -> CaptureSource?
    /// Ends the session politely; it never fails, and may be called after an error.
    func close() async
}

/// Who drives a capture.
package enum CaptureSource: Sendable {
    /// The engine lists and reads (MTP, AFC).
    case pulled(any MediaSource)
    /// The phone lists, writes, moves and removes (mobilebackup2).
    case pushed(any PushedCapture)
}

/// A capture that the phone drives.
package protocol PushedCapture: Sendable {
    /// Lets the phone do `job` over `builder`; returns only when the phone has said that it
    /// succeeded and, after a backup, what it left proves it. `events` hears of waits for a person
    /// and of progress, from one task. After an error the session can only be closed.
    func perform(
        _ job: PushedJob, over builder: any SnapshotBuilder, events: @escaping RunEventSink
    ) async throws(SaveError) -> PushedResult
}

/// What a capture that the phone drove tells at its end.
package struct PushedResult: Hashable, Sendable {
    /// Files the phone could not give; the list is bounded.
    package var skipped: [BackupReport.Skipped] = []
    /// All of them, also those that are not named.
    package var skippedCount = 0

    /// Nothing was left out.
    package init() {}
}

/// Files that the engine lists and reads, one call at a time.
package protocol MediaSource: Sendable {
    /// The storages that can be read now. Empty means locked or charge-only, never an empty phone.
    func storages() async throws(DeviceError) -> [PhoneStorage]
    /// The entries of one folder. A folder that cannot be listed is an error (`unreadable`); a
    /// list that is known to be short says so, and never passes for a whole one.
    func list(_ folder: FolderReference) async throws(DeviceError) -> FolderListing
    /// A file's content. It fails with `wrongSize` when it ends short of or beyond
    /// `entry.byteCount`, and with `unreadable` when the phone refuses this file only.
    func read(_ entry: PhoneEntry) async throws(DeviceError) -> ByteSource<DeviceError>
    /// The photos and videos whose originals the phone keeps only in its maker's cloud, so that
    /// no capture can contain them; nil when the phone does not tell.
    func onlyInCloud() async throws(DeviceError) -> UInt64?
}

extension MediaSource {
    package func onlyInCloud() async throws(DeviceError) -> UInt64? { nil }
}

/// One storage of a phone.
package struct PhoneStorage: Hashable, Sendable {
    /// The session's own number; it means nothing in another session.
    package let handle: UInt64
    /// As the phone names it ("Internal shared storage"); hostile.
    package let name: EntryName
    /// The volume identifier, empty when there is none.
    package let volumeIdentifier: String
    /// MTP's storage type (3 fixed RAM, 4 removable RAM), 0 when unknown.
    package let type: UInt16
    package let totalBytes: UInt64
    package let freeBytes: UInt64

    /// A storage with every field given.
    package init(
        handle: UInt64, name: EntryName, volumeIdentifier: String, type: UInt16,
        totalBytes: UInt64, freeBytes: UInt64
    ) {
        self.handle = handle
        self.name = name
        self.volumeIdentifier = volumeIdentifier
        self.type = type
        self.totalBytes = totalBytes
        self.freeBytes = freeBytes
    }
}

/// A folder in a session: a storage's root or an entry of kind folder.
package struct FolderReference: Hashable, Sendable {
    package let storage: UInt64
    /// The folder's object handle; nil for the storage's root.
    package let object: UInt64?

    /// A folder.
    package init(storage: UInt64, object: UInt64?) {
        self.storage = storage
        self.object = object
    }
}

/// What a phone tells of a folder's content.
package struct FolderListing: Hashable, Sendable {
    /// The entries it described, in its order.
    package let entries: [PhoneEntry]
    /// Entries that are there but were not described: whatever was saved of this folder before
    /// and is not in `entries` may be one of them.
    package let undescribedCount: Int

    /// A listing; whole unless told otherwise.
    package init(_ entries: [PhoneEntry], undescribedCount: Int = 0) {
        self.entries = entries
        self.undescribedCount = undescribedCount
    }

    /// Whether an entry that is not listed is not there.
    package var isWhole: Bool { undescribedCount == 0 }
}

/// One entry of a folder as the phone lists it.
package struct PhoneEntry: Hashable, Sendable {
    package let storage: UInt64
    /// The session's own handle; it means nothing in another session.
    package let object: UInt64
    /// Hostile bytes.
    package let name: EntryName
    package let isFolder: Bool
    /// The announced size; nil when the phone does not tell it.
    package let byteCount: UInt64?
    /// `Timestamp.zero` when the phone does not tell.
    package let modified: Timestamp

    /// An entry with every field given.
    package init(
        storage: UInt64, object: UInt64, name: EntryName, isFolder: Bool, byteCount: UInt64?,
        modified: Timestamp
    ) {
        self.storage = storage
        self.object = object
        self.name = name
        self.isFolder = isFolder
        self.byteCount = byteCount
        self.modified = modified
    }

    /// The folder this entry is.
    package var folder: FolderReference { FolderReference(storage: storage, object: object) }
}
