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

/// What a system call has just changed on a drive. Descriptors are valid while it is told.
///
/// It is what decides what a power cut may leave: the bytes, the names, and which of both were
/// made durable. Reading calls are not told.
package enum DriveEffect: Sendable {
    /// A descriptor now stands for a file or folder; its number may have meant another before.
    case opened(Int32)
    /// A new, empty file has the name in the folder.
    case created(Int32, name: [UInt8], folder: Int32)
    /// A file has at least this size.
    case allocated(Int32, byteCount: UInt64)
    /// Bytes were written behind those that were.
    case wrote(Int32, ArraySlice<UInt8>)
    /// A file's bytes or a folder's entries are durable, or may be lost when it did not succeed.
    case synced(Int32, succeeded: Bool)
    /// All that a filesystem holds is durable, or may not be when it did not succeed.
    case syncedFilesystem(Int32, succeeded: Bool)
    /// An entry has another name, which replaced what had it.
    case renamed([UInt8], folder: Int32, to: [UInt8], newFolder: Int32)
    /// The name of a file or an empty folder is gone.
    case unlinked([UInt8], folder: Int32)
    /// A new, empty folder has the name.
    case madeFolder([UInt8], folder: Int32)
}

/// Told each change right after its system call, on the thread that made it.
package typealias DriveObserver = @Sendable (DriveEffect) -> Void
