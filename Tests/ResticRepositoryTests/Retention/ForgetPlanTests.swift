import BackupCore
import ResticFormat
import ResticRepository
import Testing

@Suite struct ForgetPlanTests {
    private let now = Timestamp(seconds: 1_800_000_000)

    private func request(
        scheduled: Bool = false, _ adjust: (inout RetentionPolicy) -> Void
    ) -> ForgetRequest {
        var policy = RetentionPolicy()
        adjust(&policy)
        var request = ForgetRequest(.rules(policy, phone: nil, capture: nil), now: now)
        request.isScheduled = scheduled
        return request
    }

    @Test func withoutARuleEverythingStays() {
        let plan = ForgetPlan(request { _ in }, dailySamples(30))
        #expect(plan.going.isEmpty && plan.kept.count == 30)
    }

    @Test func phonesAreCountedApart() {
        let snapshots =
            dailySamples(5)
            + (0..<5).map { sample($0, at: Timestamp(seconds: Int64($0)), phone: "iphone-1") }
        let plan = ForgetPlan(request { $0.last = 2 }, snapshots)
        #expect(plan.groups.map(\.kept.count) == [2, 2])
        #expect(plan.groups.map(\.going.count) == [3, 3])
    }

    @Test func filterLeavesOtherPhonesAlone() {
        var policy = RetentionPolicy()
        policy.last = 1
        let phone = PhoneID(trusted: "iphone-1")
        let snapshots =
            dailySamples(3) + [
                sample(0, at: .zero, phone: "iphone-1"), sample(1, at: now, phone: "iphone-1"),
            ]
        let plan = ForgetPlan(
            ForgetRequest(.rules(policy, phone: phone, capture: nil), now: now), snapshots)
        #expect(plan.going.map(\.phone) == [phone])
    }

    @Test func lastCompleteOneStaysWhateverTheRulesSay() {
        let plan = ForgetPlan(request { $0.tags = [["never given"]] }, dailySamples(3))
        #expect(plan.kept.map(\.time) == [Timestamp(seconds: 1_790_000_000)])
    }

    @Test func partialOnesAreNeitherCountedNorForgotten() {
        let newest = Timestamp(seconds: 1_790_000_001)
        let partials = (0..<3).map {
            sample(100 + $0, at: Timestamp(seconds: newest.seconds + Int64($0)), partial: true)
        }
        let plan = ForgetPlan(request { $0.last = 2 }, dailySamples(4) + partials)
        #expect(plan.kept.count == 5 && plan.going.count == 2)
        #expect(plan.going.allSatisfy { !$0.isPartial })
    }

    @Test func partialOneGoesOnceACompleteOneAfterItIsVerified() {
        let complete = dailySamples(2)
        let between = sample(
            7, at: Timestamp(seconds: complete[0].time.seconds + 1), partial: true)
        var request = self.request { $0.last = 10 }
        #expect(ForgetPlan(request, complete + [between]).going.isEmpty)
        // One that came before it does not hold what it read.
        request.verified = [complete[0].id]
        #expect(ForgetPlan(request, complete + [between]).going.isEmpty)
        request.verified = [complete[1].id]
        let plan = ForgetPlan(request, complete + [between])
        #expect(plan.going == [between])
        #expect(plan.groups[0].going[0].reasons[0].contains(complete[1].id.short))
    }

    @Test func whatOtherProgramsMadeGoesOnlyByName() {
        var foreign = sample(50, at: .zero).draft
        foreign.tags = ["holiday"]
        let other = Snapshot(id: ContentID.sha256(of: [1]), draft: foreign)
        let snapshots = dailySamples(2) + [other]
        #expect(!ForgetPlan(request { $0.last = 1 }, snapshots).going.contains(other))
        let named = ForgetPlan(ForgetRequest(.named([other.id]), now: now), snapshots)
        #expect(named.going == [other] && named.refusals.isEmpty)
    }

    @Test func namingEveryCompleteOneIsRefused() {
        let snapshots = dailySamples(3)
        let plan = ForgetPlan(
            ForgetRequest(.named(Set(snapshots.map(\.id))), now: now), snapshots)
        #expect(plan.refusals == [.lastComplete(snapshots[2].id)])
        #expect(!plan.going.contains(snapshots[2]))
        let rest = ForgetPlan(
            ForgetRequest(.named(Set(snapshots.dropFirst().map(\.id))), now: now), snapshots)
        #expect(rest.refusals.isEmpty && rest.going.count == 2)
    }

    // MARK: Rails

    @Test func unattendedFourCompleteOnesStay() {
        let plan = ForgetPlan(request(scheduled: true) { $0.last = 1 }, dailySamples(5))
        #expect(plan.going.count == 1 && plan.kept.count == 4)
        #expect(ForgetPlan(request { $0.last = 1 }, dailySamples(5)).going.count == 4)
    }

    @Test func unattendedAQuarterGoesOldestFirstAndTheRestFollows() {
        var snapshots = dailySamples(40)
        var goes: [Int] = []
        while true {
            let plan = ForgetPlan(request(scheduled: true) { $0.last = 6 }, snapshots)
            guard !plan.going.isEmpty else { break }
            #expect(plan.going.count * 4 <= snapshots.count)
            #expect(Set(plan.going) == Set(snapshots.prefix(plan.going.count)))
            goes.append(plan.going.count)
            snapshots.removeFirst(plan.going.count)
        }
        #expect(goes.first == 10 && snapshots.count == 6)
    }

    @Test func severalRunsEndWhereOneWouldHave() {
        let all = dailySamples(60)
        let rules = { (policy: inout RetentionPolicy) in
            policy.daily = 5
            policy.weekly = 3
            policy.monthly = 9
        }
        let once = Set(ForgetPlan(request(rules), all).kept)
        var left = all
        while case let going = ForgetPlan(request(scheduled: true, rules), left).going,
            !going.isEmpty
        {
            left.removeAll(where: going.contains)
        }
        #expect(Set(left) == once)
    }

    @Test func unattendedNewestInTheFutureIsRefused() {
        // Runs in quick succession have a second each.
        let near = dailySamples(9, newest: now.seconds + ForgetPlan.secondsAhead)
        #expect(ForgetPlan(request(scheduled: true) { $0.last = 5 }, near).refusals.isEmpty)
        let snapshots = dailySamples(9, newest: now.seconds + ForgetPlan.secondsAhead + 1)
        let refused = ForgetPlan(request(scheduled: true) { $0.last = 5 }, snapshots)
        #expect(refused.refusals == [.newestInFuture(snapshots[8].id)])
        #expect(ForgetPlan(request { $0.last = 5 }, snapshots).refusals.isEmpty)
    }

    @Test func unattendedShrunkenListingIsRefused() {
        var request = self.request(scheduled: true) { $0.last = 5 }
        request.missing = [DriveID(trusted: "a"): 0, DriveID(trusted: "b"): 2]
        let plan = ForgetPlan(request, dailySamples(9))
        #expect(plan.refusals == [.shrunkenListing(DriveID(trusted: "b"), missing: 2)])
        request.isScheduled = false
        #expect(ForgetPlan(request, dailySamples(9)).refusals.isEmpty)
    }
}
