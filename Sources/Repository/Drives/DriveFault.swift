/// The kinds of system calls that reach a drive.
///
/// Tests fail the n-th of them; a stalled drive is told apart from a slow one by whether any of
/// them came back.
package enum DriveCall: String, Sendable, CaseIterable {
    case open, create, allocate, write, read, sync, close, rename, unlink, makeDirectory,
        removeDirectory
    case status, list, space, changeMode, setTimes, lock

    /// What the call was doing, for people.
    var activity: String {
        switch self {
        case .open: "opening a file or folder"
        case .create: "making a file"
        case .allocate: "reserving space for a file"
        case .write: "writing a file"
        case .read: "reading a file"
        case .sync: "making a file or folder durable"
        case .close: "closing a file"
        case .rename: "renaming a file"
        case .unlink: "removing a file"
        case .makeDirectory: "making a folder"
        case .removeDirectory: "removing a folder"
        case .status: "looking at a file or folder"
        case .list: "listing a folder"
        case .space: "asking for the free space"
        case .changeMode: "setting a file's permissions"
        case .setTimes: "setting a file's date"
        case .lock: "locking the journal"
        }
    }
}

/// What a test makes of a system call.
package enum DriveFault: Sendable, Hashable {
    /// It fails with this `errno`; `close` still closes.
    case error(Int32)
    /// A write or read does at most this many bytes.
    case short(Int)
}

/// Asked before each system call; nil lets it happen. A hook that blocks is a drive that hangs.
package typealias DriveFaultHook = @Sendable (DriveCall) -> DriveFault?
