/// How long a worker may take for each kind of call before it is ended.
///
/// libmtp itself waits 60 s for an Android phone, so a shorter limit for a listing would take a
/// slow phone for a dead one; folders of some thousand files need long (device-behaviour 3.4).
package struct WorkerDeadlines: Sendable {
    /// From the start of the process to an open session, a second try within it included.
    package var open: Duration = .seconds(90)
    /// For the phone's attributes.
    package var attributes: Duration = .seconds(30)
    /// For the list of storages.
    package var storages: Duration = .seconds(30)
    /// For a listing, counted from the phone's last valid answer.
    package var listing: Duration = .seconds(120)
    /// For one whole listing, however lively the phone is.
    package var wholeListing: Duration = .seconds(3600)
    /// For each piece of a file's content.
    package var readPiece: Duration = .seconds(60)
    /// For the next word of a worker whose phone drives; the worker itself waits 15 minutes for a
    /// silent phone and then says so.
    package var driving: Duration = .seconds(1000)
    /// For the list of phones on the bus.
    package var presence: Duration = .seconds(20)
    /// For the polite end of a session, in real time: the last resort must not hang on a clock.
    package var close: Duration = .seconds(5)

    /// The usual limits.
    package init() {}
}
