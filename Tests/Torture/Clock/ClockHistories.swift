import BackupCore
import ResticFormat
import ResticRepository
import Synchronization

extension Programme {
    /// Histories of a box whose clock is wrong as often as not: backups, retention runs and locks.
    ///
    /// Each retention run is compared with ``RetentionOracle``, which knows in which order
    /// snapshots were made and reckons with the C library's calendar.
    static let clock = Programme(
        name: "clock",
        summary: "clocks at 1970, 2038 and 20 years off, zones, retention against an oracle",
        trials: 2000, slice: 200
    ) { options in
        var count = TrialCount()
        for number in options.numbers where !count.isEnough(options) {
            var history = ClockHistory(seed: options.seed, trial: number)
            for what in history.run(&count) { count.failures.append((number, what)) }
            for what in LockHistory(seed: options.seed, trial: number).run(&count) {
                count.failures.append((number, what))
            }
            count.trials += 1
        }
        return count
    }
}

/// A clock that jumps, over true time that only goes on.
private struct WrongClock {
    private var truth: Int64
    private var skew: Int64 = 0
    private(set) var utcOffsetSeconds = 3600

    init(_ random: inout TrialNumbers) {
        truth = 1_500_000_000 + Int64(random.below(200_000_000))
    }

    var now: Timestamp { Timestamp(seconds: truth + skew) }

    mutating func pass(_ seconds: Int) { truth += Int64(seconds) }

    /// The battery is empty, a time server is wrong or right, somebody travels.
    mutating func jump(_ random: inout TrialNumbers) {
        let twentyYears: Int64 = 20 * 31_556_952
        switch random.below(7) {
        case 0: skew = Int64(random.below(86_400)) - truth
        case 1: skew = 2_147_483_600 + Int64(random.below(100)) - truth
        case 2: skew += twentyYears
        case 3: skew -= twentyYears
        case 4: skew += Int64(random.below(4_000_000)) - 2_000_000
        case 5: utcOffsetSeconds = (random.below(105) - 48) * 900
        default: skew = 0
        }
    }
}

/// One box's years of backups and retention.
struct ClockHistory {
    private var random: TrialNumbers
    private var clock: WrongClock
    /// In the order in which they were made.
    private var made: [Snapshot] = []
    private var number = 0

    init(seed: UInt64, trial: Int) {
        random = TrialNumbers(seed: seed, trial: trial, stream: 1)
        clock = WrongClock(&random)
    }

    /// Plays the history and gives what broke.
    mutating func run(_ count: inout TrialCount) -> [String] {
        var broken: [String] = []
        for _ in 0..<(20 + random.below(60)) {
            clock.pass([600, 7200, 90_000, 1_000_000][random.below(4)] + random.below(3600))
            if random.below(6) == 0 { clock.jump(&random) }
            for _ in 0..<(1 + random.below(3)) { backUp() }
            if random.below(4) == 0 { broken += forget(&count) }
        }
        count.add("snapshots", number)
        return broken
    }

    private mutating func backUp() {
        let phone = PhoneID(trusted: "android-\(random.below(2))")
        // What a backup does: never older than any snapshot before it.
        let next = made.last.map { Timestamp(seconds: $0.time.seconds + 1) } ?? .zero
        let draft = SnapshotDraft.of(
            phone: phone, capture: random.below(4) == 0 ? .backup : .media,
            run: RunID(trusted: "run-\(number)"), partial: random.below(5) == 0,
            tree: ContentID.sha256(of: []), parent: nil, time: max(clock.now, next),
            utcOffsetSeconds: clock.utcOffsetSeconds, hostname: "box")
        // Ids are hashes: they order nothing.
        let id = ContentID.sha256(of: Array("\(number) \(random.below(1 << 30))".utf8))
        made.append(Snapshot(id: id, draft: draft))
        number += 1
        clock.pass(1)
    }

    private mutating func forget(_ count: inout TrialCount) -> [String] {
        let policy = randomPolicy()
        var request = ForgetRequest(.rules(policy, phone: nil, capture: nil), now: clock.now)
        request.isScheduled = random.below(2) == 0
        request.verified = Set(made.filter { _ in random.below(3) == 0 }.map(\.id))
        if random.below(10) == 0 {
            request.missing = [DriveID(trusted: "a"): random.below(2)]
        }
        let plan = ForgetPlan(request, made.shuffled(using: &random))
        let broken = RetentionOracle(request, policy, made).judge(plan)
        count.add("retention runs")
        guard plan.refusals.isEmpty else {
            count.add("refused")
            return broken
        }
        let going = Set(plan.going.map(\.id))
        count.add("forgotten", going.count)
        made.removeAll { going.contains($0.id) }
        return broken
    }

    private mutating func randomPolicy() -> RetentionPolicy {
        var policy = RetentionPolicy()
        let rules: [WritableKeyPath<RetentionPolicy, Int>] = [
            \.last, \.hourly, \.daily, \.weekly, \.monthly, \.yearly,
        ]
        for rule in rules where random.below(3) == 0 {
            policy[keyPath: rule] = 1 + random.below(9)
        }
        if random.below(3) == 0 {
            policy.within = CalendarSpan(["90d", "1y", "5m", "36h", "2y3m4d5h"][random.below(5)])
        }
        return policy
    }
}

/// A lock and somebody who looks at it with a clock that jumps.
private struct LockHistory {
    private var random: TrialNumbers
    private var wall: WrongClock
    private let monotonic = TurnedClock()

    init(seed: UInt64, trial: Int) {
        random = TrialNumbers(seed: seed, trial: trial, stream: 2)
        wall = WrongClock(&random)
    }

    /// A holder refreshes until it hangs; as long as it relies on its lock, nobody takes it.
    func run(_ count: inout TrialCount) -> [String] {
        var (random, wall) = (random, wall)
        let memory = ProcessLockMemory(clock: monotonic)
        let hangsAfter = Duration.seconds(random.below(3 * 3600))
        var (refreshed, lockNumber, written) = (Duration.zero, 0, wall.now)
        var newest = wall.now
        while monotonic.elapsed() < hangsAfter + .seconds(2 * 3600) {
            let step = 20 + random.below(240)
            monotonic.pass(.seconds(step))
            wall.pass(step)
            if random.below(8) == 0 { wall.jump(&random) }
            let now = monotonic.elapsed()
            if now < hangsAfter, now - refreshed >= LockRules.refreshInterval {
                (refreshed, lockNumber, written) = (now, lockNumber + 1, wall.now)
                newest = max(newest, written)
            }
            let id = ContentID.sha256(of: Array("\(lockNumber)".utf8))
            let lock = FoundLock(
                id: id,
                content: LockRecord(
                    time: written, isExclusive: true, hostname: "other", username: "u",
                    processID: 9), unchangedFor: memory.knownFor(id))
            memory.keepOnly([id])
            guard LockRules.isStale(lock, now: max(wall.now, newest)) else { continue }
            guard now - refreshed >= LockRules.trustAge else {
                return ["a lock was stolen \(now - refreshed) after its holder refreshed it"]
            }
            count.add("left-over locks removed")
            return []
        }
        return []
    }
}

/// Monotonic time that is turned by hand.
private final class TurnedClock: RunClock {
    // Used by one task only; a lock costs nothing that matters here.
    private let state = Mutex(Duration.zero)

    func now() -> Timestamp { .zero }
    func utcOffsetSeconds() -> Int { 0 }
    func elapsed() -> Duration { state.withLock { $0 } }
    func sleep(_ duration: Duration) async {}
    func pass(_ duration: Duration) { state.withLock { $0 += duration } }
}
