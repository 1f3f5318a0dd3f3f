import BackupCore
import BackupEngine
import Drives
import ResticRepository

/// Runs that only read, and say in words what they find.
struct TrialLook: Sendable {
    private let store: TrialStore

    init(_ store: TrialStore) { self.store = store }

    /// Checks what each drive's own files tell.
    func inspect() async throws -> TrialBox.Outcome {
        var outcome = TrialBox.Outcome(exitCode: .done)
        for copy in try await store.copies() {
            let report = try await StructureCheck(
                backend: copy, masterKey: store.key, readData: true
            ).run()
            guard !report.isSound else { continue }
            outcome.exitCode = .damageLost
            outcome.message += report.findings.prefix(20).map { "\($0)" }.joined(separator: "\n")
        }
        return outcome
    }

    /// Restores every snapshot from all drives.
    func restoreAll() async throws -> TrialBox.Outcome {
        let repository = try await store.open(
            MirroredBackend(try await store.copies()), for: .reading)
        var outcome = TrialBox.Outcome(exitCode: .done)
        for snapshot in try await repository.snapshots() {
            let folder = "\(store.folder)/restored/\(snapshot.id.short)"
            let target = try await FolderTarget.open(path: folder)
            let report = await RestoreRun(
                RestoreRequest(run: RunID(trusted: "restore"), tree: snapshot.tree),
                repository: repository, target: target,
                clock: TrialStore.clock, events: { _ in }
            ).run()
            outcome.exitCode = ExitCode.worst(of: [outcome.exitCode, report.exitCode])
            outcome.message += report.messages.joined(separator: " ")
        }
        return outcome
    }
}
