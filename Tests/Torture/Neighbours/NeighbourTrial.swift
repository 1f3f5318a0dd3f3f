import BackupCore
import Drives
import Glibc
import ResticRepository

/// One history: some of our runs and of restic's at once; then nothing that anybody called
/// complete, and nobody forgot, may be lost.
struct NeighbourTrial {
    private let store: TrialStore
    private let history: TrialHistory
    private var model: TrialModel
    private var numbers: TrialNumbers
    private var neighbours: [Neighbour] = []
    /// Snapshots that restic was told to forget, on any drive.
    private var forgotten: Set<ContentID> = []
    /// Snapshots by run; restic's `tag` gives the same content a new id.
    private var runs: [ContentID: RunID] = [:]
    /// Folders that restic saves, with the step whose tree they hold.
    private var folders: [String: Int] = [:]
    private(set) var counts: [String] = []
    /// What was done, for a failure's message.
    private(set) var story = ""

    static func make(in folder: String, history: TrialHistory) async throws -> NeighbourTrial {
        let store = try await TrialStore.make(in: folder + "/trial")
        chmod(store.folder, 0o755)
        var trial = NeighbourTrial(store: store, history: history)
        for step in 0..<2 {
            let outcome = try await TrialBox(store: store).backup(
                history.tree(step), run: TrialHistory.run(step))
            guard let snapshot = outcome.snapshot else { continue }
            trial.promise(snapshot, step, on: outcome.durable)
        }
        return trial
    }

    private init(store: TrialStore, history: TrialHistory) {
        self.store = store
        self.history = history
        model = TrialModel()
        numbers = TrialNumbers(seed: history.seed, trial: history.trial)
        for step in 0..<8 { model.trees[TrialHistory.run(step)] = history.tree(step) }
    }

    private mutating func promise(_ snapshot: ContentID, _ step: Int, on drives: [String]) {
        runs[snapshot] = TrialHistory.run(step)
        for drive in drives { model.promises.insert(.init(snapshot: snapshot, drive: drive)) }
    }

    /// Gives what broke, empty when all is well.
    mutating func run() async throws -> [String] {
        plan()
        let ended = try NeighbourRunner(neighbours, store: store, history: history).run()
        var problems: [String] = []
        for (neighbour, end) in ended {
            story += "\(neighbour.work) at \(neighbour.start) -> \(end.code); "
            counts.append(word(neighbour.work))
            if end.code == 0 { counts.append("went through") }
            if end.hung || !neighbour.allowed.contains(end.code) {
                problems.append("\(neighbour.work) ends with \(end.story)")
            }
            note(neighbour, end)
        }
        problems += await lost(on: nil).map { "before the next run: " + $0 }
        let last = try TrialChild.start(
            .init(work: .backup(seed: history.seed, trial: history.trial, step: 7)),
            on: store.folder, log: store.folder + "/log-last"
        ).finish()
        if last.code != 0 { problems.append("the next run ends with \(last.story)") }
        model.note(last.output)
        if counts.contains("prune") { problems += try await pruneAgain() }
        for drive in store.drives { problems += await lost(on: drive) }
        problems += await TrialInvariants(
            store: store, model: TrialModel(trees: model.trees), log: store.folder + "/judge"
        ).broken(withRestic: true)
        return problems
    }

    // MARK: The plan

    private mutating func plan() {
        var step = 2
        if numbers.chance(15), getuid() == 0 {
            planTheft()
            step += 1
        }
        for place in 0..<3 + numbers.below(3) {
            let work: Neighbour.Work
            switch place == 0 ? 0 : numbers.below(10) {
            case 0...2 where step < 6:
                work = .backup(step: step)
                step += 1
            case 3: work = .check
            case 4: work = .heal
            case 5: work = prune()
            default: work = restic(place)
            }
            var neighbour = Neighbour(work: work, start: numbers.below(1500))
            if numbers.chance(20) {
                neighbour.stop = (after: numbers.below(800), lasting: numbers.below(700))
            }
            neighbours.append(neighbour)
        }
    }

    /// A prune, often of a snapshot that was complete before; the newer one stays.
    private mutating func prune() -> Neighbour.Work {
        let first = TrialHistory.run(0)
        let oldest = runs.filter { $0.value == first }.keys.min()
        let snapshot = numbers.chance(60) ? oldest : nil
        if let snapshot { forgotten.insert(snapshot) }
        return .prune(forgetting: snapshot)
    }

    /// Another user's `restic unlock` cannot see that we live and removes our lock; then nothing
    /// keeps a prune from what our run has just written.
    private mutating func planTheft() {
        let drive = numbers.pick(store.drives)
        counts.append("theft of a lock")
        var slow = Neighbour(work: .backup(step: 2), start: 0)
        slow.pause = 250
        neighbours += [
            slow,
            Neighbour(
                work: .restic(["unlock"], drive: drive, user: .other),
                start: 400 + numbers.below(400)),
            Neighbour(
                work: .restic(["prune"], drive: drive, user: .same),
                start: 1000 + numbers.below(800)),
        ]
    }

    private mutating func restic(_ place: Int) -> Neighbour.Work {
        let drive = numbers.pick(store.drives)
        let user: TrialRestic.User = numbers.chance(30) && getuid() == 0 ? .other : .same
        return .restic(words(place, drive), drive: drive, user: user)
    }

    private mutating func words(_ place: Int, _ drive: String) -> [String] {
        let known = runs.keys.sorted()
        switch numbers.below(12) {
        case 0...2: return ["backup", "--quiet", saved(place)]
        case 3: return ["check"]
        case 4:
            let id = numbers.pick(known)
            forgotten.insert(id)
            return ["forget", id.hex] + (numbers.chance(50) ? ["--prune"] : [])
        case 5, 6: return ["prune"]
        case 7: return ["unlock"]
        case 8:
            let other = drive == "a" ? "b" : "a"
            return ["copy", "--repo2", store.repository(other)]
        case 9: return ["tag", "--add", "seen-\(place)"]
        case 10: return ["key", "add", "--new-password-file", passwordFile]
        default: return ["key", "passwd", "--new-password-file", passwordFile]
        }
    }

    private var passwordFile: String {
        let path = "\(store.folder)/password"
        TrialFiles.write(path, Array(TrialStore.password.utf8), mode: 0o644)
        return path
    }

    /// A folder for restic to save: often what the phone is about to bring, so that both store
    /// the same blobs at the same time.
    private mutating func saved(_ place: Int) -> String {
        let folder = "\(store.folder)/saved-\(place)"
        mkdir(folder, 0o755)
        let step = 2 + numbers.below(3)
        history.tree(step).write(to: folder)
        folders[folder] = step
        return folder
    }

    // MARK: What must hold

    private mutating func note(_ neighbour: Neighbour, _ end: TrialProcess.End) {
        switch neighbour.work {
        case .backup(let step):
            let before = model.promises
            model.note(end.output)
            for promise in model.promises.subtracting(before) {
                runs[promise.snapshot] = TrialHistory.run(step)
            }
        case .restic(let words, let drive, _):
            guard words[0] == "backup", let folder = words.last else { return }
            if end.code == 0 { resticPromises.append((folder, drive)) }
        default: break
        }
    }

    private var resticPromises: [(folder: String, drive: String)] = []

    /// What was promised and cannot be restored: from the drive it was promised on, or from
    /// `drive`, which after the next run has everything.
    private func lost(on drive: String?) async -> [String] {
        var problems: [String] = []
        for name in drive.map({ [$0] }) ?? store.drives {
            do {
                let repository = try await store.open(
                    try await store.copy(on: name), for: .reading)
                let snapshots = try await repository.snapshots()
                for promise in model.promises
                where !forgotten.contains(promise.snapshot)
                    && (drive != nil || promise.drive == name)
                {
                    guard let run = runs[promise.snapshot], let tree = model.trees[run] else {
                        continue
                    }
                    problems += await missing(
                        tree, "\(run) on \(name)", in: snapshots.filter { $0.run == run }
                    ) { try await TrialReading(repository).tree(of: $0) }
                }
                for promise in resticPromises where drive != nil || promise.drive == name {
                    let tree = history.tree(folders[promise.folder] ?? 0)
                    let path = EntryPath(text: promise.folder)
                    problems += await missing(
                        tree, "restic's \(path) on \(name)",
                        in: snapshots.filter { $0.draft.paths == [promise.folder] }
                    ) { try await TrialReading(repository).tree(of: $0, at: path) }
                }
            } catch {
                problems.append("\(name): cannot be read: \(TrialReading.text(error))")
            }
        }
        return problems
    }

    /// What is wrong with a prune that nobody disturbs.
    private func pruneAgain() async throws -> [String] {
        let end = try TrialChild.start(
            .init(work: .prune(forgetting: nil)), on: store.folder,
            log: store.folder + "/log-prune"
        ).finish()
        guard end.code == 0 else { return ["the next prune ends with \(end.story)"] }
        var problems: [String] = []
        for copy in try await store.copies() {
            problems += try await Orphans.more(
                than: PruneOptions().maxUnusedPercent, copy, store.key
            ).map { "\(copy.drive.id): \($0)" }
        }
        return problems
    }

    private func missing(
        _ tree: TrialTree, _ what: String, in snapshots: [Snapshot],
        _ read: (Snapshot) async throws -> TrialTree?
    ) async -> [String] {
        guard !snapshots.isEmpty else { return ["the snapshot of \(what) is lost"] }
        for snapshot in snapshots where !snapshot.isPartial {
            do {
                guard let found = try await read(snapshot) else {
                    return ["the snapshot of \(what) lacks its folder"]
                }
                if let difference = tree.difference(from: found) {
                    return ["the snapshot of \(what): \(difference)"]
                }
            } catch {
                return ["the snapshot of \(what) cannot be read: \(TrialReading.text(error))"]
            }
        }
        return []
    }

    private func word(_ work: Neighbour.Work) -> String {
        switch work {
        case .backup: "backup"
        case .check: "check"
        case .heal: "heal"
        case .prune: "prune"
        case .restic(let words, _, let user):
            "restic \(words[0])" + (user == .other ? " as another" : "")
        }
    }
}
