import BackupCore
import Glibc

/// One program that works on the drives, ours or restic.
struct Neighbour: Sendable {
    enum Work: Sendable, CustomStringConvertible {
        case backup(step: Int)
        case check
        case heal
        /// A prune, before which a snapshot is forgotten if one is given.
        case prune(forgetting: ContentID?)
        /// restic with these arguments on one drive.
        case restic([String], drive: String, user: TrialRestic.User)

        var description: String {
            switch self {
            case .backup(let step): "backup \(step)"
            case .check: "check"
            case .heal: "heal"
            case .prune(let snapshot): "prune" + (snapshot.map { " without \($0.short)" } ?? "")
            case .restic(let words, let drive, let user):
                "restic \(words.prefix(2).joined(separator: " ")) on \(drive)"
                    + (user == .same ? "" : " as another")
            }
        }
    }

    let work: Work
    /// When it starts, in milliseconds from the history's beginning.
    let start: Int
    /// What each piece of a file takes to come from the phone, in milliseconds.
    var pause = 60
    /// When it is stopped for a while, in milliseconds from its start.
    var stop: (after: Int, lasting: Int)?

    /// The exit codes that tell of nothing but the others' being there.
    var allowed: Set<Int32> {
        switch work {
        case .backup, .heal: [0, 20, 34]
        // restic's forget may have left no snapshot, and then nothing is pruned.
        case .prune: [0, 24, 34]
        // What restic put on one drive alone is missing on the other.
        case .check: [0, 20, 25, 34]
        // Without patience, restic ends when a lock is held.
        case .restic: [0, 1]
        }
    }
}

/// Neighbours at work: each is started, perhaps stopped for a while, and waited for.
final class NeighbourRunner {
    private struct Working {
        let neighbour: Neighbour
        var process: TrialProcess?
        var isStopped = false
        var wasStopped = false
        var began = 0
    }

    private let store: TrialStore
    private let history: TrialHistory
    private var working: [Working]

    init(_ neighbours: [Neighbour], store: TrialStore, history: TrialHistory) {
        self.store = store
        self.history = history
        working = neighbours.map { Working(neighbour: $0) }
    }

    /// Runs all; gives how each ended.
    func run() throws -> [(neighbour: Neighbour, end: TrialProcess.End)] {
        let clock = TrialClock()
        let start = clock.elapsed()
        while true {
            let now = Int((clock.elapsed() - start) / .milliseconds(1))
            for place in working.indices { try step(place, now) }
            let isOver = working.allSatisfy {
                $0.process != nil && ($0.wasStopped || $0.neighbour.stop == nil)
            }
            if isOver { break }
            usleep(2000)
        }
        return working.enumerated().map { place, working in
            (working.neighbour, working.process.map(finish) ?? Self.never)
        }
    }

    /// Waits for a neighbour's end. A restic whose lock another's `unlock` took has done its work,
    /// and then asks for a quarter of an hour for the lock to be removed: that is its own affair.
    private func finish(_ process: TrialProcess) -> TrialProcess.End {
        for _ in 0..<8 {
            if let end = process.end(within: 10) { return end }
            guard process.errorsSoFar.contains("Remove(<lock/") else { continue }
            if let end = process.end(within: 10) { return end }
            let ended = process.finish(within: 0)
            unlockDrives()
            return TrialProcess.End(
                code: 1, output: ended.output, errors: ended.errors, peak: ended.peak)
        }
        return process.finish(within: 10)
    }

    /// A restic that copies has a lock on the other drive too, which it cannot remove any more.
    private func unlockDrives() {
        for drive in store.drives {
            // What is left over is found by the trial's end.
            _ = try? TrialRestic.start(
                store.repository(drive), ["unlock"], log: "\(store.folder)/log-unlock"
            ).finish(within: 30)
        }
    }

    private static let never = TrialProcess.End(
        code: -1, output: "", errors: "it was never started", peak: 0)

    private func step(_ place: Int, _ now: Int) throws {
        var one = working[place]
        defer { working[place] = one }
        if one.process == nil, now >= one.neighbour.start {
            one.process = try start(one.neighbour, place)
            one.began = now
        }
        guard let stop = one.neighbour.stop, let process = one.process, !one.wasStopped else {
            return
        }
        if !one.isStopped, now >= one.began + stop.after {
            process.signal(SIGSTOP)
            one.isStopped = true
        }
        if one.isStopped, now >= one.began + stop.after + stop.lasting {
            process.signal(SIGCONT)
            one.wasStopped = true
        }
    }

    private func start(_ neighbour: Neighbour, _ place: Int) throws -> TrialProcess {
        let log = "\(store.folder)/log-\(place)"
        var order = TrialChild.Order(work: .check)
        order.hasNeighbours = true
        order.pause = .milliseconds(neighbour.pause)
        switch neighbour.work {
        case .backup(let step):
            order.work = .backup(seed: history.seed, trial: history.trial, step: step)
        case .heal: order.work = .heal
        case .prune(let snapshot): order.work = .prune(forgetting: snapshot)
        case .check: break
        case .restic(let words, let drive, let user):
            return try TrialRestic.start(
                store.repository(drive), words, as: user, log: log,
                variables: ["RESTIC_PASSWORD2": TrialStore.password])
        }
        return try TrialChild.start(order, on: store.folder, log: log)
    }
}
