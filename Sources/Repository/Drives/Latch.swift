import BackupCore
import Synchronization

/// A value that one thread gives once and tasks wait for.
final class Latch<Value: Sendable>: Sendable {
    private struct State {
        var value: Value?
        var next: UInt64 = 0
        var waiting: [UInt64: CheckedContinuation<Value?, Never>] = [:]
        /// Waits that ran out before they began.
        var expired: Set<UInt64> = []
    }

    private let state = Mutex(State())

    /// Gives the value; a second one is ignored.
    func fulfil(_ value: Value) {
        let waiting = state.withLock { state in
            if state.value == nil { state.value = value }
            defer { state.waiting = [:] }
            return state.waiting.values.map { $0 }
        }
        for continuation in waiting { continuation.resume(returning: value) }
    }

    /// The value, or nil when it was not given within `limit`. Cancelling the task does not end
    /// the wait: a run that is being stopped still has to know what its drives did.
    func value(within limit: Duration, clock: any RunClock) async -> Value? {
        let ticket = state.withLock { state in
            state.next += 1
            return state.next
        }
        // A task of its own because a child would be cancelled with its parent, and the clock
        // would then end at once and declare a healthy drive dead.
        let timer = Task {
            await clock.sleep(limit)
            if !Task.isCancelled { expire(ticket) }
        }
        defer { timer.cancel() }
        return await withCheckedContinuation { continuation in
            let known: (isOver: Bool, value: Value?) = state.withLock { state in
                if let value = state.value { return (true, value) }
                if state.expired.remove(ticket) != nil { return (true, nil) }
                state.waiting[ticket] = continuation
                return (false, nil)
            }
            if known.isOver { continuation.resume(returning: known.value) }
        }
    }

    private func expire(_ ticket: UInt64) {
        let continuation = state.withLock { state in
            let continuation = state.waiting.removeValue(forKey: ticket)
            if continuation == nil { state.expired.insert(ticket) }
            return continuation
        }
        continuation?.resume(returning: nil)
    }
}
