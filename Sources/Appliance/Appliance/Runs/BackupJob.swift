package import BackupCore
import BackupEngine
package import ControlAPI
import Drives
import Logging
import ResticFormat
import ResticRepository

/// What a backup is told on the command line or by an agent.
package struct BackupOptions: Sendable {
    package var choice: PhoneChoice
    /// Only this capture; nil for all.
    package var capture: Capture?
    /// Seconds for each wait for a person; nil for the configuration's.
    package var waitSeconds: Int?
    /// Reads unchanged files too.
    package var rereads = false
    /// What is gone was meant to go.
    package var acceptsShrink = false
    /// Reads back what was written, on every drive, once the phone is not needed any more.
    package var verifies = false
    /// What becomes of a phone that does not encrypt the backups that it makes itself.
    package var encryption = EncryptionOffer.leave

    /// A backup of the phones that are chosen.
    package init(_ choice: PhoneChoice) { self.choice = choice }
}

extension Box {
    /// Backs up the chosen phones, one after the other, and sums up. It never fails: what went
    /// wrong is in the summary. A cancelled task ends with partial snapshots.
    package func backup(
        _ options: BackupOptions, events: @escaping RunEventSink
    ) async -> RunSummary {
        let started = clock.elapsed()
        let wait = Duration.seconds(options.waitSeconds ?? configuration.waitSeconds)
        var parts: [(phone: String?, summary: RunSummary)] = []
        var phones = PhoneWait(self, for: options.choice, wait: wait, events: events)
        do {
            let roster = try await roster()
            _ = try roster.required()
            await finishPending(on: roster, events: events)
            while let phone = try await phones.next() {
                let job = BackupJob(
                    box: self, options: options, wait: wait, roster: roster, phone: phone,
                    events: events)
                let name = HostileText.escaped(phone.attributes.name, limit: 80)
                parts.append((name, await job.run()))
                if Task.isCancelled { break }
            }
        } catch {
            parts.append((nil, RunSummary(failed: error)))
        }
        parts += phones.failures.map { ($0.name, $0.summary) }
        if parts.count > 1 {
            for index in parts.indices {
                guard let name = parts[index].phone else { continue }
                parts[index].summary.message = "\(name): \(parts[index].summary.message)"
            }
        }
        var summary = RunSummary.joined(parts.map(\.summary))
        summary.duration = clock.elapsed() - started
        return summary
    }
}

/// The backup of one opened phone, from its owner to the journal.
struct BackupJob: Sendable {
    let box: Box
    let options: BackupOptions
    let wait: Duration
    let roster: DriveRoster
    let phone: OpenedPhone
    let events: RunEventSink
    let run: RunID
    let board: BayBoard

    init(
        box: Box, options: BackupOptions, wait: Duration, roster: DriveRoster,
        phone: OpenedPhone, events: @escaping RunEventSink
    ) {
        self.box = box
        self.options = options
        self.wait = wait
        self.roster = roster
        self.phone = phone
        run = box.newRun()
        let board = BayBoard(
            store: box.store, bay: phone.detected.bay, phone: phone.id, run: run,
            clock: box.clock)
        self.board = board
        self.events = { event in
            board.follow(event)
            events(event)
        }
    }

    /// Runs it. The session is closed and the bay given back when it returns.
    func run() async -> RunSummary {
        board.post(.check, "Preparing the backup.")
        let started = box.clock.now()
        let start = box.clock.elapsed()
        var summary: RunSummary
        do {
            let owner = try await owner()
            let hold = try await box.hold(
                owner, for: .backup, on: roster, wait: wait, events: events)
            summary = await backUp(owner, hold)
            if options.verifies {
                await phone.close()
                await readBack(hold, owner, &summary)
            }
            await hold.release()
        } catch {
            summary = RunSummary(failed: error)
        }
        await phone.close()
        summary.duration = box.clock.elapsed() - start
        box.record(
            Catalog.RunFacts(
                id: run, kind: "backup", owner: summary.snapshots.first?.owner, phone: phone.id,
                started: started, seconds: summary.duration.roundedSeconds,
                exitCode: summary.exitCode), summary)
        board.finish(summary)
        return summary
    }

    // MARK: The owner

    private func owner() async throws -> OwnerID {
        let known = try await knownOwner()
        let owner: OwnerID
        if let known {
            owner = known
        } else {
            owner = try await box.makeOwner().id
            events(
                .notice(
                    RunNotice(
                        code: "owner_made",
                        message: "This phone is new: its owner is \(owner). Print the recovery "
                            + "words with: holdfast key sheet --owner \(owner)")))
        }
        let attributes = phone.attributes
        try box.store.remember(
            PhoneRecord(
                id: phone.id, owner: owner, family: phone.family.family, name: attributes.name,
                model: attributes.model, osVersion: attributes.osVersion,
                lastSeen: box.clock.now()))
        return owner
    }

    private func knownOwner() async throws -> OwnerID? {
        let owners = try box.store.owners().map(\.id)
        if let owner = try box.store.phone(phone.id)?.owner {
            if owners.contains(owner) { return owner }
            try await box.refuseLost(owner, on: roster)
        }
        // The box's own record is lost: the drives know whose phone it is.
        for owner in owners {
            guard let reading = try await box.read(owner, on: roster) else { continue }
            let snapshots = try await reading.repository.snapshots()
            if snapshots.contains(where: { $0.phone == phone.id }) { return owner }
        }
        for stranger in try await box.unknownOwners(on: roster) {
            events(
                .notice(RunNotice(code: "owner_unknown", message: Box.unknownOwner(stranger))))
        }
        return nil
    }

    // MARK: The run

    private func backUp(_ owner: OwnerID, _ hold: OwnerHold) async -> RunSummary {
        let mirror = MirroredBackend(hold.copies, behind: hold.behind)
        var options = RepositoryOptions(.writing, clock: box.clock)
        options.willPublish = { Self.drop(await hold.unconfirmed(), from: mirror) }
        options.checkpointInterval = .seconds(box.configuration.checkpointSeconds)
        let repository: ResticSnapshotRepository
        do {
            repository = try await ResticSnapshotRepository.open(
                backend: RemainingFiles(mirror, without: hold.gone), masterKey: hold.key,
                options: options)
        } catch {
            return RunSummary(failed: error)
        }
        let report = await BackupRun(
            request(owner), services: services(hold, mirror), repository: repository
        ).run(phone.session)
        var outcomes = report.outcomes
        if roster.enrolled.count < 2, outcomes == [.done] { outcomes = [.notEveryDrive] }
        var summary = RunSummary(
            verdict: report.verdict(enrolledDrives: roster.enrolled.count), outcomes: outcomes,
            message: message(report, outcomes))
        summary.files = report.files
        summary.bytesRead = report.bytesRead
        summary.bytesAdded = report.statistics.addedBytes
        summary.bytesStored = report.statistics.storedBytes
        // Of a run that saved nothing there is no copy; only why a drive could have none.
        summary.copies = await mirror.receipts()
            .filter { !report.snapshots.isEmpty || !$0.state.isDurable }
            .map(CopyDocument.init)
        for committed in report.snapshots {
            summary.snapshots.append(
                await document(committed, owner, exitCode: summary.exitCode, in: repository))
        }
        summary.details = details(report)
        await tellEncryption(report, owner, repository)
        await repository.close()
        await writeJournal(report, summary, owner, mirror)
        return summary
    }

    private func request(_ owner: OwnerID) -> BackupRequest {
        var request = BackupRequest(
            run: run, phone: phone.id, family: phone.family.family, owner: owner,
            hostname: box.configuration.hostname)
        request.capture = options.capture
        request.wait = wait
        request.readsAll = options.rereads
        request.checkpointInterval = .seconds(box.configuration.checkpointSeconds)
        request.acceptsShrink = options.acceptsShrink
        let limits = box.configuration.shrink
        request.shrinkLimits = ShrinkLimits(
            percent: limits.percent, leastFiles: limits.minimumFiles)
        return request
    }

    private func services(_ hold: OwnerHold, _ mirror: MirroredBackend) -> BackupServices {
        let (box, phone, roster) = (box, phone, roster)
        var services = BackupServices(
            clock: box.clock, hash: { ContentID.sha256(of: $0) },
            driveSpace: {
                var spaces: [BackupEngine.DriveSpace] = []
                for copy in hold.copies where mirror.behind[copy.drive.id] == nil {
                    spaces.append(
                        BackupEngine.DriveSpace(
                            drive: copy.drive.id, name: roster.name(of: copy.drive.id),
                            freeBytes: await copy.freeBytes()))
                }
                return spaces
            },
            reconnect: { () async throws(DeviceError) in try await box.reconnect(phone) },
            events: events)
        services.readList = ReadListFile(
            box.store, owner: hold.owner, phone: phone.id, run: run, key: hold.key, log: box.log,
            events: events)
        let (offer, events) = (options.encryption, events)
        services.prepare = { beginning throws(SaveError) in
            try await box.offerEncryption(
                offer, of: phone, hold.owner, beginning, events: events)
        }
        return services
    }

    /// A drive on which our lock is gone must get nothing that refers to what others may have
    /// removed there meanwhile.
    private static func drop(_ drives: [DriveID], from mirror: MirroredBackend) {
        for drive in drives {
            mirror.drop(
                drive,
                because: BackendError(
                    .locked, "its lock was taken away or could not be kept fresh", drive: drive))
        }
    }

    /// Tries the kept password on a phone's own backup, and says what its owner should know.
    private func tellEncryption(
        _ report: BackupReport, _ owner: OwnerID, _ repository: ResticSnapshotRepository
    ) async {
        for committed in report.snapshots where committed.snapshot.capture == .backup {
            // What cannot be looked at now is told by key phone when somebody asks.
            guard
                let notice = try? await box.encryptionNotice(
                    of: committed.snapshot, owner, in: repository)
            else { continue }
            events(.notice(notice))
        }
    }

    // MARK: The end

    private func message(_ report: BackupReport, _ outcomes: Set<ExitCode>) -> String {
        var sentences = report.messages
        if roster.enrolled.count < 2 {
            sentences.append(
                "Only one drive is enrolled: there is no second copy. Add one with holdfast "
                    + "setup --drive DIR.")
        }
        return roster.named(sentences.joined(separator: " "))
    }

    private func details(_ report: BackupReport) -> [JSONValue.Member] {
        let skipped = report.skipped.prefix(1000).map { entry in
            JSONValue.members([
                "path": .string(entry.path.description), "reason": .string(entry.reason),
            ])
        }
        return [
            .init("run", .string(run.rawValue)), .init("phone", .string(phone.id.rawValue)),
            .init("skipped", .array(skipped)),
            .init("only_in_cloud", report.onlyInCloud.map(JSONValue.unsigned) ?? .null),
        ]
    }

    private func document(
        _ committed: CommittedSnapshot, _ owner: OwnerID, exitCode: ExitCode,
        in repository: ResticSnapshotRepository
    ) async -> SnapshotDocument {
        let snapshot = committed.snapshot
        // Counts that cannot be had now are counted when somebody asks for them.
        let facts = try? await box.countFacts(of: snapshot, in: repository)
        let copies = committed.copies.map(CopyDocument.init)
        box.catalog.remember(copies, of: snapshot.id)
        return SnapshotDocument(
            id: snapshot.id, time: snapshot.time,
            utcOffsetSeconds: snapshot.draft.utcOffsetSeconds, owner: owner,
            phone: snapshot.phone, phoneName: phone.attributes.name, capture: snapshot.capture,
            isComplete: !snapshot.isPartial
                && [.done, .notEveryDrive, .someUnreadable].contains(exitCode),
            files: facts?.files, bytes: facts?.bytes, copies: copies)
    }

    /// Tells each drive's journal; a drive that cannot take it falls behind by that record only.
    private func writeJournal(
        _ report: BackupReport, _ summary: RunSummary, _ owner: OwnerID, _ mirror: MirroredBackend
    ) async {
        let behind = mirror.behind
        let copies = mirror.copies.filter { behind[$0.drive.id] == nil }
        await box.trackFiles(on: copies, of: owner)
        let drives = copies.map(\.drive)
        let now = box.clock.now()
        var records: [JournalRecord] = []
        for snapshot in summary.snapshots {
            guard let phone = snapshot.phone, let capture = snapshot.capture else { continue }
            records.append(
                .committed(
                    owner: owner, snapshot: snapshot.id, phone: phone, capture: capture,
                    run: run, isComplete: snapshot.isComplete))
        }
        records.append(
            .run(
                run, owner: owner, verdict: summary.verdict, exitCode: summary.exitCode,
                counts: counts(summary)))
        for drive in drives {
            do throws(BackendError) {
                for record in records { try await drive.journal.append(record, at: now) }
            } catch {
                box.log.warning(
                    "journal not written",
                    metadata: ["drive": "\(drive.id)", "code": "\(error.code.rawValue)"])
            }
        }
        await box.renew(drives)
    }

    private func counts(_ summary: RunSummary) -> [(name: StaticString, count: UInt64)] {
        var counts: [(name: StaticString, count: UInt64)] = [
            ("files_new", UInt64(summary.files.new)),
            ("files_changed", UInt64(summary.files.changed)),
            ("files_unchanged", UInt64(summary.files.unchanged)),
            ("files_removed", UInt64(summary.files.removed)),
            ("files_skipped", UInt64(summary.files.skipped)), ("bytes_read", summary.bytesRead),
            ("bytes_added", summary.bytesAdded), ("bytes_stored", summary.bytesStored),
        ]
        if summary.snapshots.count == 1, let snapshot = summary.snapshots.first,
            let files = snapshot.files, let bytes = snapshot.bytes
        {
            counts += [("snapshot_files", UInt64(files)), ("snapshot_bytes", bytes)]
        }
        return counts
    }
}
