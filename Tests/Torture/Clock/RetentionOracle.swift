import BackupCore
import Glibc
import ResticRepository

/// A second opinion on a plan, by brute force and the C library's calendar.
///
/// It is told the order in which snapshots were made. Each snapshot is judged by itself: a rule
/// keeps it when it begins a day (or week, …) and fewer than the rule's count begin after it.
struct RetentionOracle {
    private let request: ForgetRequest
    private let policy: RetentionPolicy
    /// By phone and capture, in the order in which they were made.
    private let groups: [String: [Snapshot]]
    private let newest: Snapshot?

    init(_ request: ForgetRequest, _ policy: RetentionPolicy, _ made: [Snapshot]) {
        self.request = request
        self.policy = policy
        groups = Dictionary(grouping: made) { Self.key($0.phone, $0.capture) }
        newest = made.last
    }

    private static func key(_ phone: PhoneID?, _ capture: Capture?) -> String {
        "\(phone?.rawValue ?? "-") \(capture?.rawValue ?? "-")"
    }

    /// What is wrong with `plan`.
    func judge(_ plan: ForgetPlan) -> [String] {
        var broken = judgeRefusals(plan)
        let going = Set(plan.going.map(\.id))
        let kept = Set(plan.kept.map(\.id))
        let all = Set(groups.values.flatMap { $0.map(\.id) })
        if going.union(kept) != all || !going.isDisjoint(with: kept) {
            broken.append("the plan does not decide about every snapshot once")
        }
        for (name, made) in groups {
            broken += judge(made, going).map { "\(name): \($0)" }
        }
        return broken
    }

    private func judgeRefusals(_ plan: ForgetPlan) -> [String] {
        var expected = 0
        if request.isScheduled {
            if let newest, newest.time.seconds > request.now.seconds + 60 { expected += 1 }
            expected += request.missing.values.count { $0 > 0 }
        }
        return plan.refusals.count == expected
            ? [] : ["\(plan.refusals.count) refusals instead of \(expected)"]
    }

    private func judge(_ made: [Snapshot], _ going: Set<ContentID>) -> [String] {
        var broken: [String] = []
        let complete = made.filter { !$0.isPartial }
        if complete.suffix(policy.last).contains(where: { going.contains($0.id) }) {
            broken.append("one of the last \(policy.last) goes")
        }
        if let last = complete.last, going.contains(last.id) {
            broken.append("the last complete one goes")
        }
        var expected = expectedToGo(made, complete)
        if request.isScheduled {
            if complete.suffix(4).contains(where: { going.contains($0.id) }) {
                broken.append("unattended, one of the last four goes")
            }
            let allowed = made.count / 4
            if going.intersection(made.map(\.id)).count > allowed {
                broken.append("unattended, more than a quarter goes")
            }
            expected = Array(expected.prefix(allowed))
        }
        let found = made.filter { going.contains($0.id) }
        if found != expected {
            broken.append("\(found.count) go instead of \(expected.count), or other ones")
        }
        return broken
    }

    /// In the order in which they were made.
    private func expectedToGo(_ made: [Snapshot], _ complete: [Snapshot]) -> [Snapshot] {
        guard !policy.isEmpty else { return [] }
        let newestFirst = Array(complete.reversed())
        let keptCount = max(1, request.isScheduled ? 4 : 0, untrustedCount(newestFirst))
        let kept = Set(
            newestFirst.indices.filter { $0 < keptCount || isKept($0, newestFirst) }
                .map { newestFirst[$0].id })
        return made.enumerated().filter { index, snapshot in
            guard snapshot.isPartial else { return !kept.contains(snapshot.id) }
            return made[index...].contains {
                !$0.isPartial && request.verified.contains($0.id)
            }
        }.map(\.element)
    }

    /// With a clock behind the newest one, nobody can tell days apart: counts are kept at least.
    private func untrustedCount(_ newestFirst: [Snapshot]) -> Int {
        guard let newest = newestFirst.first, newest.time > request.now else { return 0 }
        return rules.map(\.count).max() ?? 0
    }

    private var rules: [(count: Int, format: String)] {
        [
            (policy.last, ""), (policy.hourly, "%Y-%m-%d %H"), (policy.daily, "%Y-%m-%d"),
            (policy.weekly, "%G week %V"), (policy.monthly, "%Y-%m"), (policy.yearly, "%Y"),
        ]
    }

    private func isKept(_ index: Int, _ snapshots: [Snapshot]) -> Bool {
        if let within = policy.within, isWithin(within, snapshots[index], snapshots) { return true }
        for (count, format) in rules where count > 0 {
            func begins(_ index: Int) -> Bool {
                index == 0 || format.isEmpty
                    || Self.text(snapshots[index], format)
                        != Self.text(snapshots[index - 1], format)
            }
            if begins(index), (0..<index).count(where: begins) < count { return true }
        }
        return false
    }

    private func isWithin(
        _ span: CalendarSpan, _ snapshot: Snapshot, _ snapshots: [Snapshot]
    ) -> Bool {
        guard let from = snapshots.filter({ $0.time < request.now }).max(by: { $0.time < $1.time })
        else { return true }
        var parts = Self.parts(from)
        parts.tm_year -= Int32(span.years)
        parts.tm_mon -= Int32(span.months)
        parts.tm_mday -= Int32(span.days)
        parts.tm_hour -= Int32(span.hours)
        let limit = Int64(timegm(&parts)) - Int64(from.draft.utcOffsetSeconds)
        return (snapshot.time.seconds, snapshot.time.nanoseconds) > (limit, from.time.nanoseconds)
    }

    /// The date and time on the wall where the snapshot was made.
    private static func parts(_ snapshot: Snapshot) -> tm {
        var seconds = time_t(snapshot.time.seconds) + snapshot.draft.utcOffsetSeconds
        var parts = tm()
        gmtime_r(&seconds, &parts)
        return parts
    }

    private static func text(_ snapshot: Snapshot, _ format: String) -> String {
        var parts = parts(snapshot)
        var buffer = [CChar](repeating: 0, count: 64)
        let length = strftime(&buffer, buffer.count, format, &parts)
        return String(decoding: buffer.prefix(length).map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }
}
