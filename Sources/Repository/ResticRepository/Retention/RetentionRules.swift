package import BackupCore

extension RetentionPolicy {
    /// Why each of `snapshots`, which must be newest first, is kept; no reason where no rule
    /// keeps it.
    ///
    /// Source: restic's `ApplyPolicy` (`internal/restic/snapshot_policy.go`). An hour, day, week,
    /// month or year is told by the zone that the snapshot's time is written with. Of neighbours
    /// in one of them the newest is kept. This is restic 0.14; from 0.16 on it also keeps the very
    /// oldest snapshot while a rule has counts left. `now` only decides which snapshots lie in the
    /// future: those are not what "within" reckons from.
    ///
    /// When the newest one lies in the future, the clock was wrong when it was made or is wrong
    /// now, and nobody can tell which snapshots share a day. Then a rule by time also keeps as
    /// many of the newest as it has counts.
    package func reasons(for snapshots: [Snapshot], now: Timestamp) -> [[String]] {
        var buckets = [
            Bucket(.last, last), Bucket(.hour, hourly), Bucket(.day, daily), Bucket(.week, weekly),
            Bucket(.month, monthly), Bucket(.year, yearly),
        ].filter { $0.left > 0 }
        let isTimeTrusted = snapshots.first.map { $0.time <= now } ?? true
        let leastKept = isTimeTrusted ? 0 : buckets.map(\.left).max() ?? 0
        let limit = limit(snapshots, now)
        return snapshots.enumerated().map { number, snapshot in
            var reasons: [String] = []
            for list in tags where list.allSatisfy(snapshot.tags.contains) {
                reasons.append("has tags [\(list.joined(separator: ", "))]")
            }
            if let within, limit.map({ snapshot.time > $0 }) ?? true {
                reasons.append("within \(within)")
            }
            for index in buckets.indices where buckets[index].takes(snapshot, number) {
                reasons.append(buckets[index].unit.rawValue)
            }
            if reasons.isEmpty, number < leastKept {
                reasons.append("one of the newest \(leastKept), which the clock cannot tell apart")
            }
            return reasons
        }
    }

    /// The moment that "within" begins after; nil when every snapshot counts.
    private func limit(_ snapshots: [Snapshot], _ now: Timestamp) -> Timestamp? {
        guard let within, let newest = snapshots.first(where: { $0.time < now }) else {
            return nil
        }
        return within.before(newest.time, utcOffsetSeconds: newest.draft.utcOffsetSeconds)
    }
}

/// One rule by count while snapshots pass by it, newest first.
private struct Bucket {
    /// What shares one count, with the reason it gives.
    enum Unit: String {
        case last = "last snapshot"
        case hour = "hourly snapshot"
        case day = "daily snapshot"
        case week = "weekly snapshot"
        case month = "monthly snapshot"
        case year = "yearly snapshot"
    }

    let unit: Unit
    var left: Int
    private var label: Int64?

    init(_ unit: Unit, _ count: Int) {
        self.unit = unit
        left = count
    }

    /// Whether the rule keeps this snapshot, the `number`th from the newest.
    mutating func takes(_ snapshot: Snapshot, _ number: Int) -> Bool {
        guard left > 0 else { return false }
        let next = label(snapshot, number)
        guard next != label else { return false }
        label = next
        left -= 1
        return true
    }

    /// A number that neighbours share when they fall into one hour, day, and so on.
    private func label(_ snapshot: Snapshot, _ number: Int) -> Int64 {
        let local = snapshot.time.seconds + Int64(snapshot.draft.utcOffsetSeconds)
        let day = local.floorDivided(by: 86_400)
        switch unit {
        case .last: return Int64(number)
        case .hour: return local.floorDivided(by: 3600)
        case .day: return day
        // 1970-01-01 was a Thursday.
        case .week: return (day + 3).floorDivided(by: 7)
        case .month:
            let date = RFC3339.civil(day)
            return Int64(date.year) * 12 + Int64(date.month)
        case .year: return Int64(RFC3339.civil(day).year)
        }
    }
}
