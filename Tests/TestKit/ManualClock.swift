package import BackupCore
internal import Synchronization

/// A clock that stands still but for sleeps, which take no time and turn it forward.
package final class ManualClock: RunClock {
    private struct State {
        var now: Timestamp
        var elapsed: Duration = .zero
    }

    private let state: Mutex<State>

    /// A clock that shows `now`.
    package init(now: Timestamp = Timestamp(seconds: 1_700_000_000)) {
        state = Mutex(State(now: now))
    }

    package func now() -> Timestamp { state.withLock { $0.now } }
    package func utcOffsetSeconds() -> Int { 7200 }
    package func elapsed() -> Duration { state.withLock { $0.elapsed } }

    package func sleep(_ duration: Duration) async {
        if !Task.isCancelled { advance(by: duration) }
        await Task.yield()
    }

    /// Turns both the wall clock and the monotonic time forward.
    package func advance(by duration: Duration) {
        state.withLock { state in
            state.elapsed += duration
            state.now = Timestamp(
                seconds: state.now.seconds + duration.components.seconds,
                nanoseconds: state.now.nanoseconds)
        }
    }

    /// Sets the wall clock alone, as a box without a battery does.
    package func set(_ now: Timestamp) { state.withLock { $0.now = now } }
}
