import Drives
import Glibc
import Synchronization

/// Makes system calls fail, by their number.
final class FaultPlan: Sendable {
    struct Rule: Sendable {
        /// The drives it strikes.
        var drives: Set<Int>
        /// The calls that are counted.
        var kinds: Set<DriveCall>
        /// The number of the call that fails, from 1, on each drive.
        var at: Int
        var fault: DriveFault
        /// Whether all counted calls on these drives fail from then on.
        var isSticky: Bool
        /// Whether no call of any kind reaches any drive from then on.
        var isDeath = false

        /// The program dies at its n-th call that changes a drive; most calls only look.
        static func kill(at: Int) -> Rule {
            Rule(
                drives: Set(Lab.drives),
                kinds: [.create, .allocate, .write, .sync, .rename, .unlink], at: at,
                fault: .error(EIO), isSticky: true, isDeath: true)
        }
    }

    private struct State {
        var rule: Rule?
        var counts: [[DriveCall: Int]] = [[:], [:]]
        var struck: Set<Int> = []
    }

    private let state = Mutex(State())

    /// Begins to count anew, under `rule`.
    func begin(_ rule: Rule?) { state.withLock { $0 = State(rule: rule) } }

    /// The calls counted since, by drive.
    var counts: [[DriveCall: Int]] { state.withLock { $0.counts } }

    /// The drives on which a call failed.
    var struck: Set<Int> { state.withLock { $0.struck } }

    /// The hook of a drive.
    func hook(_ drive: Int) -> DriveFaultHook {
        { call in
            self.state.withLock { state in
                state.counts[drive][call, default: 0] += 1
                guard let rule = state.rule else { return nil }
                if rule.isDeath && !state.struck.isEmpty { return rule.fault }
                guard rule.drives.contains(drive), rule.kinds.contains(call) else { return nil }
                let count = rule.kinds.reduce(0) { $0 + (state.counts[drive][$1] ?? 0) }
                let isOn = rule.isSticky && !state.struck.isEmpty
                guard isOn || count == rule.at else { return nil }
                state.struck.insert(drive)
                return rule.fault
            }
        }
    }
}
