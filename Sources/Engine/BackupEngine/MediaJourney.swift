internal import BackupCore

/// One capture that the engine drives: from a phone's folders to a snapshot.
///
/// ``run()`` is the whole way. An actor, so that the end of a cancelled run can be written by a
/// task of its own that is not cancelled, over the same state.
actor MediaJourney {
    /// How often a phone may go away with no file finished in between before the run ends.
    private static let lossesWithoutProgress = 5

    private let parts: CaptureParts
    private let link: PhoneLink
    private let meter: ReadMeter
    private var parents = ParentTrees()
    private var known: [StorageFacts] = []
    /// The attempt in hand, once its listing is whole.
    private var assembly: SnapshotAssembly?
    /// Whether what the attempt read before the phone went away is a parent already.
    private var assemblyIsKept = false
    private var plan: PhonePlan?
    /// The listing in hand, nil once it is whole.
    private var lister: PhoneLister?
    /// The question of the shrink guard, when it holds this run.
    private var question: String?
    private var losses: [EntryPath: Int] = [:]
    private var lossesInARow = 0
    private var spaceIsChecked = false
    private var result = CaptureResult()

    init(_ parts: CaptureParts, link: PhoneLink) {
        self.parts = parts
        self.link = link
        meter = ReadMeter(events: parts.services.events)
    }

    /// Waits for the phone, compares, reads, and writes the snapshot.
    func run() async -> CaptureResult {
        do throws(Interruption) {
            let storages = try await waitForPhone()
            try await saveAll(storages)
            try await commit(isPartial: question != nil)
            conclude()
        } catch {
            // What was read is kept also when the run is cancelled: writing it down must not be
            // cancelled with it. The task ends before this function does.
            await Task { await self.end(error) }.value
        }
        result.bytesRead = meter.bytesRead
        return result
    }

    private func waitForPhone() async throws(Interruption) -> [PhoneStorage] {
        let limit = parts.request.wait
        let clock = parts.services.clock
        let start = clock.elapsed()
        let storages: [PhoneStorage]
        do {
            storages = try await link.waitForStorages(of: parts.capture, limit: limit)
        } catch .phone(let error) where error.code == .gone {
            // Nothing had begun: the phone was not reached, which is a wait that ran out.
            throw .phone(DeviceError(.waitingForUser, error.detail))
        }
        try await loadParents()
        return try await settle(storages, limit: limit - (clock.elapsed() - start))
    }

    private func loadParents() async throws(Interruption) {
        let repository = parts.repository
        let snapshots = try await stored { () async throws(RepositoryError) in
            try await repository.snapshots()
        }
        parents = ParentTrees(
            of: parts.request.phone, capture: parts.capture, among: snapshots)
        for parent in parents.parents {
            let notes: SnapshotNotes?
            do {
                notes = try await SnapshotNotes.of(tree: parent.tree, in: repository)
            } catch {
                // Damaged notes cost a storage its old name at worst; no drive ends the run.
                guard [.damaged, .missing, .limitExceeded].contains(error.code) else {
                    throw Interruption(error)
                }
                notes = nil
            }
            for facts in notes?.storages ?? []
            where !known.contains(where: { $0.folder == facts.folder }) {
                known.append(facts)
            }
        }
    }

    /// A card may show some seconds after the main storage: one that is missed is waited for a
    /// little, so that unlocking the phone does not look like a card taken out.
    private func settle(
        _ storages: [PhoneStorage], limit: Duration
    ) async throws(Interruption) -> [PhoneStorage] {
        var current = storages
        var patience = min(limit, PhoneLink.pollInterval * 3)
        while patience > .zero, !naming.allAreThere(current) {
            await parts.services.clock.sleep(PhoneLink.pollInterval)
            patience -= PhoneLink.pollInterval
            current = try await link.waitForStorages(of: parts.capture, limit: patience)
        }
        return current
    }

    private var naming: StorageNaming {
        StorageNaming(known: known, names: NameMapping(hash: parts.services.hash))
    }

    /// Attempts until one reaches the end. Handles die with a session, so the phone is listed
    /// anew after it was away; what was read before is a parent then and is not read again.
    private func saveAll(_ storages: [PhoneStorage]) async throws(Interruption) {
        var storages = storages
        while true {
            do throws(Interruption) {
                return try await attempt(storages)
            } catch .phone(let error) where error.mayComeBack && !Task.isCancelled {
                try await keepWhatWasRead()
                try noteLoss(error)
                parts.notice("phone_lost", "\(error.whatHappened) Waiting for the phone.")
                let limit = min(parts.request.wait, PhoneLink.longestAbsence)
                storages = try await link.waitForStorages(
                    of: parts.capture, after: error, limit: limit)
                parts.notice("phone_back", "The phone is back; the backup goes on.")
            }
        }
    }

    private func attempt(_ storages: [PhoneStorage]) async throws(Interruption) {
        let media = try await link.media(parts.capture)
        let givenUp = Set(losses.filter { $0.value > 1 }.keys)
        let lister = PhoneLister(parts, media: media, givenUp: givenUp)
        self.lister = lister
        try await lister.list(naming.assign(storages), parents: parents.root)
        let plan = lister.plan
        self.plan = plan
        self.lister = nil
        question =
            parts.request.acceptsShrink ? nil : plan.shrink.question(parts.request.shrinkLimits)
        if let question { parts.notice("held", question) }
        try await checkSpace(plan)
        let assembly = SnapshotAssembly(
            parts, plan: plan, root: parents.root, media: media, meter: meter,
            keepsMissing: question != nil, givenUp: givenUp)
        self.assembly = assembly
        assemblyIsKept = false
        try await assembly.assemble()
    }

    private func checkSpace(_ plan: PhonePlan) async throws(Interruption) {
        guard !spaceIsChecked, plan.bytesNeeded > 0 else { return }
        spaceIsChecked = true
        let drives = await parts.services.driveSpace()
        let short = drives.filter { $0.freeBytes < plan.bytesNeeded }
        for drive in short {
            parts.notice(
                "drive_short",
                "Drive \(HostileText.escaped(drive.name)) has "
                    + "\(ByteCount.text(drive.freeBytes)) left and needs "
                    + "\(ByteCount.text(plan.bytesNeeded)): it may fall behind.")
        }
        if !drives.isEmpty, short.count == drives.count {
            throw .noRoom(needed: plan.bytesNeeded)
        }
    }

    /// Stores the tree of what was read and confirmed and makes it the first parent.
    private func keepWhatWasRead() async throws(Interruption) {
        guard let assembly, !assemblyIsKept else { return }
        assemblyIsKept = true
        if assembly.filesRead > 0 { lossesInARow = 0 }
        try await assembly.confirmRest()
        let builder = assembly.builder
        let tree = try await stored { () async throws(RepositoryError) in
            try await builder.finish()
        }
        parents.putFirst(interim: tree)
    }

    private func noteLoss(_ error: DeviceError) throws(Interruption) {
        let position = lister?.position ?? assembly?.position ?? .root
        losses[position, default: 0] += 1
        lossesInARow += 1
        lister = nil
        guard lossesInARow <= Self.lossesWithoutProgress else { throw .phone(error) }
    }
}

extension MediaJourney {
    /// Writes the snapshot of what is assembled.
    private func commit(isPartial: Bool) async throws(Interruption) {
        guard let assembly, let plan else { return }
        parts.services.events(
            .progress(
                RunProgress(phase: .saving, filesDone: meter.files.done, filesTotal: nil)))
        var skipped = plan.skipped
        skipped.add(assembly.skipped)
        let tree = try await tree(assembly, notes: notes(plan, assembly, skipped))
        let draft = SnapshotDraft.of(
            phone: parts.request.phone, capture: parts.capture, run: parts.request.run,
            partial: isPartial, tree: tree, parent: parents.base?.id,
            time: SnapshotTime.next(now: parts.services.clock.now(), after: parents.newestTime),
            utcOffsetSeconds: parts.services.clock.utcOffsetSeconds(),
            hostname: parts.request.hostname)
        let repository = parts.repository
        result.snapshot = try await stored { () async throws(RepositoryError) in
            try await repository.commit(draft)
        }
        result.files = assembly.files
        result.files.skipped += plan.skipped.count
        result.files.removed = isPartial ? 0 : plan.removedFiles
        result.skipped = skipped.reported
    }

    private func tree(
        _ assembly: SnapshotAssembly, notes: SnapshotNotes
    ) async throws(Interruption) -> ContentID {
        try await OwnFile.put(notes, newest: assembly.newest, into: assembly.builder)
        let builder = assembly.builder
        return try await stored { () async throws(RepositoryError) in
            try await builder.finish()
        }
    }

    private func notes(
        _ plan: PhonePlan, _ assembly: SnapshotAssembly, _ skipped: SkippedEntries
    ) -> SnapshotNotes {
        var notes = SnapshotNotes(
            link.attributes, family: parts.request.family, capture: parts.capture)
        notes.storages =
            plan.facts + known.filter { assembly.keptStorages.contains($0.folder) }
        notes.renamed = plan.renamed
        notes.skipped = skipped
        return notes
    }

    /// The outcomes of a run that reached its end.
    private func conclude() {
        if let question {
            result.add(
                .held,
                "\(question) What is new was saved and nothing was removed. If this is as you "
                    + "want it, run the backup again with --accept-shrink.")
        }
        result.concludeCopies()
        if plan?.parentIsDamaged == true {
            parts.notice(
                "parent_damaged", "A part of an earlier backup is damaged; it was read anew.")
        }
    }

    /// The end of a run that did not reach its own: a partial snapshot where there is one to be
    /// had, and the outcome.
    private func end(_ interruption: Interruption) async {
        switch interruption {
        case .cancelled:
            await endPartial(.interrupted, "The run was interrupted.")
        case .phone(let error) where error.mayComeBack:
            await endLost(error)
        case .phone(let error):
            switch error.code {
            case .protocolViolation, .limitExceeded:
                result.add(error.exitCode, error.explanation)
            default:
                await endPartial(error.exitCode, "\(error.whatHappened) \(error.whatToDo)")
            }
        case .repository(let error):
            result.add(error.exitCode, error.explanation)
        case .noRoom(let needed):
            result.add(
                .driveFull,
                "No drive has room for the \(ByteCount.text(needed)) to be saved. Nothing was "
                    + "written. Free some space or connect a larger drive.")
        }
    }

    private func endLost(_ error: DeviceError) async {
        let hadBegun = plan != nil || lossesInARow > 0
        switch error.code {
        case .waitingForUser:
            await endPartial(.waitingRanOut, "\(error.whatHappened) \(error.whatToDo)")
        default:
            let files = meter.files
            let progress = plan == nil ? "" : " after \(files.done) of \(files.total) files"
            await endPartial(
                hadBegun ? .partial : error.exitCode,
                "The connection to the phone ended\(progress): \(error.whatHappened) "
                    + error.whatToDo)
        }
    }

    /// Writes a partial snapshot when something was read or confirmed.
    private func endPartial(_ code: ExitCode, _ message: String) async {
        do throws(Interruption) {
            if let assembly { try await assembly.confirmRest() }
            guard let assembly, assembly.fileCount > 0 else {
                result.add(code, "\(message) Nothing new was saved.")
                return
            }
            try await commit(isPartial: true)
            result.add(
                code, "\(message) What was saved so far is kept; this backup is not complete.")
            if let question { result.add(.held, question) }
            result.concludeCopies()
        } catch {
            result.add(code, message)
            if case .repository(let failure) = error {
                result.add(failure.exitCode, failure.explanation)
            }
        }
    }
}

extension CaptureResult {
    /// The outcomes that the snapshot's copies and the skipped entries are.
    mutating func concludeCopies() {
        for receipt in snapshot?.copies ?? [] {
            guard case .behind(let error) = receipt.state else { continue }
            add(.notEveryDrive, "\(error.whatHappened) \(error.whatToDo)")
        }
        if files.skipped > 0 {
            add(
                .someUnreadable,
                "\(files.skipped) entries could not be read and are named in the report; what was "
                    + "saved of them before is kept.")
        }
    }
}

/// Our own file in a snapshot.
enum OwnFile {
    /// Puts the notes at the root, dated like the newest entry, so that it changes with them only.
    static func put(
        _ notes: SnapshotNotes, newest: Timestamp, into builder: TreeSnapshotBuilder
    ) async throws(Interruption) {
        do {
            _ = try await builder.put(
                source(of: notes.encoded()), at: SnapshotNotes.path, modified: newest)
        } catch {
            throw Interruption(error)
        }
    }

    private static func source(of bytes: [UInt8]) -> ByteSource<DeviceError> {
        let rest = RemainingBytes(bytes)
        return ByteSource(next: { () async throws(DeviceError) in rest.next() })
    }
}
