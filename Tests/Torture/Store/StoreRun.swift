import Appliance
import BackupCore
import BackupEngine
import Drives
import ResticFormat
import ResticRepository

/// What a run came to.
struct RunOutcome: Sendable {
    /// The drives on which it said that all is done.
    var done: Set<Int> = []
    var behind: [DriveID: BackendError] = [:]
    /// What ended it before its end.
    var error: String?

    var summary: String {
        let reasons = behind.values.map(\.whatHappened).sorted() + (error.map { [$0] } ?? [])
        return "done on \(done.sorted())" + reasons.map { "; \($0)" }.joined()
    }
}

/// One run of the box over the drives, put together as the appliance does it.
struct StoreRun: Sendable {
    let lab: Lab
    /// The drives that are there.
    var drives = Lab.drives

    struct Hold {
        var copies: [DriveBackend] = []
        var locks: [DriveID: RepositoryLock] = [:]
        var behind: [DriveID: BackendError] = [:]
        /// Files that are on their way out.
        var gone: Set<FileName> = []
        /// Locks of earlier runs.
        let swept: [ContentID]

        func release() async {
            for lock in locks.values { await lock.release() }
        }
    }

    // MARK: Runs

    /// Brings the drives up to date and stores `files` as a snapshot.
    func backup(_ files: TrialTree) async -> RunOutcome {
        await held(exclusive: false) { hold, outcome in
            await catchUp(&hold, exclusive: false)
            outcome.behind = hold.behind
            guard !hold.copies.isEmpty else { return outcome.error = "no drive is left" }
            let mirror = MirroredBackend(hold.copies, behind: hold.behind)
            do {
                try await store(files, in: RemainingFiles(mirror, without: hold.gone), &outcome)
            } catch {
                outcome.error = TrialReading.text(error)
            }
            outcome.behind = mirror.behind
            await writeJournal(hold.copies.filter { mirror.behind[$0.drive.id] == nil })
        }
    }

    /// Repairs the drives from each other.
    func heal() async -> RunOutcome {
        await held(exclusive: true) { hold, outcome in
            let report = await Heal(hold.copies, validConfig: lab.seed.judge).run()
            hold.behind.merge(report.behind) { first, _ in first }
            outcome.behind = hold.behind
            if !report.isWhole { outcome.error = "not all was healed: \(report.lost.count) lost" }
            outcome.done = Set(
                hold.copies.map { lab.number($0.drive.id) }.filter {
                    hold.behind[BoxSeed.drives[$0]] == nil && report.isWhole
                })
            for number in outcome.done {
                lab.note { state in
                    let rotten = state.drives[number].rotten
                    state.drives[number].snapshots.merge(rotten) { first, _ in first }
                    state.drives[number].rotten = [:]
                }
            }
        }
    }

    /// Adds the second key to every drive.
    func addKey() async -> RunOutcome {
        let key = lab.seed.newKey
        return await held(exclusive: false) { hold, outcome in
            for copy in hold.copies {
                do throws(BackendError) {
                    try await copy.addKey(key.id, key.bytes)
                    let number = lab.number(copy.drive.id)
                    lab.note { _ = $0.drives[number].keys.insert(key.id) }
                    outcome.done.insert(number)
                } catch {
                    outcome.behind[copy.drive.id] = error
                }
            }
        }
    }

    /// The runs that follow any trouble: an erasure that is pending; or a repair where a drive has
    /// rotted, a backup, and a prune before or after it where a snapshot was forgotten. Gives what
    /// is wrong with them.
    func recover(storing files: TrialTree, _ numbers: inout TrialNumbers) async -> [String] {
        var broken: [String] = []
        if lab.state.isErasing {
            let outcome = await erase()
            return outcome.done == Set(drives) ? [] : ["next erasure: \(outcome.summary)"]
        }
        if lab.state.isRotten {
            let outcome = await heal()
            if outcome.done != Set(drives) { broken.append("next heal: \(outcome.summary)") }
        }
        let prunes = lab.state.unusedPercent == nil
        let prunesFirst = prunes && numbers.chance(50)
        if prunesFirst { broken += await nextPrune() }
        let outcome = await backup(files)
        if outcome.done != Set(drives) { broken.append("next backup: \(outcome.summary)") }
        if prunes, !prunesFirst { broken += await nextPrune() }
        return broken
    }

    private func nextPrune() async -> [String] {
        let outcome = await prune()
        return outcome.done == Set(drives) ? [] : ["next prune: \(outcome.summary)"]
    }

    // MARK: Storing

    /// Packs are small, so that a few files make many of them.
    static let packByteCount = 16 << 10

    private func store(
        _ files: TrialTree, in mirror: RemainingFiles, _ outcome: inout RunOutcome
    ) async throws {
        var options = RepositoryOptions(.writing, clock: lab.clock)
        options.packByteCount = Self.packByteCount
        options.checkpointPackCount = 4
        options.workerCount = 1
        let repository = try await ResticSnapshotRepository.open(
            backend: mirror, masterKey: lab.seed.repository.masterKey, options: options)
        var request = BackupRequest(
            run: run, phone: TrialStore.phone, family: .android, owner: TrialStore.owner,
            hostname: "torture")
        request.acceptsShrink = true
        let report = await BackupRun(request, services: services, repository: repository)
            .run(TrialPhone(files))
        await repository.close()
        for committed in report.snapshots where !committed.snapshot.isPartial {
            for receipt in committed.copies where receipt.state.isDurable {
                let drive = lab.number(receipt.drive)
                lab.note { state in
                    state.drives[drive].snapshots[committed.snapshot.id] = files
                    state.oldest = state.oldest ?? committed.snapshot.id
                }
                outcome.done.insert(drive)
            }
        }
        if outcome.done.isEmpty {
            outcome.error = report.messages.joined(separator: " ")
        }
    }

    private var services: BackupServices {
        BackupServices(
            clock: lab.clock, hash: { ContentID.sha256(of: $0) }, driveSpace: { [] },
            reconnect: { () async throws(DeviceError) in
                throw DeviceError(.gone, "a trial's phone does not come back")
            },
            events: { _ in })
    }

    private var run: RunID { RunID(trusted: "run-\(lab.clock.now().seconds)") }

    /// A journal that cannot be written lacks a record; nothing else depends on it.
    private func writeJournal(_ copies: [DriveBackend]) async {
        for copy in copies {
            let drive = lab.number(copy.drive.id)
            do throws(BackendError) {
                let number = try await copy.drive.journal.append(
                    .run(
                        run, owner: TrialStore.owner, verdict: .safe, exitCode: .done, counts: []),
                    at: lab.clock.now())
                lab.note { $0.drives[drive].journal = number }
                let record = try await copy.drive.renew()
                lab.note { $0.drives[drive].generation = record.generation }
            } catch {
                continue
            }
        }
    }

    // MARK: Holding

    func held(
        exclusive: Bool, _ body: (inout Hold, inout RunOutcome) async -> Void
    ) async -> RunOutcome {
        lab.clock.turn()
        var outcome = RunOutcome()
        let swept = lab.state.locks
        var hold = Hold(swept: swept)
        for number in drives {
            do throws(BackendError) {
                let copy = try await open(number)
                hold.locks[copy.drive.id] = try await lock(
                    copy, swept: swept, exclusive: exclusive)
                hold.copies.append(copy)
                // Only now: what an earlier run left may not have been durable before.
                lab.note { state in
                    state.drives[number].isEnrolled = true
                    state.drives[number].isInitialised = true
                }
            } catch {
                hold.behind[BoxSeed.drives[number]] = error
            }
        }
        if drives == Lab.drives, hold.behind.isEmpty {
            lab.note { $0.locks.removeAll { swept.contains($0) } }
        }
        outcome.behind = hold.behind
        if hold.copies.isEmpty {
            outcome.error = "no drive is left"
        } else {
            await body(&hold, &outcome)
        }
        await hold.release()
        return outcome
    }

    /// Brings the drives together, by the appliance's own code.
    func catchUp(_ hold: inout Hold, exclusive: Bool) async {
        let swept = hold.swept
        let work = CaughtUp.Work(
            masterKey: lab.seed.repository.masterKey, validConfig: lab.seed.judge,
            isExclusive: exclusive, clock: lab.clock
        ) { copy, exclusive async throws(BackendError) in
            try await lock(copy, swept: swept, exclusive: exclusive)
        }
        let done = await work.run(hold.copies, locks: hold.locks)
        (hold.copies, hold.locks, hold.gone) = (done.copies, done.locks, done.gone)
        hold.behind.merge(done.behind) { first, _ in first }
    }

    private func open(_ number: Int) async throws(BackendError) -> DriveBackend {
        let drive = try await openDrive(number)
        let copy = drive.repository(TrialStore.owner)
        if try await !copy.isInitialised() {
            let new = lab.seed.repository
            try await copy.initialise(
                config: new.config, keys: new.keys.map { ($0.id, $0.bytes) })
        }
        return copy
    }

    func openDrive(_ number: Int) async throws(BackendError) -> Drive {
        let (path, id) = (lab.path(number), BoxSeed.drives[number])
        do throws(BackendError) {
            return try await Drive.open(path: path, expected: id, options: lab.options(number))
        } catch {
            guard error.code == .absent, !lab.state.drives[number].isEnrolled else { throw error }
            return try await Drive.enrol(
                path: path, set: TrialStore.set, drive: id, options: lab.options(number))
        }
    }

    private func lock(
        _ copy: DriveBackend, swept: [ContentID], exclusive: Bool
    ) async throws(BackendError) -> RepositoryLock {
        try await copy.sweep()
        _ = try await RepositoryLock.sweep(swept, on: copy)
        let lab = lab
        return try await RepositoryLock.acquire(
            on: copy, masterKey: lab.seed.repository.masterKey, exclusive: exclusive,
            host: .current(), clock: lab.clock, memory: ProcessLockMemory(clock: lab.clock),
            diary: LockDiary(
                willWrite: { id throws(BackendError) in lab.note { $0.locks.append(id) } },
                didRemove: { id in lab.note { $0.locks.removeAll { $0 == id } } }))
    }
}
