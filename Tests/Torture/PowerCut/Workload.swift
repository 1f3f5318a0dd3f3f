import BackupCore

/// What is done to the drives before and while the trouble comes.
struct Workload: Sendable {
    enum Step: Sendable {
        /// A run over some drives, storing a version of the phone.
        case backup(Int, [Int])
        /// The same, but the program dies at one of its system calls.
        case killed(Int)
        /// One drive loses the bytes of a pack.
        case rot(drive: Int)
        case heal
        case addKey
        case rotateKeys
        /// The oldest snapshot is removed.
        case forget
        /// What nothing needs is removed.
        case prune
        /// The same, but the program dies at one of its system calls.
        case killedPrune
        /// The owner is to be erased.
        case erase

        /// Whether it takes what snapshots need from drives, one after the other.
        var removes: Bool {
            switch self {
            case .forget, .prune, .killedPrune: true
            default: false
            }
        }
    }

    let name: String
    let steps: [Step]

    static let all = [
        Workload(name: "first backup", steps: [.backup(0, both)]),
        Workload(name: "increment", steps: [.backup(0, both), .backup(1, both)]),
        Workload(
            name: "after a kill",
            steps: [.backup(0, both), .killed(1), .backup(1, both)]),
        Workload(
            name: "catch-up",
            steps: [.backup(0, both), .backup(1, [0]), .backup(2, [0]), .backup(2, both)]),
        Workload(
            name: "both ways", steps: [.backup(0, both), .backup(1, [0]), .backup(2, both)]),
        Workload(
            name: "one after the other",
            steps: [.backup(0, [0]), .backup(1, [1]), .backup(1, both)]),
        Workload(
            name: "heal", steps: [.backup(0, both), .rot(drive: 1), .heal, .backup(1, both)]),
        Workload(name: "key add", steps: [.backup(0, both), .addKey, .backup(1, both)]),
        Workload(
            name: "key rotate", steps: [.backup(0, both), .rotateKeys, .backup(1, both)]),
        Workload(
            name: "forget",
            steps: [.backup(0, both), .backup(1, both), .forget, .backup(2, both)]),
        Workload(
            name: "prune",
            steps: [.backup(0, both), .backup(1, both), .forget, .prune, .backup(2, both)]),
        Workload(
            name: "prune after a kill",
            steps: [.backup(0, both), .backup(1, both), .forget, .killedPrune, .prune]),
        Workload(
            name: "one drive after a killed prune",
            steps: [
                .backup(0, both), .backup(1, both), .forget, .killedPrune, .backup(2, [0]),
                .backup(2, both),
            ]),
        Workload(name: "erase", steps: [.backup(0, both), .erase]),
    ]

    private static let both = Lab.drives

    /// The versions of the phone that a workload stores.
    static func versions(_ numbers: inout TrialNumbers) -> [TrialTree] {
        let first = TrialTree.random(&numbers)
        let second = first.edited(&numbers)
        return [first, second, second.edited(&numbers)]
    }

    /// The version that a run after step `step` stores: what the step was about.
    func version(after step: Int) -> Int {
        for step in steps.prefix(step + 1).reversed() {
            switch step {
            case .backup(let version, _), .killed(let version): return version
            case .rot, .heal, .addKey, .rotateKeys, .forget, .prune, .killedPrune, .erase:
                continue
            }
        }
        return 0
    }
}

/// A lab in which a workload's steps are run.
struct WorkloadRun: Sendable {
    let lab: Lab
    let versions: [TrialTree]
    let recording: Recording

    /// Runs a step; nil for one that is no run.
    func run(
        _ step: Workload.Step, _ numbers: inout TrialNumbers
    ) async -> RunOutcome? {
        recording.beginStep()
        switch step {
        case .backup(let version, let drives):
            return await StoreRun(lab: lab, drives: drives).backup(versions[version])
        case .killed(let version):
            await killed(&numbers) { _ = await StoreRun(lab: lab).backup(versions[version]) }
            return nil
        case .rot(let drive):
            rot(drive, &numbers)
            return nil
        case .heal: return await StoreRun(lab: lab).heal()
        case .addKey: return await StoreRun(lab: lab).addKey()
        case .rotateKeys: return await StoreRun(lab: lab).rotateKeys()
        case .forget: return await StoreRun(lab: lab).forget()
        case .prune: return await StoreRun(lab: lab).prune()
        case .killedPrune:
            await killed(&numbers) { _ = await StoreRun(lab: lab).prune() }
            return nil
        case .erase: return await StoreRun(lab: lab).erase()
        }
    }

    /// Does `run`, which dies at one of its calls.
    private func killed(_ numbers: inout TrialNumbers, _ run: () async -> Void) async {
        lab.faults.begin(.kill(at: 1 + numbers.below(120)))
        recording.ignoreFailures(true)
        await run()
        recording.ignoreFailures(false)
        lab.faults.begin(nil)
    }

    /// Zeroes a pack. What the drive promised is void until it is healed.
    private func rot(_ drive: Int, _ numbers: inout TrialNumbers) {
        let packs = TrialFiles.tree(lab.path(drive)).filter {
            $0.value != nil && $0.key.contains("/data/")
        }.keys.sorted()
        guard !packs.isEmpty else { return }
        let pack = packs[Int(numbers.next() % UInt64(packs.count))]
        lab.note { state in
            state.drives[drive].rotten = state.drives[drive].snapshots
            state.drives[drive].snapshots = [:]
        }
        recording.rot(drive, path: lab.path(drive) + pack, [UInt8](repeating: 0, count: 5000))
    }
}
