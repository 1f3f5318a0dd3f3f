import BackupCore
import Synchronization
import TestKit

/// A manual clock that does something at each sleep.
final class TurningClock: RunClock {
    private let clock: ManualClock
    private let atSleep: @Sendable () -> Void

    init(_ clock: ManualClock, atSleep: @escaping @Sendable () -> Void) {
        self.clock = clock
        self.atSleep = atSleep
    }

    func now() -> Timestamp { clock.now() }
    func utcOffsetSeconds() -> Int { clock.utcOffsetSeconds() }
    func elapsed() -> Duration { clock.elapsed() }
    func sleep(_ duration: Duration) async {
        atSleep()
        await clock.sleep(duration)
    }
}

/// A value that tests put aside.
final class Held<Value: Sendable>: Sendable {
    private let state = Mutex<Value?>(nil)
    var value: Value? {
        get { state.withLock { $0 } }
        set { state.withLock { $0 = newValue } }
    }
}
