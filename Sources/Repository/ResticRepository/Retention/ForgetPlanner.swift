package import BackupCore

extension ForgetPlan {
    /// Unattended, this many complete snapshots of a phone and capture stay whatever the rules.
    package static let leastComplete = 4
    /// Unattended, at most one in so many snapshots of a phone and capture goes in one run.
    package static let share = 4
    /// Unattended, a newest snapshot may be so many seconds ahead of the clock: each has a second of
    /// its own, so that runs in quick succession get ahead.
    package static let secondsAhead: Int64 = 60

    /// The plan for an owner's `snapshots`, in any order.
    package init(_ request: ForgetRequest, _ snapshots: [Snapshot]) {
        let newestFirst = snapshots.sorted { ($0.time, $0.id) > ($1.time, $1.id) }
        var order: [GroupKey] = []
        var members: [GroupKey: [Snapshot]] = [:]
        for snapshot in newestFirst {
            let key = GroupKey(snapshot)
            if members[key] == nil { order.append(key) }
            members[key, default: []].append(snapshot)
        }
        for key in order.sorted() {
            let planner = GroupPlanner(request: request, key: key, snapshots: members[key] ?? [])
            groups.append(planner.plan(&refusals))
        }
        guard request.isScheduled else { return }
        if let newest = newestFirst.first(where: { GroupKey($0).isOurs }),
            newest.time.seconds > request.now.seconds + Self.secondsAhead
        {
            refusals.append(.newestInFuture(newest.id))
        }
        for (drive, count) in request.missing.sorted(by: { $0.key < $1.key }) where count > 0 {
            refusals.append(.shrunkenListing(drive, missing: count))
        }
    }
}

/// Whose snapshots they are; both nil for those of other programs.
private struct GroupKey: Hashable, Comparable {
    var phone: PhoneID?
    var capture: Capture?

    init(_ snapshot: Snapshot) {
        // One with half of our tags is not ours.
        guard let phone = snapshot.phone, let capture = snapshot.capture else { return }
        self.phone = phone
        self.capture = capture
    }

    var isOurs: Bool { phone != nil }

    private var text: String { "\(phone?.rawValue ?? "~") \(capture?.rawValue ?? "")" }

    static func < (left: GroupKey, right: GroupKey) -> Bool { left.text < right.text }
}

/// Decides about the snapshots of one phone and capture.
private struct GroupPlanner {
    let request: ForgetRequest
    let key: GroupKey
    /// Newest first.
    let snapshots: [Snapshot]

    func plan(_ refusals: inout [ForgetPlan.Refusal]) -> ForgetPlan.Group {
        var group = ForgetPlan.Group(phone: key.phone, capture: key.capture)
        switch request.choice {
        case .named(let ids): planNamed(ids, &group, &refusals)
        case .rules(let policy, let phone, let capture):
            if !key.isOurs {
                keepAll(because: "made by another program", &group)
            } else if phone ?? key.phone != key.phone || capture ?? key.capture != key.capture {
                keepAll(because: "of another phone or capture", &group)
            } else if policy.isEmpty {
                keepAll(because: "there is no rule", &group)
            } else {
                planByRules(policy, &group)
                if request.isScheduled { postpone(&group) }
            }
        }
        return group
    }

    private func keepAll(because reason: String, _ group: inout ForgetPlan.Group) {
        group.kept = snapshots.map { ForgetPlan.Entry(snapshot: $0, reasons: [reason]) }
    }

    private func planNamed(
        _ ids: Set<ContentID>, _ group: inout ForgetPlan.Group,
        _ refusals: inout [ForgetPlan.Refusal]
    ) {
        let complete = snapshots.filter { !$0.isPartial }
        for snapshot in snapshots {
            guard ids.contains(snapshot.id) else {
                group.kept.append(ForgetPlan.Entry(snapshot: snapshot, reasons: ["not named"]))
                continue
            }
            if key.isOurs, snapshot.id == complete.first?.id,
                complete.allSatisfy({ ids.contains($0.id) })
            {
                refusals.append(.lastComplete(snapshot.id))
                group.kept.append(
                    ForgetPlan.Entry(snapshot: snapshot, reasons: ["last complete snapshot"]))
            } else {
                group.going.append(ForgetPlan.Entry(snapshot: snapshot, reasons: ["named"]))
            }
        }
    }

    private func planByRules(_ policy: RetentionPolicy, _ group: inout ForgetPlan.Group) {
        let complete = snapshots.filter { !$0.isPartial }
        var reasons: [ContentID: [String]] = [:]
        for (index, found) in policy.reasons(for: complete, now: request.now).enumerated() {
            var found = found
            if found.isEmpty, index == 0 { found = ["last complete snapshot"] }
            if found.isEmpty, request.isScheduled, index < ForgetPlan.leastComplete {
                found = ["one of the newest \(ForgetPlan.leastComplete) complete ones"]
            }
            reasons[complete[index].id] = found
        }
        for snapshot in snapshots {
            if snapshot.isPartial {
                planPartial(snapshot, complete, policy, &group)
            } else if let found = reasons[snapshot.id], !found.isEmpty {
                group.kept.append(ForgetPlan.Entry(snapshot: snapshot, reasons: found))
            } else {
                group.going.append(
                    ForgetPlan.Entry(snapshot: snapshot, reasons: ["no rule keeps it"]))
            }
        }
    }

    /// A partial snapshot may hold the only copy of what its run read. It goes once a complete
    /// one that follows it was read back from every drive.
    private func planPartial(
        _ partial: Snapshot, _ complete: [Snapshot], _ policy: RetentionPolicy,
        _ group: inout ForgetPlan.Group
    ) {
        let later = complete.filter { ($0.time, $0.id) > (partial.time, partial.id) }
        let isTagged = policy.tags.contains { $0.allSatisfy(partial.tags.contains) }
        let reason: String
        if isTagged {
            reason = "partial, with a tag that is kept"
        } else if later.isEmpty {
            reason = "partial, and no complete one followed it"
        } else if let successor = later.first(where: { request.verified.contains($0.id) }) {
            reason = "partial, and \(successor.id.short) after it is verified on every drive"
            group.going.append(ForgetPlan.Entry(snapshot: partial, reasons: [reason]))
            return
        } else {
            reason = "partial, and no complete one after it is verified on every drive"
        }
        group.kept.append(ForgetPlan.Entry(snapshot: partial, reasons: [reason]))
    }

    /// Lets only the oldest quarter go; the rest waits for the next runs, which plan the same.
    private func postpone(_ group: inout ForgetPlan.Group) {
        let allowed = snapshots.count / ForgetPlan.share
        guard group.going.count > allowed else { return }
        let waiting = group.going.dropLast(allowed)
        group.postponed = waiting.count
        group.going.removeFirst(waiting.count)
        group.kept += waiting.map { entry in
            ForgetPlan.Entry(
                snapshot: entry.snapshot, reasons: ["at most a quarter goes in one unattended run"])
        }
        group.kept.sort {
            ($0.snapshot.time, $0.snapshot.id) > ($1.snapshot.time, $1.snapshot.id)
        }
    }
}
