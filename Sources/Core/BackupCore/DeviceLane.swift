/// What a worker process hosts: one way to speak with one phone, blocking, on one thread.
///
/// The session port crosses a socketpair; this is its other end. A lane may block for ever or
/// crash: the parent then ends the worker, so a lane needs no deadlines of its own.
package protocol DeviceLane: ~Copyable {
    /// What the phone says of itself.
    mutating func attributes() throws(DeviceError) -> PhoneAttributes
    /// See ``MediaSource/storages()``.
    mutating func storages() throws(DeviceError) -> [PhoneStorage]
    /// See ``MediaSource/list(_:)``; at most `limit` entries, more is `limitExceeded`.
    mutating func list(
        _ folder: FolderReference, limit: Int
    ) throws(DeviceError) -> FolderListing
    /// Pushes a file's content, in order, in pieces of any size; `emit` returns false when the
    /// parent wants no more. Every byte is counted against `entry.byteCount` (see
    /// ``MediaSource/read(_:)``).
    mutating func read(
        _ entry: PhoneEntry, emit: (UnsafeRawBufferPointer) -> Bool
    ) throws(DeviceError)
    /// Lets the phone drive `job` over `tree`; returns only when the phone has said that it
    /// succeeded and, for a backup, what it left proves it. See ``PushedCapture``.
    mutating func drive(_ job: PushedJob, over tree: any CaptureTree) throws(DeviceError)
    /// See ``MediaSource/onlyInCloud()``.
    mutating func onlyInCloud() throws(DeviceError) -> UInt64?
    /// Ends the session politely.
    consuming func close()
}

extension DeviceLane where Self: ~Copyable {
    package mutating func onlyInCloud() throws(DeviceError) -> UInt64? { nil }

    package mutating func drive(
        _ job: PushedJob, over tree: any CaptureTree
    ) throws(DeviceError) {
        throw DeviceError(.unsuitable, "This phone offers no backup of its own")
    }
}
