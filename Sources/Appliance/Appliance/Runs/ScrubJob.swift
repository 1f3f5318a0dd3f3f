package import BackupCore
package import ControlAPI
import Drives
import Logging

/// How much a scrub reads.
package struct ScrubOptions: Sendable {
    /// Ends it after this time; nil for no limit.
    package var minutes: Int?
    /// Reads this share of each drive's bytes, 1 to 100, instead of what is due.
    package var percent: Int?

    /// A scrub of what is due.
    package init(minutes: Int? = nil, percent: Int? = nil) {
        self.minutes = minutes
        self.percent = percent
    }
}

extension Box {
    /// Every file is read back within this many days.
    static let scrubDays: Int64 = 30
    /// After this many days without it a person is told.
    static let scrubWarningDays: Int64 = 35

    /// Reads files back from the media, as many as are due, and compares their hashes with their
    /// names: a rolling look that needs no key, holds up nobody, and goes on where the last one
    /// ended. What it finds is remembered until it is repaired.
    package func scrub(
        _ filter: QueryFilter, _ options: ScrubOptions, events: @escaping RunEventSink
    ) async -> RunSummary {
        let run = newRun()
        let started = clock.now()
        let start = clock.elapsed()
        var total = AuditResult()
        var known: DriveRoster?
        do {
            let lock = try await BoxLock.acquire(
                "scrub", in: lockFolder, what: "a scrub of the drives", wait: .zero, clock: clock)
            defer { lock.release() }
            let roster = try await roster()
            known = roster
            _ = try roster.required()
            try refuseUnknown(filter, roster)
            let job = ScrubJob(
                box: self, filter: filter, options: options, roster: roster, run: run,
                deadline: options.minutes.map { start + .seconds(60 * $0) }, events: events)
            total = try await job.run()
            for slot in roster.slots where filter.drive == nil || filter.drive == slot.entry.id {
                if let problem = slot.problem { total.add(missing: slot.entry, problem) }
            }
        } catch {
            total.add(failure: Outcome(error), owner: nil)
        }
        if Task.isCancelled { total.outcomes.insert(.interrupted) }
        var summary = total.summary(.scrub, run)
        if let known { summary.message = known.named(summary.message) }
        summary.duration = clock.elapsed() - start
        record(
            Catalog.RunFacts(
                id: run, kind: "scrub", owner: filter.owner, phone: nil, started: started,
                seconds: summary.duration.roundedSeconds, exitCode: summary.exitCode), summary)
        return summary
    }
}

/// One scrub: a look at what lies on the drives, then each drive's due files.
struct ScrubJob: Sendable {
    let box: Box
    let filter: QueryFilter
    let options: ScrubOptions
    let roster: DriveRoster
    let run: RunID
    /// On the box's elapsed clock; nil for none.
    let deadline: Duration?
    let events: RunEventSink

    /// An owner's copies and what was seen of them.
    private struct Owner: Sendable {
        let id: OwnerID
        let copies: [DriveBackend]
        let config: [UInt8]
        let audit: CopyAuditReport

        var judge: ConfigJudge {
            let config = config
            return { $0 == config }
        }
    }

    func run() async throws -> AuditResult {
        var result = AuditResult()
        let owners = try await lookAtOwners()
        let drives = roster.present.filter { filter.drive == nil || $0.id == filter.drive }
        let plans = drives.map { drive in (drive, plan(for: drive, owners)) }
        let meter = ScrubMeter(
            files: plans.reduce(0) { $0 + $1.1.count },
            bytes: plans.reduce(0) { $0 + $1.1.reduce(0) { $0 + $1.byteCount } }, events)
        await withTaskGroup(of: (DriveID, Reading).self) { group in
            for (drive, files) in plans {
                group.addTask { (drive.id, await read(files, of: drive, owners, meter)) }
            }
            for await (drive, reading) in group {
                switch reading {
                case .done: box.catalog.remember(scrubbed: box.clock.now(), of: drive)
                case .cutShort: break
                case .failed(let error): result.add(behind: [drive: error])
                }
            }
        }
        result.add(read: meter.counts)
        for owner in owners { await conclude(owner, drives.map(\.id), &result) }
        return result
    }

    // MARK: What there is

    private func lookAtOwners() async throws -> [Owner] {
        var found: [Owner] = []
        for owner in try box.owners(filter.owner) {
            guard let owner = try await look(at: owner.id) else { break }
            found.append(owner)
        }
        return found
    }

    /// Lists an owner's copies under the owner's lock, which is held for this moment only; nil
    /// when the time was up before a run gave it back.
    private func look(at owner: OwnerID) async throws -> Owner? {
        let left = deadline.map { max(.zero, $0 - box.clock.elapsed()) } ?? .seconds(604_800)
        let lock: BoxLock
        do {
            lock = try await BoxLock.acquire(
                "owner-\(owner)", in: box.lockFolder, what: "the backups of \(owner)", wait: left,
                clock: box.clock, onWait: tellPause)
        } catch {
            guard deadline != nil, error.code == .busy else { throw error }
            return nil
        }
        defer { lock.release() }
        var copies: [DriveBackend] = []
        for drive in roster.present {
            let copy = drive.repository(owner)
            // A drive that fails here is told by the look below, or has nothing of the owner.
            if (try? await copy.isInitialised()) != false { copies.append(copy) }
        }
        // The box's own copy tells a good config without a key.
        let config = try box.store.seed(of: owner)?.config ?? []
        let audit = await CopyAudit(copies, validConfig: { config.isEmpty || $0 == config }).run(
            readData: false)
        box.track(audit, of: owner, at: box.clock.now())
        return Owner(id: owner, copies: copies, config: config, audit: audit)
    }

    // MARK: What is due

    private struct Due: Sendable {
        let owner: OwnerID
        let file: FileName
        let byteCount: UInt64
    }

    /// The files of a drive that are to be read now, in order: known damage, then what was never
    /// read back, then what was read back longest ago.
    private func plan(for drive: Drive, _ owners: [Owner]) -> [Due] {
        var candidates: [(due: Due, verified: Timestamp?)] = []
        for owner in owners {
            guard let look = owner.audit.looks[drive.id] else { continue }
            for (file, verified) in box.catalog.filesByNeed(on: Catalog.Copy(drive.id, owner.id)) {
                // Without the box's own copy nobody can tell a good config.
                guard let size = look.sizes[file], file != .config || !owner.config.isEmpty
                else { continue }
                candidates.append((Due(owner: owner.id, file: file, byteCount: size), verified))
            }
        }
        let ordered = candidates.enumerated().sorted { left, right in
            let (a, b) = (left.element.verified, right.element.verified)
            if a == b { return left.offset < right.offset }
            guard let a else { return true }
            guard let b else { return false }
            return a < b
        }.map(\.element)
        return ScrubShare(
            total: candidates.reduce(0) { $0 + $1.due.byteCount }, options: options,
            last: box.catalog.lastScrub(of: drive.id), now: box.clock.now()
        ).choose(ordered.map { ($0.due, $0.due.byteCount, $0.verified) })
    }

    // MARK: Reading

    /// How the reading of a drive's due files ended.
    private enum Reading: Sendable {
        case done
        /// The time was up, or the task was cancelled.
        case cutShort
        case failed(BackendError)
    }

    /// Reads files of one drive.
    private func read(
        _ files: [Due], of drive: Drive, _ owners: [Owner], _ meter: ScrubMeter
    ) async -> Reading {
        var rest = files[...]
        while let first = rest.first {
            // Each owner's files that follow each other go together.
            let group = rest.prefix { $0.owner == first.owner }
            rest = rest.dropFirst(group.count)
            guard let owner = owners.first(where: { $0.id == first.owner }),
                let copy = owner.copies.first(where: { $0.drive.id == drive.id })
            else { continue }
            copy.readIdly()
            let place = Catalog.Copy(drive.id, owner.id)
            var batch = ReadBackBatch(place: place, box: box)
            var readCount = 0
            var failure: BackendError?
            await copy.readBack(
                group.map(\.file), validConfig: owner.judge, mayRead: { await mayRead() },
                found: { file, result, byteCount in
                    readCount += 1
                    if case .failed(let error) = result { failure = error }
                    batch.add(file, result)
                    meter.add(byteCount)
                })
            batch.write()
            if let failure { return .failed(failure) }
            guard readCount == group.count else { return .cutShort }
        }
        return .done
    }

    /// Waits while any run of this box is at work on an owner's repository: it reads and writes
    /// the same drives. False when the time is up.
    private func mayRead() async -> Bool {
        var hasPaused = false
        while !Task.isCancelled {
            if let deadline, box.clock.elapsed() >= deadline { return false }
            guard isAnyOwnerBusy else { return true }
            if !hasPaused { tellPause() }
            hasPaused = true
            await box.clock.sleep(.milliseconds(500))
        }
        return false
    }

    private var isAnyOwnerBusy: Bool {
        // Owners that cannot be listed are none that a run works for.
        let owners = (try? box.store.owners().map(\.id)) ?? []
        return owners.contains { BoxLock.isHeld("owner-\($0)", in: box.lockFolder) }
    }

    private func tellPause() {
        events(
            .notice(
                RunNotice(
                    code: "scrub_paused",
                    message: "A run is at work; the scrub waits until it is done.")))
    }

    // MARK: The end

    /// Adds what is known to be damaged, found now or before, and tells the journals.
    private func conclude(
        _ owner: Owner, _ drives: [DriveID], _ result: inout AuditResult
    ) async {
        let problems = owner.audit.looks.keys.reduce(into: [:]) { problems, drive in
            problems[drive] = box.catalog.problems(on: Catalog.Copy(drive, owner.id))
        }
        var findings: [CopyFinding] = []
        for drive in drives {
            for (file, problem) in (problems[drive] ?? [:]).sorted(by: { $0.key < $1.key }) {
                let isGoodElsewhere = owner.audit.looks.contains { other, look in
                    other != drive && look.sizes[file] != nil && problems[other]?[file] == nil
                }
                let isInBox = file == .config && !owner.config.isEmpty
                findings.append(
                    CopyFinding(
                        drive: drive, file: file, problem: problem,
                        hasGoodCopy: isGoodElsewhere || isInBox))
            }
        }
        result.add(findings)
        result.add(behind: owner.audit.behind.filter { roster.problems[$0.key] == nil })
        for copy in owner.copies where drives.contains(copy.drive.id) {
            guard let standing = box.catalog.standing(of: Catalog.Copy(copy.drive.id, owner.id))
            else { continue }
            let own = findings.filter { $0.drive == copy.drive.id }
            let record = JournalRecord.audit(
                .scrub, run: run, owner: owner.id, files: standing.fileCount, damaged: own.count,
                repaired: 0, lost: own.count { !$0.hasGoodCopy },
                readData: standing.unverifiedCount == 0)
            // A drive that takes no record (read-only) was still looked at.
            _ = try? await copy.drive.journal.append(record, at: box.clock.now())
        }
    }
}
