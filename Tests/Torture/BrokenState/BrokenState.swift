import BackupCore
import Glibc

extension Programme {
    /// Our own files are broken.
    static let brokenState = Programme(
        name: "broken-state",
        summary: "files and folders of the box and the drives are missing, garbled, old or foreign",
        trials: 300, slice: 10
    ) { options in
        let box = try StateBox(in: options.ownFolder("state"))
        return try await options.count { number in
            box.putBack()
            var trial = StateTrial(box, numbers: TrialNumbers(seed: options.seed, trial: number))
            let problems = try trial.run(withRestic: number % 10 == 3 && TrialRestic.isInstalled)
            return TrialResult(
                problems: problems.map { "\(trial.story): \($0)" }, counts: trial.counts)
        }
    }
}

/// One trial: some of our files are broken, commands are run, then the box's own files come back.
struct StateTrial {
    /// Each ends with a documented code, does no harm, and says why when it refuses.
    private static let commands = [
        ["status"], ["snapshots"], ["check"], ["check", "--read-data"], ["heal"], ["drives"],
        ["owners"], ["phones"], ["ls", "latest"], ["backup", "--wait", "10"], ["status", "--json"],
    ]

    private let box: StateBox
    private var numbers: TrialNumbers
    private var problems: [String] = []
    private(set) var counts: [String] = []
    /// The drive that keeps its repository because the other one has lost it.
    private var spared: String?
    /// What was broken, for a failure's message.
    private(set) var story = ""

    init(_ box: StateBox, numbers: TrialNumbers) {
        self.box = box
        self.numbers = numbers
    }

    /// Gives what broke, empty when all is well.
    mutating func run(withRestic: Bool) throws -> [String] {
        breakSome()
        let drives = ["a", "b"].map { TrialFiles.tree("\(box.folder)/\($0)") }
        let secrets = self.secrets()
        for command in numbers.pick(3, of: Self.commands) { try run(command) }
        for (drive, before) in zip(["a", "b"], drives) { expectNothingDeleted(drive, before) }
        let now = self.secrets()
        for (path, bytes) in secrets where now[path] != bytes {
            problems.append("\(path) was changed or removed")
        }
        try expectAllComesBack(withRestic: withRestic)
        return problems
    }

    // MARK: Breaking

    private func holdsRepository(_ path: String, of drive: String) -> Bool {
        (box.repository(drive) + "/").hasPrefix("\(box.folder)/\(path)/")
    }

    private mutating func breakSome() {
        for _ in 0..<1 + numbers.below(3) {
            let path = numbers.pick(places())
            // Of two drives that are both emptied nothing can come back.
            let emptied = ["a", "b"].first { holdsRepository(path, of: $0) }
            guard emptied == nil || spared == nil || spared != emptied else { continue }
            if let emptied { spared = emptied == "a" ? "b" : "a" }
            let damage = numbers.pick(StateDamage.allCases)
            damage.apply(to: path, in: box.folder, &numbers)
            story += "\(damage) \(path.split(separator: "/").suffix(2).joined(separator: "/")); "
            counts.append("\(damage)")
        }
    }

    /// Everything of ours that is no content: files and folders of the box, and of the drives
    /// what is not in a repository but its config and keys. An equal chance for each kind.
    private mutating func places() -> [String] {
        let all = TrialInstallation.parts.flatMap { part in
            [part] + TrialFiles.tree("\(box.folder)/\(part)").keys.sorted().map { part + $0 }
        }
        let own = all.filter { path in
            !["/data", "/index", "/snapshots", "/locks/"].contains { path.contains($0) }
                && path != "a" && path != "b"
        }
        let groups = Dictionary(grouping: own) { path in
            path.split(separator: "/").prefix(3).joined(separator: "/")
                + (path.contains("/keys/") ? "keys" : "")
        }
        return numbers.pick(groups.sorted { $0.key < $1.key }.map(\.value))
    }

    // MARK: Commands

    private mutating func run(_ words: [String]) throws {
        let end: TrialProcess.End
        switch words.count {
        case 1: end = try box.holdfast(words[0])
        case 2: end = try box.holdfast(words[0], words[1])
        default: end = try box.holdfast(words[0], words[1], words[2])
        }
        let isDocumented = ExitCode(rawValue: end.code).map { $0 != .bug && $0 != .usage } ?? false
        if end.hung || !isDocumented {
            problems.append("\(words.joined(separator: " ")) ends with \(end.story)")
        }
        if end.code != 0, end.errors.isEmpty {
            problems.append("\(words.joined(separator: " ")) ends with \(end.code), says nothing")
        }
        counts.append(end.code == 0 ? "went on" : "told")
    }

    // MARK: What must hold

    private func secrets() -> [String: [UInt8]] {
        var found: [String: [UInt8]] = [:]
        for owner in TrialFiles.names(box.state + "/owners") {
            for file in ["password", "words"] {
                let path = "\(box.state)/owners/\(owner)/\(file)"
                if let bytes = TrialFiles.read(path) { found[path] = bytes }
            }
        }
        return found
    }

    /// What was on a drive is there, or in quarantine. The drive's own record is renewed.
    private mutating func expectNothingDeleted(_ drive: String, _ before: [String: [UInt8]?]) {
        let after = TrialFiles.tree("\(box.folder)/\(drive)")
        let aside = Set(
            after.filter { $0.key.contains("/quarantine/") }.compactMap { $0.value })
        for (path, bytes) in before {
            guard let bytes, !path.hasSuffix("/drive.json"), !path.hasSuffix("README.txt") else {
                continue
            }
            let isThere = after[path].map { $0 == bytes } ?? false
            if !isThere, !aside.contains(bytes) {
                problems.append("\(drive)\(path) was deleted")
            }
        }
    }

    /// With the box's files back, everything works again and nothing was lost.
    private mutating func expectAllComesBack(withRestic: Bool) throws {
        box.putBack(["state", "holdfast.yaml"])
        let snapshots = try box.holdfast("snapshots")
        if snapshots.code != 0, snapshots.code != 20 {
            // A drive's record of a newer version, or none, keeps that drive out.
            counts.append("a drive stays out")
        }
        let healed = try box.holdfast("heal")
        counts.append(healed.code == 0 ? "whole again" : "heal ends with \(healed.code)")
        let restored = "\(box.folder)/restored"
        TrialFiles.makeFolder(restored)
        let restore = try box.holdfast("restore", "latest", "--to", restored)
        let found = TrialTree.read(restored + "/Internal shared storage").files
        let there = TrialTree.read(box.folder + "/phone").files
        if restore.code != 0 || found.mapValues(\.bytes) != there.mapValues(\.bytes) {
            problems.append("the latest snapshot does not come back: \(restore.story)")
        }
        guard withRestic, healed.code == 0 else { return }
        counts.append("judged by restic")
        for drive in ["a", "b"] {
            if let wrong = try box.judged(drive) { problems.append(wrong) }
        }
    }
}
