package import BackupCore

/// One attempt to back up one phone: every capture it offers, one after the other.
///
/// A capture that fails does not undo another's snapshot. The repository is open for writing and
/// locked by the caller, who also closes it.
package struct BackupRun: Sendable {
    private let request: BackupRequest
    private let services: BackupServices
    private let repository: any SnapshotRepository

    /// A run into `repository`.
    package init(
        _ request: BackupRequest, services: BackupServices, repository: any SnapshotRepository
    ) {
        self.request = request
        self.services = services
        self.repository = repository
    }

    /// Backs up the phone that `session` is open with, and closes the session. It never fails:
    /// what went wrong stands in the report. When the task is cancelled, reading stops at once and
    /// a partial snapshot is written.
    package func run(_ session: any DeviceSession) async -> BackupReport {
        let start = services.clock.elapsed()
        var report = BackupReport(run: request.run, started: services.clock.now())
        report.phone = request.phone
        report.owner = request.owner
        var outcomes: [(code: ExitCode, message: String)] = []
        do {
            let attributes = try await session.attributes()
            let link = PhoneLink(session, attributes: attributes, services: services)
            for capture in captures(of: session) {
                let result = await run(capture, over: link)
                report.add(result)
                outcomes += result.outcomes
                if Task.isCancelled { break }
                // A phone that went away and did not come back has no other capture either.
                guard await link.isOpen else { break }
            }
            if captures(of: session).isEmpty {
                let what = request.capture?.rawValue ?? "anything"
                outcomes.append((.phoneUnsuitable, "The phone does not offer \(what) to save."))
            }
            await link.close()
        } catch {
            await session.close()
            let isCancelled = Task.isCancelled || error.code == .cancelled
            outcomes.append((isCancelled ? .interrupted : error.exitCode, error.explanation))
        }
        report.statistics = await repository.statistics()
        report.conclude(outcomes)
        report.duration = services.clock.elapsed() - start
        return report
    }

    private func captures(of session: any DeviceSession) -> [Capture] {
        session.captures.filter { request.capture == nil || request.capture == $0 }
    }

    private func run(
        _ capture: Capture, over link: PhoneLink
    ) async -> CaptureResult {
        let parts = CaptureParts(
            request: request, services: services, repository: repository, capture: capture)
        // The link's session, which after an absence is another one than the run began with.
        switch await link.session.source(of: capture) {
        case .pushed(let source):
            return await PushedJourney(parts: parts, link: link, source: source).run()
        default:
            return await MediaJourney(parts, link: link).run()
        }
    }
}

extension BackupReport {
    /// Adds one capture's part.
    mutating func add(_ result: CaptureResult) {
        if let snapshot = result.snapshot { snapshots.append(snapshot) }
        files.new += result.files.new
        files.changed += result.files.changed
        files.unchanged += result.files.unchanged
        files.removed += result.files.removed
        files.skipped += result.files.skipped
        bytesRead += result.bytesRead
        skipped += result.skipped
        onlyInCloud = result.onlyInCloud ?? onlyInCloud
    }

    /// Puts the outcomes in, the sentence that most needs a person first.
    mutating func conclude(_ found: [(code: ExitCode, message: String)]) {
        outcomes = Set(found.map(\.code))
        messages = []
        for code in ExitCode.byNeedOfAPerson {
            for outcome in found where outcome.code == code && !messages.contains(outcome.message) {
                messages.append(outcome.message)
            }
        }
        if outcomes.isEmpty {
            outcomes = [.done]
            messages = [
                "The backup is complete: \(Counted.files(files.new)) new, \(files.changed) changed, "
                    + "\(files.unchanged) unchanged, \(files.removed) gone."
            ]
        }
        // No fault of the run, and nothing it could do about it: it only has to be known.
        if let onlyInCloud, onlyInCloud > 0 {
            let photos =
                onlyInCloud == 1
                ? "1 photo or video exists" : "\(onlyInCloud) photos and videos exist"
            messages.append("\(photos) only in iCloud and cannot be copied.")
        }
    }

    /// The verdict as programs read it, from the outcomes and the copies of this run's snapshots.
    /// `enrolledDrives` is the number of drives that should hold a copy.
    package func verdict(enrolledDrives: Int) -> Verdict {
        switch exitCode {
        case .done, .notEveryDrive:
            let isSafe =
                !snapshots.isEmpty
                && snapshots.allSatisfy { snapshot in
                    snapshot.copies.filter(\.state.isDurable).count >= max(2, enrolledDrives)
                }
            return isSafe ? .safe : .oneDrive
        case .someUnreadable: return .unreadable
        case .held: return .held
        case .waitingRanOut: return .waiting
        case .partial, .interrupted: return .partial
        default: return .failed
        }
    }
}
