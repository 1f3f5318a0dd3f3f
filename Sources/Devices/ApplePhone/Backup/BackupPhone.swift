import BackupCore

/// What a backup needs of a phone that trusts this box, beside the backup's own service.
protocol BackupPhone {
    /// The phone's identifier, as its pair record and its backups' folder name it.
    var udid: String { get }
    /// Starts a service. mobilebackup2 wants the escrow bag, which lets a phone that is locked
    /// read what it saves.
    func start(
        _ service: String, withEscrowBag: Bool
    ) throws(DeviceError) -> any ServiceConnection
    /// What lockdown knows: of a domain (nil is the phone itself) one value, or with no key all of
    /// them. nil when there is none.
    func value(domain: String?, key: String?) throws(DeviceError) -> PropertyList?
    /// A conversation with the notification proxy.
    func notices() throws(DeviceError) -> any PhoneNotices
    /// The media folder, over AFC.
    func mediaFolder() throws(DeviceError) -> any MediaFolder
    /// A clock that only counts.
    func elapsed() -> Duration
    /// Waits; the phone is not spoken with meanwhile.
    func pause(_ duration: Duration)
}

/// The notices that a phone and its host give one another (notification_proxy).
protocol PhoneNotices: AnyObject {
    /// Asks to be told of `names`.
    func observe(_ names: [String]) throws(DeviceError)
    /// Gives a notice.
    func post(_ name: String) throws(DeviceError)
    /// The notices that have come since, in order; waits for the first up to `limit`.
    func next(within limit: Duration) throws(DeviceError) -> [String]
    /// Ends the conversation; it never fails.
    func close()
}

/// The part of a phone's media folder that a backup touches. Paths are absolute in that folder.
protocol MediaFolder: AnyObject {
    /// A file's content; nil when there is none. Longer than `limit` bytes counts as none.
    func content(_ path: String, limit: Int) throws(DeviceError) -> [UInt8]?
    /// Writes a file, making its folder.
    func put(_ content: [UInt8], _ path: String) throws(DeviceError)
    /// Removes a file; a missing one is no error.
    func remove(_ path: String) throws(DeviceError)
    /// Opens a file to lock it, making it.
    func open(toLock path: String) throws(DeviceError) -> UInt64
    /// Locks an open file for this host alone; false when another holds it.
    func lock(_ handle: UInt64) throws(DeviceError) -> Bool
    /// Unlocks a file and closes it; it never fails.
    func unlock(_ handle: UInt64)
    /// Ends the conversation; it never fails.
    func close()
}
