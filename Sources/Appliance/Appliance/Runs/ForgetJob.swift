import BackupCore
import Drives
import ResticFormat
import ResticRepository

/// One owner's plan, and what decided.
struct OwnerForgetPlan: Sendable {
    let owner: OwnerID
    let choice: ForgetRequest.Choice
    let plan: ForgetPlan
}

/// Makes the plans of a `forget` and carries them out, owner by owner.
struct ForgetJob: Sendable {
    let box: Box
    let roster: DriveRoster
    let options: ForgetOptions
    let policy: RetentionPolicy
    let events: RunEventSink

    // MARK: Planning

    /// The plans of all owners who are concerned, made without locks and without writing. An
    /// owner who cannot be read is told in `result` and hides no other.
    func plans(_ result: inout ForgetResult) async throws -> [OwnerForgetPlan] {
        var plans: [OwnerForgetPlan] = []
        for (owner, choice) in try await choices().sorted(by: { $0.key < $1.key }) {
            do {
                guard let reading = try await box.read(owner, on: roster) else { continue }
                let plan = try await plan(
                    choice, owner, in: reading.repository, copies: reading.copies)
                plans.append(OwnerForgetPlan(owner: owner, choice: choice, plan: plan))
            } catch {
                result.add(Outcome(error), owner: owner)
            }
        }
        return plans
    }

    /// What decides for each owner.
    private func choices() async throws -> [OwnerID: ForgetRequest.Choice] {
        var choices: [OwnerID: ForgetRequest.Choice] = [:]
        guard options.snapshots.isEmpty else {
            var named: [OwnerID: Set<ContentID>] = [:]
            for text in options.snapshots {
                let found = try await box.select(text, options.filter)
                named[found.reading.owner, default: []].insert(found.snapshot.id)
            }
            return named.mapValues { .named($0) }
        }
        for owner in try box.owners(options.filter.owner) {
            choices[owner.id] = .rules(
                policy, phone: options.filter.phone, capture: options.filter.capture)
        }
        return choices
    }

    private func plan(
        _ choice: ForgetRequest.Choice, _ owner: OwnerID,
        in repository: ResticSnapshotRepository, copies: [DriveBackend]
    ) async throws -> ForgetPlan {
        let snapshots = try await repository.snapshots()
        var request = ForgetRequest(choice, now: box.clock.now())
        request.isScheduled = options.mode == .scheduled
        let listing = try await SnapshotListing(copies, owner: owner)
        request.missing = listing.missing
        request.verified = verified(on: copies, owner, listing)
        return ForgetPlan(request, snapshots)
    }

    /// The snapshots that every drive that is there holds and gave back whole.
    private func verified(
        on copies: [DriveBackend], _ owner: OwnerID, _ listing: SnapshotListing
    ) -> Set<ContentID> {
        let known = box.verifiedSnapshots(of: owner, on: roster)
        let sets = copies.map { copy in
            listing.snapshots(on: copy.drive.id).intersection(known[copy.drive.id] ?? [])
        }
        guard sets.count > 1, let first = sets.first else { return [] }
        return sets.reduce(first) { $0.intersection($1) }
    }

    // MARK: Carrying out

    /// Carries a plan out under exclusive locks; how it went is told in `result`.
    func carryOut(_ shown: OwnerForgetPlan, _ result: inout ForgetResult) async {
        let owner = shown.owner
        do {
            let wait = Duration.seconds(options.waitSeconds ?? box.configuration.waitSeconds)
            let hold = try await box.hold(
                owner, for: .retention, on: roster, wait: wait, events: events)
            do {
                try await carryOut(shown, hold, &result)
            } catch {
                result.add(Outcome(error), owner: owner)
            }
            await hold.release()
        } catch {
            result.add(Outcome(error), owner: owner)
        }
    }

    private func carryOut(
        _ shown: OwnerForgetPlan, _ hold: OwnerHold, _ result: inout ForgetResult
    ) async throws {
        try refuseFewDrives(hold)
        let repository = try await ResticSnapshotRepository.open(
            backend: MirroredBackend(hold.copies, behind: hold.behind), masterKey: hold.key,
            options: RepositoryOptions(.reading, clock: box.clock))
        let plan = try await plan(
            shown.choice, hold.owner, in: repository, copies: hold.copies)
        if options.mode == .scheduled {
            // Nobody saw the first one; the drives were caught up since.
            guard !result.refuse(plan) else { return }
            result.plans[hold.owner] = plan
        } else if Set(plan.going) != Set(shown.plan.going) {
            throw ApplianceError(
                .busy, "The snapshots of \(hold.owner) changed after the plan was shown.",
                whatToDo: "Run it again, and look at the new plan.")
        }
        guard !plan.going.isEmpty else { return }
        try await proveKept(plan.kept, hold)
        try Task.checkCancellation()
        try await remove(plan.going, hold, &result)
    }

    /// A snapshot never goes from the last drive that could give it back.
    private func refuseFewDrives(_ hold: OwnerHold) throws {
        let failed = hold.behind.filter { $0.value.code != .absent }
        if hold.copies.count < 2 || options.mode == .scheduled && !failed.isEmpty {
            guard !hold.behind.isEmpty else {
                throw ApplianceError(
                    .configuration, "Snapshots are never forgotten on a single drive.",
                    whatToDo: "Enrol a second one with holdfast setup --drive DIR.")
            }
            throw DriveRoster.worst(failed.isEmpty ? hold.behind : failed)
        }
    }

    /// What stays must be whole on every drive before anything goes from one: all folders are
    /// read, and the packs of all files must be there with their sizes.
    private func proveKept(_ kept: [Snapshot], _ hold: OwnerHold) async throws {
        let ids = Set(kept.map(\.id))
        var damaged: [DriveID] = []
        for (index, copy) in hold.copies.enumerated() {
            events(
                .progress(
                    RunProgress(
                        phase: .checking, filesDone: index, filesTotal: hold.copies.count)))
            let present = Set(try await copy.list(.snapshot).map(\.name.id))
            let report = try await StructureCheck(
                backend: copy, masterKey: hold.key, only: ids
            ).run()
            try Task.checkCancellation()
            if !ids.isSubset(of: present) || report.findings.contains(where: \.isLoss) {
                damaged.append(copy.drive.id)
            }
        }
        guard let first = damaged.first else { return }
        throw BackendError(
            .damaged, "a snapshot that is kept is not whole on it", drive: first)
    }

    private func remove(
        _ going: [Snapshot], _ hold: OwnerHold, _ result: inout ForgetResult
    ) async throws {
        let files = going.map { FileName(.snapshot, $0.id) }.sorted()
        let now = box.clock.now()
        var done: [Drive] = []
        // Every drive knows of it before anything goes from one: whichever comes back alone
        // after a crash, what was to go goes.
        for copy in hold.copies { try await copy.bury(files, at: now) }
        for copy in hold.copies {
            do throws(BackendError) {
                guard await hold.isConfirmed(copy.drive.id) else {
                    throw BackendError(
                        .locked, "its lock was taken away or could not be kept fresh",
                        drive: copy.drive.id)
                }
                try await copy.retire(files, at: now)
            } catch {
                // The other drives keep theirs until this one is well; then they follow.
                await box.renew(done)
                guard !done.isEmpty else { throw error }
                result.forgotten += going.count
                result.add(behind: [copy.drive.id: error])
                return
            }
            done.append(copy.drive)
        }
        await box.renew(done)
        result.forgotten += going.count
        result.add(behind: hold.behind)
    }
}

extension Finding {
    /// Whether something of a snapshot cannot be read.
    fileprivate var isLoss: Bool {
        switch self {
        case .lostBlob: true
        case .damaged(let file, _), .missing(let file):
            file.kind == .snapshot || file.kind == .config
        case .note: false
        }
    }
}
