import BackupCore

extension Programme {
    /// Runs of ours are killed.
    static let kills = Programme(
        name: "kills",
        summary: "runs are killed or stopped at any moment or before any system call on a drive",
        trials: 500, slice: 15
    ) { options in
        let folder = options.ownFolder("kills")
        defer { TrialFiles.remove(folder) }
        var known: (number: Int, start: KillStart)?
        return try await options.count { number in
            let startNumber = number / 25
            let start: KillStart
            if let known, known.number == startNumber {
                start = known.start
            } else {
                start = try await KillStart.make(
                    in: folder + "/start",
                    history: TrialHistory(seed: options.seed, trial: startNumber))
                known = (startNumber, start)
            }
            var trial = KillTrial(
                start, in: folder + "/trial",
                numbers: TrialNumbers(seed: options.seed, trial: number))
            let isJudged = number % 10 == 3 && TrialRestic.isInstalled
            let problems = try await trial.run(withRestic: isJudged)
            return TrialResult(problems: problems, counts: trial.counts)
        }
    }
}

/// Two drives with two snapshots, and one of them as it was after the first.
struct KillStart: Sendable {
    let store: TrialStore
    let history: TrialHistory
    let model: TrialModel
    /// The first snapshot.
    let oldest: ContentID

    /// Where the older state of drive b is kept.
    static let older = "b-older"

    static func make(in folder: String, history: TrialHistory) async throws -> KillStart {
        let store = try await TrialStore.make(in: folder)
        var model = TrialModel()
        var oldest: ContentID?
        for step in 0..<2 {
            let outcome = try await TrialBox(store: store).backup(
                history.tree(step), run: TrialHistory.run(step))
            guard outcome.exitCode == .done, let snapshot = outcome.snapshot else {
                throw BackendError(.io, "no snapshot to begin with: \(outcome.message)")
            }
            oldest = oldest ?? snapshot
            for drive in outcome.durable {
                model.promises.insert(.init(snapshot: snapshot, drive: drive))
            }
            if step == 0 {
                TrialFiles.copyLinked(store.drive("b"), to: "\(folder)/\(older)")
            }
        }
        // What any run of a trial may have saved.
        for step in 0..<6 { model.trees[TrialHistory.run(step)] = history.tree(step) }
        guard let oldest else { throw BackendError(.io, "no snapshot to begin with") }
        return KillStart(store: store, history: history, model: model, oldest: oldest)
    }
}
