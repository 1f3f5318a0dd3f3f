import BackupCore
import Drives
import Glibc
import Synchronization

/// The program as a child of its own trials: `torture child <folder> <drives> <work> [option…]`.
///
/// It does one run of ours on the store in `folder` and prints what came of it, a line at a time:
/// `done <run> <snapshot> <drive>…` once a snapshot is complete. Its exit code is the run's.
enum TrialChild {
    static let word = "child"

    /// What a child is asked to do.
    struct Order: Sendable {
        enum Work: Sendable {
            /// Saves the tree that ``TrialHistory`` makes of the seed, the trial and the step.
            case backup(seed: UInt64, trial: Int, step: Int)
            case heal
            /// Forgets a snapshot, if one is given, and prunes.
            case prune(forgetting: ContentID?)
            case check
            /// Checks each drive's content and says what was found.
            case inspect
            /// Restores every snapshot to the folder `restored` beside the drives.
            case restore
        }

        var work: Work
        var drives = ["a", "b"]
        /// See ``TrialBox/hasNeighbours``.
        var hasNeighbours = false
        /// What each piece of a file takes to come from the phone.
        var pause = Duration.zero
        /// The child kills itself right before the n-th of these calls on a drive.
        var ending: Ending?

        func command(_ folder: String) -> [String] {
            var words = [TrialProcess.own, word, folder, drives.joined(separator: ",")]
            switch work {
            case .backup(let seed, let trial, let step):
                words += ["backup", "\(seed)", "\(trial)", "\(step)"]
            case .heal: words += ["heal"]
            case .prune(let snapshot): words += ["prune", snapshot?.hex ?? "-"]
            case .check: words += ["check"]
            case .inspect: words += ["inspect"]
            case .restore: words += ["restore"]
            }
            words += ["--pause", "\(pause.components.attoseconds / 1_000_000_000_000)"]
            if hasNeighbours { words += ["--neighbours"] }
            if let ending { words += ["--kill", ending.call.rawValue, "\(ending.number)"] }
            return words
        }
    }

    /// A moment at which a child ends.
    struct Ending: Sendable {
        let call: DriveCall
        /// From 1.
        let number: Int
    }

    static func start(_ order: Order, on folder: String, log: String) throws -> TrialProcess {
        try TrialProcess(order.command(folder), log: log)
    }

    /// Serves an order; nil when the arguments are none.
    static func serve(_ arguments: [String]) async -> Int32? {
        guard arguments.first == word, arguments.count > 3 else { return nil }
        // Before anything is read: `restic unlock` asks so whether we live.
        signal(SIGHUP, SIG_IGN)
        do {
            return try await run(Array(arguments.dropFirst())).rawValue
        } catch let error as any Explained {
            Torture.say("error \(error.whatHappened)")
            return
                ((error as? BackendError)?.exitCode ?? (error as? RepositoryError)?.exitCode
                ?? .bug).rawValue
        } catch {
            Torture.say("error \(error)")
            return ExitCode.bug.rawValue
        }
    }

    private static func run(_ words: [String]) async throws -> ExitCode {
        let drives = words[1].split(separator: ",").map(String.init)
        let store = try await TrialStore.open(words[0], drives: drives)
        var box = TrialBox(store: store)
        box.hasNeighbours = words.contains("--neighbours")
        if let place = words.firstIndex(of: "--kill"), let number = Int(words[place + 2]) {
            let call = words[place + 1]
            let count = Mutex(0)
            box.fault = { asked in
                guard asked.rawValue == call else { return nil }
                if count.withLock({
                    $0 += 1; return $0
                }) == number {
                    kill(getpid(), SIGKILL)
                }
                return nil
            }
        }
        let outcome: TrialBox.Outcome
        switch words[2] {
        case "heal": outcome = try await box.heal()
        case "prune": outcome = try await box.prune(forgetting: ContentID(hex: words[3]))
        case "check": outcome = try await box.check()
        case "inspect": outcome = try await TrialLook(store).inspect()
        case "restore": outcome = try await TrialLook(store).restoreAll()
        default:
            let pause = words.firstIndex(of: "--pause").flatMap { Int64(words[$0 + 1]) } ?? 0
            let step = Int(words[5]) ?? 0
            let history = TrialHistory(seed: UInt64(words[3]) ?? 0, trial: Int(words[4]) ?? 0)
            outcome = try await box.backup(
                history.tree(step), run: TrialHistory.run(step), pause: .microseconds(pause))
            if let snapshot = outcome.snapshot {
                let line = ["done", "\(step)", snapshot.hex] + outcome.durable
                Torture.say(line.joined(separator: " "))
            }
        }
        if !outcome.message.isEmpty { Torture.say(outcome.message) }
        return outcome.exitCode
    }
}

/// The phone's content from run to run, made of a seed, so that a child and its parent have the
/// same one.
struct TrialHistory: Sendable {
    let seed: UInt64
    let trial: Int

    /// The phone at the time of run `step`, from 0.
    func tree(_ step: Int) -> TrialTree {
        var numbers = TrialNumbers(seed: seed, trial: trial, stream: 77)
        var tree = TrialTree.random(&numbers)
        for _ in 0..<step { tree = tree.edited(&numbers) }
        return tree
    }

    static func run(_ step: Int) -> RunID { RunID(trusted: "run-\(step)") }
}

extension TrialModel {
    /// Takes what a child printed: which snapshot is complete, and where.
    mutating func note(_ output: String) {
        for line in output.split(separator: "\n") {
            let words = line.split(separator: " ").map(String.init)
            guard words.count > 3, words[0] == "done", let id = ContentID(hex: words[2]) else {
                continue
            }
            for drive in words[3...] { promises.insert(Promise(snapshot: id, drive: drive)) }
        }
    }
}
