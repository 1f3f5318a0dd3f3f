package import BackupCore
import Glibc

/// The machine's clocks.
package struct BoxClock: RunClock {
    /// The machine's clocks.
    package init() {}

    package func now() -> Timestamp {
        let time = read(CLOCK_REALTIME)
        return Timestamp(seconds: Int64(time.tv_sec), nanoseconds: UInt32(time.tv_nsec))
    }

    package func utcOffsetSeconds() -> Int {
        var seconds = time_t(read(CLOCK_REALTIME).tv_sec)
        // Sound: `tm` is made empty and filled by the call; its zone text is not read.
        var parts = unsafe tm()
        // Sound: both values are lent for the call, which fills `parts`.
        guard unsafe localtime_r(&seconds, &parts) != nil else { return 0 }
        return unsafe Int(parts.tm_gmtoff)
    }

    package func elapsed() -> Duration {
        // Counts sleep too: a box that slept through a deadline has passed it.
        let time = read(CLOCK_BOOTTIME)
        return .seconds(Int64(time.tv_sec)) + .nanoseconds(Int64(time.tv_nsec))
    }

    package func sleep(_ duration: Duration) async {
        // It throws only when the task is cancelled, which by contract ends the sleep early.
        try? await Task.sleep(for: duration)
    }

    private func read(_ clock: clockid_t) -> timespec {
        var time = timespec()
        // Sound: `time` is lent for the call, which fills it; both clocks always exist on Linux.
        unsafe clock_gettime(clock, &time)
        return time
    }
}
