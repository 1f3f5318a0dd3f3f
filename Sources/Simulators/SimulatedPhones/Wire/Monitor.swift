import Foundation

/// State that threads share, change and wait on.
final class Monitor<State>: @unchecked Sendable {
    // Unchecked: `state` is only touched while `condition` is locked.
    private let condition = NSCondition()
    private var state: State

    /// What a look at the state came to.
    enum Look<Value> {
        case done(Value)
        /// To be looked at again after the next change, or after this long at the latest.
        case wait(Duration?)
    }

    init(_ state: State) {
        self.state = state
    }

    /// Reads or changes the state; whoever waits looks again.
    func locked<Value>(_ body: (inout State) -> Value) -> Value {
        condition.lock()
        defer {
            condition.broadcast()
            condition.unlock()
        }
        return body(&state)
    }

    /// Looks until the answer is there. What a look changes wakes nobody.
    func waiting<Value, Failure: Error>(
        _ look: (inout State) throws(Failure) -> Look<Value>
    ) throws(Failure) -> Value {
        condition.lock()
        defer { condition.unlock() }
        while true {
            switch try look(&state) {
            case .done(let value): return value
            case .wait(nil): condition.wait()
            case .wait(let limit?):
                _ = condition.wait(until: Date(timeIntervalSinceNow: limit / .seconds(1)))
            }
        }
    }
}
