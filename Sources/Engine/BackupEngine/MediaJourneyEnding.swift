internal import BackupCore

/// How a capture ends: the snapshot, the outcomes and their sentences.
extension MediaJourney {
    /// Writes the snapshot of what is assembled.
    func commit(isPartial: Bool) async throws(Interruption) {
        guard let assembly, let plan else { return }
        parts.services.events(
            .progress(
                RunProgress(phase: .saving, filesDone: meter.files.done, filesTotal: nil)))
        var skipped = plan.skipped
        skipped.add(assembly.skipped)
        var notes = notes(plan, assembly, skipped)
        notes.onlyInCloud = await onlyInCloud(plan, asks: assembly.hasPhone)
        let tree = try await tree(assembly, notes: notes)
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
        await parts.services.readList?.forget(parts.capture)
        result.files = assembly.files
        result.files.skipped += plan.skipped.count
        result.files.removed = isPartial ? 0 : plan.removedFiles
        result.skipped = skipped.reported
        result.onlyInCloud = notes.onlyInCloud
    }

    /// How many photos are only in the cloud. While nothing on the phone has changed the number
    /// is the one from before, and the phone need not be asked; nor can it be once it is gone.
    private func onlyInCloud(_ plan: PhonePlan, asks: Bool) async -> UInt64? {
        guard asks, plan.filesToRead > 0 || knownOnlyInCloud == nil else {
            return knownOnlyInCloud
        }
        do throws(DeviceError) {
            guard case .pulled(let media)? = await link.session.source(of: parts.capture) else {
                return knownOnlyInCloud
            }
            return try await media.onlyInCloud() ?? knownOnlyInCloud
        } catch {
            // What is saved is whole without the number; the phone's next capture needs a session.
            await link.renew(after: error)
            return knownOnlyInCloud
        }
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

    /// The notes of what is being read, for the case that no snapshot comes of it.
    func notes(_ plan: PhonePlan) -> SnapshotNotes {
        var notes = SnapshotNotes(
            link.attributes, family: parts.request.family, capture: parts.capture)
        let here = Set(plan.facts.map(\.folder))
        notes.storages = plan.facts + known.filter { !here.contains($0.folder) }
        notes.renamed = plan.renamed
        return notes
    }

    /// The outcomes of a run that reached its end.
    func conclude() {
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
    func end(_ interruption: Interruption) async {
        switch interruption {
        case .cancelled:
            await endPartial(.interrupted, "The run was interrupted.")
        case .phone(let error) where error.mayComeBack:
            await endLost(error)
        case .phone(let error):
            switch error.code {
            case .protocolViolation, .limitExceeded:
                // Nothing of a phone that breaks the rules becomes a snapshot, now or later.
                await parts.services.readList?.forget(parts.capture)
                result.add(error.exitCode, error.explanation)
            default:
                // One entry's failure that reaches here was the whole phone's.
                let code = error.concernsOneEntry ? .phone : error.exitCode
                await endPartial(code, "\(error.whatHappened) \(error.whatToDo)")
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
        switch error.code {
        case .waitingForUser:
            await endPartial(.waitingRanOut, "\(error.whatHappened) \(error.whatToDo)")
        case .gone where !hasBegun:
            // Never reached: a wait that ran out.
            await endPartial(.waitingRanOut, "\(error.whatHappened) \(error.whatToDo)")
        default:
            let files = meter.files
            let progress = plan == nil ? "" : " after \(files.done) of \(files.total) files"
            await endPartial(
                hasBegun ? .partial : error.exitCode,
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
