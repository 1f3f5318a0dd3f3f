import BackupCore
import Glibc

extension Programme {
    /// Repositories are made to do harm.
    static let badInput = Programme(
        name: "bad-input",
        summary: "hostile repositories are checked, restored, healed and saved to",
        trials: 2 * BadInputCase.allCases.count, slice: 6
    ) { options in
        let folder = options.ownFolder("bad-input")
        defer { TrialFiles.remove(folder) }
        var peak = 0
        let start = try await KillStart.make(
            in: folder + "/start", history: TrialHistory(seed: options.seed, trial: 0))
        var count = try await options.count { number in
            // A slice sees other kinds each time; the seed says which.
            let cases = BadInputCase.allCases
            let kind = cases[(number + Int(options.seed % 1000)) % cases.count]
            var trial = BadInputTrial(
                kind, start, in: folder + "/trial",
                numbers: TrialNumbers(seed: options.seed, trial: number))
            let problems = try trial.run()
            peak = max(peak, trial.peak)
            return TrialResult(problems: problems.map { "\(kind): \($0)" }, counts: trial.counts)
        }
        count.add("MiB of memory at most", peak >> 10)
        return count
    }
}

/// One trial: a repository of one hostile kind meets every run of ours.
struct BadInputTrial {
    /// The most memory any run may take, in KiB: twice the largest blob that is read at all.
    static let peakLimit = 1 << 20

    private let kind: BadInputCase
    private let store: TrialStore
    private let start: KillStart
    private var numbers: TrialNumbers
    private var problems: [String] = []
    private(set) var counts: [String] = []
    private(set) var peak = 0

    init(_ kind: BadInputCase, _ start: KillStart, in folder: String, numbers: TrialNumbers) {
        self.kind = kind
        self.start = start
        store = start.store.copied(to: folder)
        self.numbers = numbers
        counts = ["\(kind)"]
    }

    /// Gives what broke, empty when all is well.
    mutating func run() throws -> [String] {
        let telling = try kind.write(to: store, &numbers)
        let before = store.drives.map { TrialFiles.tree(store.repository($0)) }
        var said = ""
        for work in [TrialChild.Order.Work.inspect, .restore] { said += try run(work) }
        for (drive, before) in zip(store.drives, before)
        where TrialFiles.tree(store.repository(drive)) != before {
            problems.append("\(drive) was changed by reading it")
        }
        said += try run(.heal)
        said += try run(
            .backup(seed: start.history.seed, trial: start.history.trial, step: 3))
        if !telling.isEmpty, !telling.contains(where: said.contains) {
            problems.append("it is not named: \(said.suffix(300))")
        }
        expectNothingRemoved(before)
        if TrialFiles.read(store.folder + "/escaped") != nil || access("/escaped", F_OK) == 0 {
            problems.append("a name led out of the folder")
        }
        return problems
    }

    /// What a run of ours says; it must end by itself, with a code, in bounded memory.
    private mutating func run(_ work: TrialChild.Order.Work) throws -> String {
        let end = try TrialChild.start(
            .init(work: work), on: store.folder, log: store.folder + "/log"
        ).finish(within: 60)
        peak = max(peak, end.peak)
        if end.hung || end.code >= 128 || ExitCode(rawValue: end.code) == nil
            || end.code == ExitCode.bug.rawValue
        {
            problems.append("\(work) ends with \(end.story)")
        }
        if end.peak > Self.peakLimit { problems.append("\(work) took \(end.peak >> 10) MiB") }
        counts.append(end.code == 0 ? "went through" : "refused or told")
        return end.output + end.errors
    }

    private mutating func expectNothingRemoved(_ before: [[String: [UInt8]?]]) {
        for (drive, before) in zip(store.drives, before) {
            let after = TrialFiles.tree(store.drive(drive) + "/holdfast")
            let repository = "/repositories/\(TrialStore.owner)"
            let aside = Set(
                after.filter { $0.key.hasPrefix("/quarantine/") }.compactMap { $0.value })
            for (path, bytes) in before {
                guard let bytes else { continue }
                let isThere = after[repository + path].map { $0 == bytes } ?? false
                if !isThere, !aside.contains(bytes) {
                    problems.append("\(drive)\(path) was removed")
                }
            }
        }
    }
}
