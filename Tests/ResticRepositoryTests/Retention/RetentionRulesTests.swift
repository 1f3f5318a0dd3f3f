import BackupCore
import ResticRepository
import Testing

@Suite struct RetentionRulesTests {
    private let now = Timestamp(seconds: 1_800_000_000)

    private func policy(_ adjust: (inout RetentionPolicy) -> Void) -> RetentionPolicy {
        var policy = RetentionPolicy()
        adjust(&policy)
        return policy
    }

    /// The numbers, from the newest on, of the snapshots that are kept.
    private func kept(
        _ policy: RetentionPolicy, _ snapshots: [Snapshot], now: Timestamp? = nil
    ) -> [Int] {
        let reasons = policy.reasons(for: snapshots, now: now ?? self.now)
        return reasons.indices.filter { !reasons[$0].isEmpty }
    }

    private func at(_ texts: String..., offset: Int = 0) -> [Snapshot] {
        texts.enumerated().map { sample($0.offset, at: moment($0.element), offset: offset) }
    }

    @Test func theNewestOfEachDayIsKept() {
        let snapshots = at(
            "2026-03-03T20:00:00Z", "2026-03-03T08:00:00Z", "2026-03-02T09:00:00Z",
            "2026-03-02T08:00:00Z", "2026-02-01T08:00:00Z", "2026-01-31T08:00:00Z")
        #expect(kept(policy { $0.daily = 2 }, snapshots) == [0, 2])
        #expect(kept(policy { $0.monthly = 3 }, snapshots) == [0, 4, 5])
        #expect(kept(policy { $0.yearly = 2 }, snapshots) == [0])
        #expect(kept(policy { $0.last = 3 }, snapshots) == [0, 1, 2])
        #expect(kept(policy { $0.last = RetentionPolicy.unlimited }, snapshots).count == 6)
    }

    @Test func daysAreToldByTheZoneThatTheSnapshotWasWrittenIn() {
        // 23:30 and 00:30 in Berlin; one day in London.
        let snapshots = at("2026-01-02T23:30:00Z", "2026-01-02T22:30:00Z", offset: 3600)
        #expect(kept(policy { $0.daily = 5 }, snapshots) == [0, 1])
        let inLondon = at("2026-01-02T23:30:00Z", "2026-01-02T22:30:00Z", "2026-01-01T01:00:00Z")
        #expect(kept(policy { $0.daily = 2 }, inLondon) == [0, 2])
    }

    @Test func weeksAreISOWeeks() {
        // Sunday 27 December 2026 ends week 52; Friday 1 January 2027 is still week 53 of 2026.
        let snapshots = at(
            "2027-01-03T12:00:00Z", "2027-01-01T12:00:00Z", "2026-12-28T12:00:00Z",
            "2026-12-27T12:00:00Z", "2026-12-26T12:00:00Z")
        #expect(
            kept(policy { $0.weekly = 2 }, snapshots, now: moment("2027-02-01T00:00:00Z")) == [
                0, 3,
            ])
    }

    @Test func withinIsReckonedFromTheNewestAndNotFromTheClock() {
        let snapshots = at(
            "2026-03-31T12:00:00Z", "2026-03-03T12:00:00Z", "2026-03-03T11:00:00Z")
        let month = self.policy { $0.within = CalendarSpan("1m") }
        // There is no 31 February: one month before is 3 March, at the same time of day.
        for now in ["2026-04-01T00:00:00Z", "2106-01-01T00:00:00Z"] {
            #expect(kept(month, snapshots, now: moment(now)) == [0])
        }
        let longer = self.policy { $0.within = CalendarSpan("1m1h") }
        #expect(kept(longer, snapshots) == [0, 1])
    }

    @Test func tagsKeepWhatHasAllOfAList() {
        let snapshots = [
            sample(0, at: now), sample(1, at: now, tags: ["a"]),
            sample(2, at: now, tags: ["a", "b"]), sample(3, at: now, tags: ["c"]),
        ]
        #expect(kept(policy { $0.tags = [["a", "b"], ["c"]] }, snapshots) == [2, 3])
    }

    @Test func clockBehindTheSnapshotsMakesEveryRuleKeepItsCount() {
        // A box without a clock wrote all of these within one "day", a second apart.
        let snapshots = (0..<10).map { number in
            sample(number, at: Timestamp(seconds: now.seconds - Int64(number)))
        }
        let rules = policy { $0.daily = 7 }
        #expect(kept(rules, snapshots) == [0])
        #expect(kept(rules, snapshots, now: Timestamp(seconds: 86_400)) == Array(0..<7))
    }

    @Test(arguments: [
        ("1y5m7d2h", "1y5m7d2h"), ("30d", "30d"), ("2h1y", "1y2h"), ("1d2d", "2d"), ("", nil),
        ("12", nil), ("d", nil), ("1w", nil), ("-1d", nil), ("1 d", nil), ("0d", nil),
        ("1000000d", nil), ("99999999999999999999y", nil),
    ])
    func lengthsOfTimeAreResticsOrRefused(text: String, shown: String?) {
        #expect(CalendarSpan(text)?.description == shown)
    }

    @Test func farLengthsOfTimeDoNotTrap() throws {
        let span = try #require(CalendarSpan("999999y999999m999999d999999h"))
        for seconds in [Int64(-62_167_219_200), 0, 253_402_300_799] {
            let time = Timestamp(seconds: seconds)
            #expect(span.before(time, utcOffsetSeconds: 3600) < time)
        }
    }
}
