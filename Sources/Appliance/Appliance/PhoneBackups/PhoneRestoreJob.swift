import AppleBackup
package import BackupCore
import BackupEngine
package import ControlAPI

/// A restore of a phone's backup onto a phone, before anything is done: what a person confirms.
package struct PhoneRestorePlan: Sendable {
    let backup: FoundBackup
    let target: PhoneID
    let password: String?
    let isMigration: Bool
    let byteCount: UInt64
    /// What its owner calls the phone that is restored to; hostile.
    package let targetName: String
    /// What the backup is of, and when it was made.
    package let sentences: [String]
}

extension Box {
    /// Finds the backup, the password and the phone, which is waited for. `isMerge` puts the
    /// backup's content back and keeps the rest of the phone; else the phone becomes what the
    /// backup is.
    package func planRestore(
        _ snapshot: String, _ filter: QueryFilter, to choice: PhoneChoice, isMerge: Bool,
        wait: Int?, events: @escaping RunEventSink
    ) async throws -> PhoneRestorePlan {
        var filter = filter
        filter.capture = .backup
        let backup = try await self.backup(in: try await select(snapshot, filter))
        let password = try await requiredPassword(of: backup)
        let (target, attributes) = try await look(choice, wait: wait, events: events)
        let facts = try await countFacts(
            of: backup.found.snapshot, in: backup.found.reading.repository)
        let document = backup.found.document
        let time = RFC3339.text(
            Timestamp(seconds: document.time.seconds),
            utcOffsetSeconds: document.utcOffsetSeconds)
        let source = HostileText.escaped(document.phoneName ?? "a phone", limit: 60)
        let name = HostileText.escaped(attributes.name, limit: 60)
        return PhoneRestorePlan(
            backup: backup, target: target, password: password, isMigration: !isMerge,
            byteCount: facts.bytes, targetName: attributes.name,
            sentences: [
                "The backup of \(source) of \(time) goes onto \(name) "
                    + "(\(HostileText.escaped(attributes.model, limit: 60))).",
                isMerge
                    ? "What it holds replaces what \(name) has of the same; the rest stays."
                    : "This replaces everything on \(name).",
                "Apps come back from the App Store when the phone is online.",
            ])
    }

    /// The phone that is meant, as it tells of itself.
    private func look(
        _ choice: PhoneChoice, wait: Int?, events: @escaping RunEventSink
    ) async throws -> (PhoneID, PhoneAttributes) {
        let wait = Duration.seconds(wait ?? configuration.waitSeconds)
        var phones = PhoneWait(self, for: choice, wait: wait, events: events)
        guard let opened = try await phones.next() else { throw CancellationError() }
        await opened.close()
        guard opened.family.family == .iphone else {
            throw DeviceError(
                .unsuitable, "This phone is no iPhone",
                advice: "Choose the iPhone with --to-phone.")
        }
        return (opened.id, opened.attributes)
    }

    /// Carries a confirmed restore out and sums up.
    package func restore(
        _ plan: PhoneRestorePlan, wait: Int?, events: @escaping RunEventSink
    ) async -> RunSummary {
        let run = newRun()
        let started = clock.now()
        let start = clock.elapsed()
        let found = plan.backup.found
        var summary: RunSummary
        do {
            let builder = TreeSnapshotBuilder(
                repository: found.reading.repository, parent: found.snapshot.tree)
            let job = PushedJob.restore(
                PhoneRestore(
                    source: plan.backup.stored.udid, password: plan.password,
                    isMigration: plan.isMigration, byteCount: plan.byteCount))
            try await perform(job, on: plan.target, wait: wait, over: builder, events: events)
            summary = RunSummary(
                verdict: .safe, outcomes: [.done],
                message: "The phone has taken the backup and checked it; it restarts now and goes "
                    + "on by itself. It asks again whether to trust this box.")
            summary.snapshots = [found.document]
        } catch {
            summary = RunSummary(failed: error)
        }
        summary.duration = clock.elapsed() - start
        record(
            Catalog.RunFacts(
                id: run, kind: "restore", owner: found.reading.owner, phone: plan.target,
                started: started, seconds: summary.duration.roundedSeconds,
                exitCode: summary.exitCode), summary)
        return summary
    }
}
