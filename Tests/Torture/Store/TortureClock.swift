import BackupCore
import Synchronization

/// Time in trials: each run has a day of its own. Short waits take no time; long ones, which are
/// deadlines and refreshes, last until they are cancelled.
final class TortureClock: RunClock {
    private let days: Mutex<Int64>

    /// A clock that shows a day.
    init(day: Int64 = 0) { days = Mutex(day) }

    func now() -> Timestamp {
        Timestamp(seconds: 1_800_000_000 + 86_400 * days.withLock { $0 })
    }

    func utcOffsetSeconds() -> Int { 0 }
    func elapsed() -> Duration { .zero }

    func sleep(_ duration: Duration) async {
        guard duration >= .seconds(1) else { return }
        // Ends early when cancelled, as the port says.
        try? await Task.sleep(for: .seconds(86_400))
    }

    /// Turns to the next day.
    func turn() { days.withLock { $0 += 1 } }
}
