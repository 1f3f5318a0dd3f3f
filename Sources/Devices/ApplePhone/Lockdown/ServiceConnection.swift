package import BackupCore

/// The byte stream of one service of a phone: blocking, for one thread.
///
/// There are no short reads: a call gives all it was asked for or throws. An error ends the
/// connection, because what a broken read had already taken is lost and the stream has no way
/// back to the start of a message (so it is in libimobiledevice's TLS): every later call throws
/// the same error. Only ``hasInput(within:)`` may find nothing and be asked again.
package protocol ServiceConnection: AnyObject {
    /// Exactly `count` bytes, of which the last must have come when the time is over.
    ///
    /// `count` is the caller's: a length that the phone announced must have been checked. Throws
    /// `gone` when the phone closed the connection or went away, `timedOut` when time is over.
    func read(_ count: Int, within limit: Duration) throws(DeviceError) -> [UInt8]
    /// Sends all of `bytes`; errors as in `read`.
    func write(_ bytes: [UInt8], within limit: Duration) throws(DeviceError)
    /// Waits for the next byte and leaves it to be read; false when none came in time. A zero
    /// limit asks without waiting.
    func hasInput(within limit: Duration) throws(DeviceError) -> Bool
    /// Ends the connection; may be called again, and after an error.
    func close()
}
