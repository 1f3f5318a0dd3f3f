import BackupCore
import Glibc

extension Programme {
    /// Files rot on the drives.
    static let rot = Programme(
        name: "rot",
        summary: "files of every kind rot on one drive or all, are found, named and healed",
        trials: 2000, slice: 60
    ) { options in
        let folder = "\(options.folder)/rot-\(getpid())"
        mkdir(folder, 0o700)
        defer { TrialFiles.remove(folder) }
        var count = TrialCount()
        var rot: (number: Int, store: RotStore)?
        for number in options.numbers {
            // A new store now and then: what rots is another one each time.
            let storeNumber = number / 50
            if rot?.number != storeNumber {
                rot = (
                    storeNumber,
                    try await RotStore.make(
                        in: folder + "/whole",
                        drives: storeNumber % 4 == 3 ? ["a", "b", "c"] : ["a", "b"],
                        history: TrialHistory(seed: options.seed, trial: storeNumber))
                )
            }
            guard let whole = rot?.store else { continue }
            var trial = RotTrial(
                whole.copied(to: folder + "/trial"),
                numbers: TrialNumbers(seed: options.seed, trial: number))
            let isJudged = number % 50 == 7 && TrialRestic.isInstalled
            let problems = try await trial.run(withRestic: isJudged, log: folder + "/restic")
            count.trials += 1
            for name in trial.counts { count.add(name) }
            if let first = problems.first { count.failures.append((number, first)) }
        }
        return count
    }
}
