import BackupCore
import Drives
import Glibc
import ResticRepository

/// One trial: a run is disturbed, perhaps twice; what was promised must hold at once, and the next
/// run must put everything in order by itself.
struct KillTrial {
    /// What the drives are like when the run begins, and so what it is at when it ends.
    enum Beginning: String, CaseIterable, Sendable {
        /// Both are alike: a backup.
        case alike
        /// One is older: a catch-up, then a backup.
        case older
        /// One has no repository: a catch-up of everything.
        case empty
        /// Files are damaged: a repair.
        case damaged
        /// A snapshot is to go: a prune.
        case unwanted
    }

    private let store: TrialStore
    private let history: TrialHistory
    private let oldest: ContentID
    private var model: TrialModel
    private var numbers: TrialNumbers
    private let log: String
    private(set) var counts: [String] = []

    init(_ start: KillStart, in folder: String, numbers: TrialNumbers) {
        store = start.store.copied(to: folder)
        history = start.history
        oldest = start.oldest
        model = start.model
        self.numbers = numbers
        log = folder + "/child"
    }

    /// Gives what broke, empty when all is well.
    mutating func run(withRestic: Bool) async throws -> [String] {
        let beginning = numbers.pick(Beginning.allCases)
        counts.append("\(beginning)")
        begin(beginning)
        var problems: [String] = []
        var step = 2
        for _ in 0..<(numbers.chance(25) ? 2 : 1) {
            problems += try disturb(work(for: beginning, step))
            // What the trial itself damaged is whole again after the last run only.
            // A repository in the making promises nothing before it has its config.
            for drive in store.drives
            where drive == "a" || beginning != .damaged && hasPromise(drive) {
                problems += await model.verify(drive, of: store).map { "after the kill: " + $0 }
            }
            step += 1
        }
        problems += try finish(step, after: beginning)
        if withRestic { counts.append("judged by restic") }
        problems += await TrialInvariants(store: store, model: model, log: log)
            .broken(withRestic: withRestic)
        if beginning == .unwanted { problems += try await unwanted() }
        return problems
    }

    private func work(for beginning: Beginning, _ step: Int) -> TrialChild.Order.Work {
        switch beginning {
        case .alike, .older, .empty: backup(step)
        case .damaged: .heal
        case .unwanted: .prune(forgetting: oldest)
        }
    }

    /// What a prune should have removed and did not.
    private func unwanted() async throws -> [String] {
        var problems: [String] = []
        for copy in try await store.copies() {
            if try await copy.list(.snapshot).contains(where: { $0.name.id == oldest }) {
                problems.append("\(copy.drive.id): the forgotten snapshot is there")
            }
            problems += try await Orphans.more(
                than: PruneOptions().maxUnusedPercent, copy, store.key
            )
            .map { "\(copy.drive.id): \($0)" }
        }
        return problems
    }

    private func backup(_ step: Int) -> TrialChild.Order.Work {
        .backup(seed: history.seed, trial: history.trial, step: step)
    }

    // MARK: The beginning

    private mutating func begin(_ beginning: Beginning) {
        let b = store.drive("b")
        switch beginning {
        case .alike: break
        case .older:
            TrialFiles.remove(b)
            TrialFiles.copyLinked("\(store.folder)/\(KillStart.older)", to: b)
            forgetPromises("b")
        case .empty:
            TrialFiles.remove(store.repository("b"))
            forgetPromises("b")
        case .damaged:
            for file in numbers.pick(3, of: store.files(on: "b")) {
                let path = store.path(file, on: "b")
                if numbers.chance(50), file != .config {
                    unlink(path)
                } else {
                    TrialFiles.write(path, numbers.bytes(100))
                }
            }
            forgetPromises("b")
        case .unwanted: model.promises = model.promises.filter { $0.snapshot != oldest }
        }
    }

    /// What the trial itself took away was not lost by a run; the last run brings it back.
    private mutating func forgetPromises(_ drive: String) {
        model.promises = model.promises.filter { $0.drive != drive }
    }

    private func hasPromise(_ drive: String) -> Bool {
        model.promises.contains { $0.drive == drive }
            || TrialFiles.read(
                store.path(.config, on: drive)) != nil
    }

    // MARK: The disturbance

    private mutating func disturb(_ work: TrialChild.Order.Work) throws -> [String] {
        var order = TrialChild.Order(work: work)
        order.pause = .microseconds(numbers.below(1500))
        let isByCall = numbers.chance(60)
        if isByCall {
            let call = numbers.pick(Self.calls)
            var most = call.most
            if case .prune = work, call.call == .unlink { most = 40 }
            order.ending = .init(call: call.call, number: 1 + numbers.below(most))
        }
        let child = try TrialChild.start(order, on: store.folder, log: log)
        if !isByCall { interrupt(child) }
        let end = child.finish()
        model.note(end.output)
        switch end.code {
        case 128 + SIGKILL where !end.hung:
            counts.append(order.ending.map { "killed before \($0.call.rawValue)" } ?? "killed")
            return []
        case 0:
            counts.append("ended first")
            return []
        default: return ["the run ends with \(end.story)"]
        }
    }

    /// Which calls a run may be killed before, and about how many of them there are.
    private static let calls: [(call: DriveCall, most: Int)] = [
        (.create, 30), (.write, 30), (.sync, 70), (.close, 30), (.rename, 30), (.unlink, 4),
        (.makeDirectory, 300), (.allocate, 30), (.changeMode, 30), (.status, 400), (.list, 600),
        (.read, 100), (.lock, 2), (.open, 900),
    ]

    /// Stops it for a while, kills it, or both, at some moment of a run of a few tenths of a second.
    private mutating func interrupt(_ child: TrialProcess) {
        usleep(UInt32(numbers.below(250_000)))
        if numbers.chance(30) {
            counts.append("stopped")
            child.signal(SIGSTOP)
            usleep(UInt32(numbers.below(30_000)))
            child.signal(SIGCONT)
            guard numbers.chance(60) else { return }
            usleep(UInt32(numbers.below(100_000)))
        }
        child.signal(SIGKILL)
    }

    // MARK: The next run

    private mutating func finish(_ step: Int, after beginning: Beginning) throws -> [String] {
        var problems: [String] = []
        var works = [backup(step)]
        switch beginning {
        case .alike, .older, .empty: break
        case .damaged: works.insert(.heal, at: 0)
        case .unwanted: works.insert(.prune(forgetting: oldest), at: numbers.below(2))
        }
        for work in works {
            let end = try TrialChild.start(.init(work: work), on: store.folder, log: log).finish()
            model.note(end.output)
            if end.code != 0 { problems.append("the next run ends with \(end.story)") }
        }
        return problems
    }
}
