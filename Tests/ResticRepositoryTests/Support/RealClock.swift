import BackupCore
import Glibc

/// The machine's own clocks, where another program looks at what we wrote.
struct RealClock: RunClock {
    private let start = ContinuousClock.now

    func now() -> Timestamp { Timestamp(seconds: Int64(time(nil))) }
    func utcOffsetSeconds() -> Int { 0 }
    func elapsed() -> Duration { ContinuousClock.now - start }
    func sleep(_ duration: Duration) async {
        // Ends early when cancelled, as the port says.
        try? await Task.sleep(for: duration)
    }
}
