import BackupCore

extension Programme {
    /// Crash states from recorded writes.
    static let powerCut = Programme(
        name: "power-cut",
        summary: "the power goes at any system call; un-synced bytes and names may be lost or torn",
        trials: 2000, slice: 50
    ) { options in
        await PowerCut(options).run()
    }
}

/// Records workloads and judges the states that power cuts may leave of them.
struct PowerCut: Sendable {
    /// A recording serves this many trials.
    private static let statesPerRecording = 5

    private let options: TrialOptions
    private let folder: String

    init(_ options: TrialOptions) {
        self.options = options
        folder = "\(options.folder)/power-cut"
    }

    func run() async -> TrialCount {
        var count = TrialCount()
        var recorded: (number: Int, workload: RecordedWorkload)?
        for trial in options.numbers where !count.isEnough(options) {
            let number = trial / Self.statesPerRecording
            if recorded?.number != number {
                TrialFiles.makeFolder(folder)
                let (workload, problem) = await RecordedWorkload.record(
                    number, seed: options.seed, in: folder)
                if let problem { count.failures.append((trial, "without a cut: \(problem)")) }
                recorded = (number, workload)
            }
            guard let workload = recorded?.workload else { continue }
            count.trials += 1
            count.add(workload.workload.name)
            let broken = await judge(workload, trial: trial, &count)
            if !broken.isEmpty {
                count.failures.append((trial, broken.joined(separator: "; ")))
                keep(workload, trial: trial, failures: count.failures.count)
            }
        }
        TrialFiles.remove(folder)
        return count
    }

    private func judge(
        _ recorded: RecordedWorkload, trial: Int, _ count: inout TrialCount
    ) async -> [String] {
        var numbers = TrialNumbers(seed: options.seed, trial: trial)
        let folder = "\(folder)/state"
        let cut = recorded.cut(&numbers)
        recorded.write(cut, to: folder, &numbers)
        let lab = Lab(
            folder, seed: recorded.seed, clock: TortureClock(day: 1000), box: cut.box)
        let judge = Judge(lab: lab)
        var broken = await judge.promises().map { "at once: \($0)" }
        broken += await StoreRun(lab: lab).recover(
            storing: recorded.versions[recorded.workload.version(after: cut.step)], &numbers)
        broken += await judge.everything()
        if numbers.next() % 10 == 0 {
            count.add("judged by restic")
            broken += judge.oracle()
        }
        return broken.isEmpty ? [] : ["\(recorded.workload.name), \(cut)"] + broken
    }

    /// Keeps the first states that broke something, as they were after the cut.
    private func keep(_ recorded: RecordedWorkload, trial: Int, failures: Int) {
        guard failures <= 3 else { return }
        var numbers = TrialNumbers(seed: options.seed, trial: trial)
        let cut = recorded.cut(&numbers)
        recorded.write(cut, to: "\(options.folder)/power-cut-failed-\(trial)", &numbers)
    }
}

/// A workload that has run, and all it did to the drives.
struct RecordedWorkload: Sendable {
    let workload: Workload
    let seed: BoxSeed
    let versions: [TrialTree]
    let recording: Recording.Finished

    /// Runs workload `number` in `folder`; `problem` tells what went wrong although nothing was
    /// done to it.
    static func record(
        _ number: Int, seed: UInt64, in folder: String
    ) async -> (RecordedWorkload, problem: String?) {
        var numbers = TrialNumbers(seed: seed, trial: number, stream: 1)
        let workload = Workload.all[number % Workload.all.count]
        let versions = Workload.versions(&numbers)
        let folder = "\(folder)/recorded"
        TrialFiles.makeFolder(folder)
        for drive in Lab.drives { TrialFiles.makeFolder(Lab.path(drive, in: folder)) }
        let recording = Recording(folder)
        let lab = Lab(folder, seed: BoxSeed(), recording: recording)
        let run = WorkloadRun(lab: lab, versions: versions, recording: recording)
        var problem: String?
        for step in workload.steps {
            let outcome = await run.run(step, &numbers)
            if let outcome, !outcome.behind.isEmpty || outcome.error != nil {
                problem = outcome.summary
            }
        }
        let recorded = RecordedWorkload(
            workload: workload, seed: lab.seed, versions: versions,
            recording: recording.finished)
        return (recorded, problem ?? recording.violations.first)
    }

    /// A moment at which the power goes, on each drive.
    struct Cut: Sendable, CustomStringConvertible {
        let step: Int
        /// The last change that came back on each drive, by sequence.
        let ends: [Int]
        let fates: [CrashModel.Fate]
        let box: BoxState

        var description: String {
            "step \(step) cut at \(ends), un-synced \(fates.map(\.rawValue))"
        }
    }

    /// Draws a cut: a step, then a kind of change in it, so that rare kinds are met as often as
    /// common ones, then a change, before or after which the power goes. The other drive, which
    /// works by itself, is cut anywhere between the same two things that the box knows.
    func cut(_ numbers: inout TrialNumbers) -> Cut {
        let step = Int(numbers.next() % UInt64(recording.steps.count))
        let end = step + 1 < recording.steps.count ? recording.steps[step + 1] : recording.end
        var kinds: [Int: [Int]] = [:]
        for drive in recording.changes {
            for (sequence, change) in drive
            where sequence > recording.steps[step] && sequence <= end {
                kinds[change.kind, default: []].append(sequence)
            }
        }
        var moment = end
        if let kind = kinds.keys.sorted().randomElement(using: &numbers),
            let sequence = kinds[kind]?.randomElement(using: &numbers)
        {
            moment = sequence - Int(numbers.next() % 2)
        }
        let known = recording.box.last { $0.sequence <= moment } ?? (0, BoxState())
        let next = recording.box.first { $0.sequence > moment }?.sequence ?? end + 1
        let other = Int.random(in: known.sequence..<next, using: &numbers)
        let ends = numbers.next() % 2 == 0 ? [moment, other] : [other, moment]
        return Cut(
            step: step, ends: ends,
            fates: Lab.drives.map { _ in
                CrashModel.Fate.allCases.randomElement(using: &numbers) ?? .mixed
            },
            box: known.state)
    }

    /// Writes what the drives may hold after a cut.
    func write(_ cut: Cut, to folder: String, _ numbers: inout TrialNumbers) {
        TrialFiles.makeFolder(folder)
        for drive in Lab.drives {
            let changes = recording.changes[drive].lazy
                .prefix { $0.sequence <= cut.ends[drive] }.map(\.change)
            CrashModel(changes).write(
                to: Lab.path(drive, in: folder), cut.fates[drive], &numbers)
        }
    }
}

extension Recording.Change {
    /// A number for the kind of change.
    var kind: Int {
        switch self {
        case .newFile: 0
        case .newFolder: 1
        case .allocate: 2
        case .write: 3
        case .sync: 4
        case .syncAll: 5
        case .rename: 6
        case .unlink: 7
        case .rot: 8
        }
    }
}
