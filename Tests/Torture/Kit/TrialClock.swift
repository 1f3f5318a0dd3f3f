import BackupCore
import Glibc

/// The machine's own clocks: other programs look at what trials write.
struct TrialClock: RunClock {
    /// Sleeps of less than a second end at once.
    var skipsShortSleeps = false

    func now() -> Timestamp { Self.read(CLOCK_REALTIME) }

    func utcOffsetSeconds() -> Int { 0 }

    func elapsed() -> Duration {
        let time = Self.read(CLOCK_MONOTONIC)
        return .seconds(time.seconds) + .nanoseconds(Int64(time.nanoseconds))
    }

    func sleep(_ duration: Duration) async {
        if skipsShortSleeps, duration < .seconds(1) { return }
        // Cancelling only makes the wait shorter, which is what the port asks for.
        try? await Task.sleep(for: duration)
    }

    private static func read(_ clock: clockid_t) -> Timestamp {
        var time = timespec()
        clock_gettime(clock, &time)
        return Timestamp(seconds: Int64(time.tv_sec), nanoseconds: UInt32(time.tv_nsec))
    }
}
