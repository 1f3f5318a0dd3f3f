import BackupCore

extension Programme {
    /// Files rot on the drives.
    static let rot = Programme(
        name: "rot",
        summary: "files of every kind rot on one drive or all, are found, named and healed",
        trials: 2000, slice: 45
    ) { options in
        let folder = options.ownFolder("rot")
        defer { TrialFiles.remove(folder) }
        var known: (number: Int, store: RotStore)?
        return try await options.count { number in
            // A new store now and then: what rots is another one each time.
            let storeNumber = number / 50
            let whole: RotStore
            if let known, known.number == storeNumber {
                whole = known.store
            } else {
                whole = try await RotStore.make(
                    in: folder + "/whole",
                    drives: storeNumber % 4 == 3 ? ["a", "b", "c"] : ["a", "b"],
                    history: TrialHistory(seed: options.seed, trial: storeNumber))
                known = (storeNumber, whole)
            }
            var trial = RotTrial(
                whole.copied(to: folder + "/trial"),
                numbers: TrialNumbers(seed: options.seed, trial: number))
            let isJudged = number % 50 == 7 && TrialRestic.isInstalled
            let problems = try await trial.run(withRestic: isJudged, log: folder + "/restic")
            return TrialResult(problems: problems, counts: trial.counts)
        }
    }
}
