internal import BackupCore

/// One capture that the phone drives: it lists, writes, moves and removes in a tree over the last
/// complete snapshot's. There is a snapshot only when the phone has said that it succeeded.
struct PushedJourney {
    let parts: CaptureParts
    let link: PhoneLink
    let source: any PushedCapture

    /// Lets the phone drive, then writes the snapshot.
    func run() async -> CaptureResult {
        var result = CaptureResult()
        do throws(Interruption) {
            let repository = parts.repository
            let snapshots = try await stored { () async throws(RepositoryError) in
                try await repository.snapshots()
            }
            // A partial state is none that the phone knows of: only a complete one is built upon.
            let complete = snapshots.last {
                $0.phone == parts.request.phone && $0.capture == parts.capture && !$0.isPartial
            }
            let builder = TreeSnapshotBuilder(repository: repository, parent: complete?.tree)
            try await drive(builder, isFirst: complete == nil, into: &result)
            try stopWhenCancelled()
            try await commit(
                builder, over: complete, newest: snapshots.map(\.time).max(), into: &result)
            result.concludeCopies()
        } catch {
            end(error, &result)
        }
        return result
    }

    /// Lets the phone drive. What it sent before it failed is kept for the next run, which then
    /// stores it no second time, although no snapshot has it.
    private func drive(
        _ builder: TreeSnapshotBuilder, isFirst: Bool, into result: inout CaptureResult
    ) async throws(Interruption) {
        let failure: SaveError?
        do throws(SaveError) {
            if let prepare = parts.services.prepare {
                // Why it does not tell shows again in the work itself.
                let attributes = try? await link.session.attributes()
                try await prepare(
                    PushedBeginning(source: source, attributes: attributes, isFirst: isFirst))
            }
            let pushed = try await source.perform(
                .backup, over: builder, events: parts.services.events)
            result.skipped = pushed.skipped
            result.files.skipped = pushed.skippedCount
            failure = nil
        } catch {
            failure = error
        }
        result.bytesRead = await builder.receivedBytes
        guard let failure else { return }
        if case .source = failure, result.bytesRead > 0 {
            let repository = parts.repository
            // Not to be had it costs the next run some room; why this one failed matters more.
            await Task { try? await repository.checkpoint() }.value
        }
        throw Interruption(failure)
    }

    private func commit(
        _ builder: TreeSnapshotBuilder, over parent: Snapshot?, newest: Timestamp?,
        into result: inout CaptureResult
    ) async throws(Interruption) {
        let repository = parts.repository
        let notes = SnapshotNotes(
            link.attributes, family: parts.request.family, capture: parts.capture)
        let body = try await stored { () async throws(RepositoryError) in
            try await builder.finish()
        }
        let date = try await stored { () async throws(RepositoryError) in
            try await TreeComparison.newestDate(in: body, of: repository)
        }
        try await OwnFile.put(notes, newest: date, into: builder)
        let draft = draft(
            try await stored { () async throws(RepositoryError) in try await builder.finish() },
            over: parent, newest: newest)
        let skipped = result.files.skipped
        result.files = try await stored { () async throws(RepositoryError) in
            try await TreeComparison.counts(from: parent?.tree, to: draft.tree, in: repository)
        }
        result.files.skipped = skipped
        result.snapshot = try await stored { () async throws(RepositoryError) in
            try await repository.commit(draft)
        }
    }

    private func draft(
        _ tree: ContentID, over parent: Snapshot?, newest: Timestamp?
    ) -> SnapshotDraft {
        let clock = parts.services.clock
        return SnapshotDraft.of(
            phone: parts.request.phone, capture: parts.capture, run: parts.request.run,
            partial: false, tree: tree, parent: parent?.id,
            time: SnapshotTime.next(now: clock.now(), after: newest),
            utcOffsetSeconds: clock.utcOffsetSeconds(), hostname: parts.request.hostname)
    }

    private func end(_ interruption: Interruption, _ result: inout CaptureResult) {
        switch interruption {
        case .cancelled:
            result.add(.interrupted, "The run was interrupted; nothing of it was saved.")
        case .phone(let error) where [.gone, .timedOut, .workerEnded].contains(error.code):
            result.add(.partial, error.explanation)
        case .phone(let error): result.add(error.exitCode, error.explanation)
        case .repository(let error): result.add(error.exitCode, error.explanation)
        case .noRoom:
            result.add(.driveFull, "No drive has room for this backup. Nothing was written.")
        }
    }
}

/// The time a snapshot is written with.
enum SnapshotTime {
    /// Newer than every snapshot, although a clock without a battery may say 1970.
    static func next(now: Timestamp, after newest: Timestamp?) -> Timestamp {
        guard let newest else { return now }
        return max(now, Timestamp(seconds: newest.seconds + 1, nanoseconds: newest.nanoseconds))
    }
}
