/// A moment as seconds and nanoseconds since 1970-01-01 UTC.
///
/// Not a `Date`: that is a `Double` and loses nanoseconds.
package struct Timestamp: Hashable, Sendable, Comparable {
    /// Whole seconds since 1970 UTC; negative before.
    package let seconds: Int64
    /// 0 ..< 1,000,000,000, always counted forward from `seconds`.
    package let nanoseconds: UInt32

    /// The moment `seconds` + `nanoseconds`; nanoseconds past a second are carried over.
    package init(seconds: Int64, nanoseconds: UInt32 = 0) {
        let (sum, overflow) = seconds.addingReportingOverflow(Int64(nanoseconds / 1_000_000_000))
        self.seconds = overflow ? .max : sum
        self.nanoseconds = nanoseconds % 1_000_000_000
    }

    /// 1970-01-01T00:00:00Z, which stands for "no date known".
    package static let zero = Timestamp(seconds: 0)

    package static func < (left: Timestamp, right: Timestamp) -> Bool {
        (left.seconds, left.nanoseconds) < (right.seconds, right.nanoseconds)
    }

    /// Whether two dates of a file mean "not modified": equal, or a whole number of hours apart,
    /// up to 26. Phones give local time without a zone, so travel and summer time shift it.
    package func isSameModification(as other: Timestamp) -> Bool {
        if self == other { return true }
        // A foreign snapshot may hold any date, so the difference may overflow.
        let (difference, overflow) = seconds.subtractingReportingOverflow(other.seconds)
        return !overflow && nanoseconds == other.nanoseconds && difference % 3600 == 0
            && difference.magnitude <= 26 * 3600
    }
}

/// Where runs take the time from, so that tests can turn the clock.
package protocol RunClock: Sendable {
    /// The wall clock; it may be wrong (no battery, no network) and is never used for order alone.
    func now() -> Timestamp
    /// The local offset from UTC in seconds, as snapshots record it.
    func utcOffsetSeconds() -> Int
    /// Monotonic time since some start, for deadlines.
    func elapsed() -> Duration
    /// Waits, ending early (without an error) when the task is cancelled.
    func sleep(_ duration: Duration) async
}
