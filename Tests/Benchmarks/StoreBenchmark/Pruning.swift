import Appliance
import BackupCore
import Drives
import ResticFormat
import ResticRepository

/// Removing on several drives at once, as the appliance does it.
enum Removal {
    /// Removes the oldest snapshot from every drive.
    static func forgetOldest(_ copies: [DriveBackend]) async throws -> ExitCode {
        let key = try await unlock(copies)
        let repository = try await ResticSnapshotRepository.open(
            backend: MirroredBackend(copies), masterKey: key,
            options: RepositoryOptions(.reading, clock: StoreBenchmark.clock))
        guard let oldest = try await repository.snapshots().first else { return .notFound }
        await repository.close()
        let file = FileName(.snapshot, oldest.id)
        for copy in copies {
            try await copy.bury([file], at: StoreBenchmark.clock.now())
            try await copy.retire([file], at: StoreBenchmark.clock.now())
        }
        return .done
    }

    /// Looks at every drive, plans, writes what is kept of packs to all of them, proves it there
    /// and removes the rest.
    static func prune(_ copies: [DriveBackend]) async throws -> ExitCode {
        let execution = PruneExecution(
            copies: copies, key: try await unlock(copies), clock: StoreBenchmark.clock,
            isTrusted: { _ in true }, events: { _ in })
        try await execution.verify(readsAll: false)
        let plan = try await execution.plan()
        try await execution.run(plan)
        StoreBenchmark.say(
            "\(plan.removedPacks.count) packs removed, \(plan.repackedPacks.count) written anew, "
                + "\(plan.freedBytes) bytes freed on each drive.")
        return plan.isEmpty ? .notFound : .done
    }

    private static func unlock(_ copies: [DriveBackend]) async throws -> MasterKey {
        try await ResticSnapshotRepository.unlock(
            backend: MirroredBackend(copies), password: StoreBenchmark.password)
    }
}
