import BackupCore
import Glibc

extension Programme {
    /// restic works on the same repositories at the same time.
    static let neighbours = Programme(
        name: "neighbours",
        summary: "our runs and restic's, some as another user, work on the same drives at once",
        trials: 500, slice: 6
    ) { options in
        guard TrialRestic.isInstalled else {
            throw BackendError(.absent, "restic is not installed")
        }
        let folder = options.ownFolder("neighbours")
        // Another user's restic must be able to walk to the drives.
        chmod(folder, 0o755)
        defer { TrialFiles.remove(folder) }
        return try await options.count { number in
            var trial = try await NeighbourTrial.make(
                in: folder, history: TrialHistory(seed: options.seed, trial: number))
            let problems = try await trial.run()
            return TrialResult(
                problems: problems.map { "\($0) | \(trial.story)" }, counts: trial.counts)
        }
    }
}
