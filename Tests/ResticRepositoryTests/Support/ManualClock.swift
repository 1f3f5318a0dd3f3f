import BackupCore
import Synchronization

/// A clock that the test turns. Waits of less than a second end at once; longer ones end when the
/// clock is turned past them or the task is cancelled.
final class ManualClock: RunClock {
    private struct Sleeper {
        let id: Int
        let due: Duration
        let continuation: CheckedContinuation<Void, Never>
    }

    private struct State {
        var elapsed = Duration.zero
        var start: Timestamp
        var sleepers: [Sleeper] = []
        var nextID = 0
        var cancelled: Set<Int> = []
        /// Continuations of tests that wait for somebody to fall asleep.
        var observers: [CheckedContinuation<Void, Never>] = []
    }

    private let state: Mutex<State>

    init(start: Timestamp = Timestamp(seconds: 1_800_000_000)) {
        state = Mutex(State(start: start))
    }

    func now() -> Timestamp {
        state.withLock { state in
            Timestamp(seconds: state.start.seconds + state.elapsed.components.seconds)
        }
    }

    func utcOffsetSeconds() -> Int { 7200 }

    func elapsed() -> Duration { state.withLock { $0.elapsed } }

    func sleep(_ duration: Duration) async {
        guard duration >= .seconds(1) else {
            state.withLock { $0.elapsed += duration }
            return
        }
        let id = state.withLock { state in
            state.nextID += 1
            return state.nextID
        }
        await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                let (isCancelled, observers) = state.withLock { state in
                    guard !state.cancelled.contains(id) else { return (true, state.observers) }
                    state.sleepers.append(
                        Sleeper(
                            id: id, due: state.elapsed + duration, continuation: continuation))
                    defer { state.observers = [] }
                    return (false, state.observers)
                }
                for observer in observers { observer.resume() }
                if isCancelled { continuation.resume() }
            }
        } onCancel: {
            let sleeper = state.withLock { state -> Sleeper? in
                state.cancelled.insert(id)
                guard let position = state.sleepers.firstIndex(where: { $0.id == id }) else {
                    return nil
                }
                return state.sleepers.remove(at: position)
            }
            sleeper?.continuation.resume()
        }
    }

    /// Turns the clock and wakes whoever is due.
    func advance(_ duration: Duration) {
        let due = state.withLock { state in
            state.elapsed += duration
            let due = state.sleepers.filter { $0.due <= state.elapsed }
            state.sleepers.removeAll { $0.due <= state.elapsed }
            return due
        }
        for sleeper in due { sleeper.continuation.resume() }
    }

    /// Sets the wall clock without monotonic time going on.
    func setWallClock(_ time: Timestamp) {
        state.withLock { state in
            state.start = Timestamp(seconds: time.seconds - state.elapsed.components.seconds)
        }
    }

    /// Returns once somebody sleeps.
    func waitForSleeper() async {
        await withCheckedContinuation { continuation in
            let isAsleep = state.withLock { state in
                guard state.sleepers.isEmpty else { return true }
                state.observers.append(continuation)
                return false
            }
            if isAsleep { continuation.resume() }
        }
    }
}
