import BackupCore
import Drives
import Glibc

extension Programme {
    /// The n-th system call fails.
    static let failingCalls = Programme(
        name: "failing-calls",
        summary: "any system call on a drive fails, once or from then on, on one drive or both",
        trials: 2000, slice: 50
    ) { options in
        await FailingCalls(options).run()
    }
}

/// Runs workloads of which one step meets a call that fails. After half of the failures the power
/// goes too: then it shows whether an error was taken for success.
struct FailingCalls: Sendable {
    private let options: TrialOptions
    private let folder: String

    init(_ options: TrialOptions) {
        self.options = options
        folder = "\(options.folder)/failing-calls"
    }

    /// The calls of each step of a workload, by drive.
    private typealias Counts = [[[DriveCall: Int]]]

    func run() async -> TrialCount {
        var count = TrialCount()
        var counts: [Int: Counts] = [:]
        for trial in options.numbers where !count.isEnough(options) {
            let number = trial % Workload.all.count
            if counts[number] == nil { counts[number] = await countCalls(number) }
            var numbers = TrialNumbers(seed: options.seed, trial: trial)
            let draw = Draw(counts[number] ?? [], &numbers)
            count.trials += 1
            let broken = await judge(Workload.all[number], draw, &numbers, &count)
            if !broken.isEmpty {
                let what = ["\(Workload.all[number].name), \(draw)"] + broken
                count.failures.append((trial, what.joined(separator: "; ")))
            }
        }
        TrialFiles.remove(folder)
        return count
    }

    private func newRun(_ versions: [TrialTree]) -> WorkloadRun {
        TrialFiles.makeFolder(folder)
        for drive in Lab.drives { TrialFiles.makeFolder(Lab.path(drive, in: folder)) }
        let recording = Recording(folder)
        return WorkloadRun(
            lab: Lab(folder, seed: BoxSeed(), recording: recording), versions: versions,
            recording: recording)
    }

    private func countCalls(_ number: Int) async -> Counts {
        var numbers = TrialNumbers(seed: options.seed, trial: 0, stream: 2)
        let run = newRun(Workload.versions(&numbers))
        var counts: Counts = []
        for step in Workload.all[number].steps {
            run.lab.faults.begin(nil)
            _ = await run.run(step, &numbers)
            counts.append(run.lab.faults.counts)
        }
        return counts
    }

    private func judge(
        _ workload: Workload, _ draw: Draw, _ numbers: inout TrialNumbers,
        _ count: inout TrialCount
    ) async -> [String] {
        // The same files as when the calls were counted.
        var content = TrialNumbers(seed: options.seed, trial: 0, stream: 2)
        let run = newRun(Workload.versions(&content))
        var broken: [String] = []
        for step in workload.steps.prefix(draw.step) { _ = await run.run(step, &content) }
        let before = run.lab.state
        run.lab.faults.begin(draw.rule)
        let outcome = await run.run(workload.steps[draw.step], &content)
        let struck = run.lab.faults.struck
        run.lab.faults.begin(nil)
        count.add(struck.isEmpty ? "not reached" : "struck")
        if let outcome { broken += judge(outcome, workload.steps[draw.step], before, struck) }
        broken += run.recording.violations
        var lab = run.lab
        if draw.losesPower {
            count.add("lost power after it")
            lab = afterPowerCut(run, draw, &numbers)
        }
        let judge = Judge(lab: lab)
        broken += await judge.promises().map { "at once: \($0)" }
        broken += await StoreRun(lab: lab).recover(
            storing: run.versions[workload.version(after: draw.step)], &numbers)
        broken += await judge.everything()
        if numbers.next() % 10 == 0 {
            count.add("judged by restic")
            broken += judge.oracle()
        }
        return broken
    }

    /// Whether a run said what is true of the trouble it met.
    private func judge(
        _ outcome: RunOutcome, _ step: Workload.Step, _ before: BoxState, _ struck: Set<Int>
    ) -> [String] {
        let drives = if case .backup(_, let drives) = step { Set(drives) } else { Set(Lab.drives) }
        let behind = Set(outcome.behind.keys.map { BoxSeed.drives.firstIndex(of: $0) ?? -1 })
        var broken: [String] = []
        if outcome.error == nil, !outcome.done.union(behind).isSuperset(of: drives) {
            broken.append("silent about a drive: \(outcome.summary)")
        }
        // A drive that is behind needs the other to catch up; and nothing goes from one drive while
        // another is not well.
        if before.isEven, !step.removes, !outcome.done.isSuperset(of: drives.subtracting(struck)) {
            broken.append("trouble on \(struck.sorted()) reached another: \(outcome.summary)")
        }
        return broken
    }

    private func afterPowerCut(
        _ run: WorkloadRun, _ draw: Draw, _ numbers: inout TrialNumbers
    ) -> Lab {
        let folder = "\(folder)/after"
        TrialFiles.makeFolder(folder)
        for (drive, changes) in run.recording.finished.changes.enumerated() {
            CrashModel(changes.lazy.map(\.change)).write(
                to: Lab.path(drive, in: folder), numbers.next() % 2 == 0 ? .dropped : .mixed,
                &numbers)
        }
        return Lab(folder, seed: run.lab.seed, clock: run.lab.clock, box: run.lab.state)
    }
}

/// What fails in a trial.
private struct Draw: CustomStringConvertible {
    let step: Int
    let rule: FaultPlan.Rule
    let losesPower: Bool

    /// Draws a step, calls of one kind or of all, and the number of the one that fails.
    init(_ counts: [[[DriveCall: Int]]], _ numbers: inout TrialNumbers) {
        step = Int(numbers.next() % UInt64(max(1, counts.count)))
        let calls = counts.indices.contains(step) ? counts[step] : [[:], [:]]
        let drives = [[0], [1], [0, 1]][Int(numbers.next() % 3)]
        let known = DriveCall.allCases.filter { kind in drives.contains { calls[$0][kind] ?? 0 > 0 }
        }
        var kinds = Set(DriveCall.allCases)
        if numbers.next() % 4 != 0, let kind = known.randomElement(using: &numbers) {
            kinds = [kind]
        }
        let most =
            drives.map { drive in
                kinds.reduce(0) { $0 + (calls[drive][$1] ?? 0) }
            }.max() ?? 0
        let error = [EIO, ENOSPC, EROFS, EMFILE, EINTR].randomElement(using: &numbers) ?? EIO
        let canBeShort = !kinds.isDisjoint(with: [.read, .write]) && numbers.next() % 3 == 0
        // A call that is interrupted for ever is repeated for ever.
        let isSticky = numbers.next() % 2 == 0 && (error != EINTR || canBeShort)
        rule = FaultPlan.Rule(
            drives: Set(drives), kinds: kinds, at: 1 + Int(numbers.next() % UInt64(max(1, most))),
            fault: canBeShort ? .short(500 + Int(numbers.next() % 5000)) : .error(error),
            isSticky: isSticky)
        losesPower = numbers.next() % 2 == 0
    }

    var description: String {
        let kind = rule.kinds.count == 1 ? rule.kinds.first?.rawValue ?? "" : "any"
        return "step \(step), \(kind) call \(rule.at) on drives \(rule.drives.sorted()): "
            + "\(rule.fault)\(rule.isSticky ? " from then on" : "")"
            + (losesPower ? ", then no power" : "")
    }
}
