import AppleBackup
package import BackupCore
import BackupEngine
package import ControlAPI

/// A restore of a phone's backup onto a phone, before anything is done: what a person confirms.
package struct PhoneRestorePlan: Sendable {
    let backup: FoundBackup
    let target: PhoneID
    /// The phone's plug when it was looked at.
    let plug: DetectedPhone
    let password: String?
    let isMigration: Bool
    let byteCount: UInt64
    /// What its owner calls the phone that is restored to; hostile.
    package let targetName: String
    /// What the backup is of, and when it was made.
    package let sentences: [String]
}

extension Box {
    /// How long a phone may take to restart; most are back within one or two minutes.
    private static let restartLimit = Duration.seconds(300)

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
        let opened = try await look(choice, wait: wait, events: events)
        let attributes = opened.attributes
        let facts = try await countFacts(
            of: backup.found.snapshot, in: backup.found.reading.repository)
        let document = backup.found.document
        let time = RFC3339.text(
            Timestamp(seconds: document.time.seconds),
            utcOffsetSeconds: document.utcOffsetSeconds)
        let source = HostileText.escaped(document.phoneName ?? "a phone", limit: 60)
        let name = HostileText.escaped(attributes.name, limit: 60)
        return PhoneRestorePlan(
            backup: backup, target: opened.id, plug: opened.detected, password: password,
            isMigration: !isMerge,
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

    /// The phone that is meant, its session closed again.
    private func look(
        _ choice: PhoneChoice, wait: Int?, events: @escaping RunEventSink
    ) async throws -> OpenedPhone {
        let wait = Duration.seconds(wait ?? configuration.waitSeconds)
        var phones = PhoneWait(self, for: choice, wait: wait, events: events)
        guard let opened = try await phones.next() else { throw CancellationError() }
        await opened.close()
        guard opened.family.family == .iphone else {
            throw DeviceError(
                .unsuitable, "This phone is no iPhone",
                advice: "Choose the iPhone with --to-phone.")
        }
        return opened
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
            let plugs = Set(await detect(events: events).map(\.phone))
            try await perform(job, on: plan.target, wait: wait, over: builder, events: events)
            let isBack = await followRestart(of: plan.plug, since: plugs, events: events)
            summary = RunSummary(
                verdict: .safe, outcomes: [.done],
                message: "The phone has taken the backup and checked it. "
                    + (isBack
                        ? "It has restarted and goes on by itself."
                        : "It has not come back from its restart yet; leave it plugged in.")
                    + (plan.isMigration ? " It asks again whether to trust this box." : ""))
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

    /// Waits until a phone that restarts is plugged in anew; false when it does not come in time.
    private func followRestart(
        of phone: DetectedPhone, since before: Set<DetectedPhone>,
        events: @escaping RunEventSink
    ) async -> Bool {
        events(
            .notice(
                RunNotice(
                    code: "phone_restarting",
                    message: "The phone has everything and restarts. Do not unplug it.")))
        let end = clock.elapsed() + Self.restartLimit
        while clock.elapsed() < end, !Task.isCancelled {
            let now = await detect(events: events).map(\.phone)
            if now.contains(where: { $0.isSamePhone(as: phone) && !before.contains($0) }) {
                return true
            }
            await clock.sleep(PhoneWait.pollInterval)
        }
        return false
    }
}

extension DetectedPhone {
    /// Whether both are plugs of one iPhone.
    fileprivate func isSamePhone(as other: DetectedPhone) -> Bool {
        guard case .usbmux(_, let udid) = address, case .usbmux(_, let otherUDID) = other.address
        else { return false }
        return udid == otherUDID
    }
}
