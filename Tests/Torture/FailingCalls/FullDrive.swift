import BackupCore
import Drives
import Glibc

extension Programme {
    /// A drive runs out of space or inodes.
    static let fullDrive = Programme(
        name: "full-drive",
        summary: "a drive has room for less than the run needs, in steps of 64 KiB or in inodes",
        trials: 100, slice: 8
    ) { options in
        await FullDrive(options).run()
    }
}

/// Lets drives fill up. They are small filesystems in memory where those may be mounted, which
/// needs root; elsewhere calls that need room fail.
struct FullDrive: Sendable {
    private let options: TrialOptions
    private let folder: String
    private let canMount: Bool

    init(_ options: TrialOptions) {
        self.options = options
        folder = "\(options.folder)/full-drive"
        canMount = geteuid() == 0
    }

    func run() async -> TrialCount {
        var count = TrialCount()
        for trial in options.numbers where !count.isEnough(options) {
            var numbers = TrialNumbers(seed: options.seed, trial: trial)
            count.trials += 1
            let broken = await judge(trial, &numbers, &count)
            if !broken.isEmpty { count.failures.append((trial, broken.joined(separator: "; "))) }
            unmount()
        }
        TrialFiles.remove(folder)
        return count
    }

    private func judge(
        _ trial: Int, _ numbers: inout TrialNumbers, _ count: inout TrialCount
    ) async -> [String] {
        let before = TrialTree.random(&numbers, files: 30, largest: 300_000)
        let after = before.edited(&numbers, largest: 300_000)
        TrialFiles.makeFolder(folder)
        for drive in Lab.drives { TrialFiles.makeFolder(Lab.path(drive, in: folder)) }
        let lab = Lab(folder, seed: BoxSeed())
        let full = [[0], [1], [0, 1]][Int(numbers.next() % 3)]
        guard mount(full) else { return ["a small filesystem cannot be mounted"] }
        let judge = Judge(lab: lab)
        let first = await StoreRun(lab: lab).backup(before)
        var broken = first.done == Set(Lab.drives) ? [] : ["with room: \(first.summary)"]
        narrow(full, lab, trial, &numbers)
        let outcome = await StoreRun(lab: lab).backup(after)
        count.add(outcome.done.count == 2 ? "had room" : "filled up")
        if !outcome.done.isSuperset(of: Set(Lab.drives).subtracting(full)) {
            broken.append("full \(full) reached another: \(outcome.summary)")
        }
        broken += await judge.promises().map { "while full: \($0)" }
        widen(full, lab)
        broken += await StoreRun(lab: lab).recover(storing: after, &numbers)
        broken += await judge.everything()
        return broken
    }

    // MARK: Room

    private func mount(_ drives: [Int]) -> Bool {
        !canMount
            || drives.allSatisfy { drive in
                call([
                    "/usr/bin/mount", "-t", "tmpfs", "-o", "size=64m,nr_inodes=4096",
                    "holdfast-full-drive",
                    Lab.path(drive, in: folder),
                ])
            }
    }

    /// Leaves room for a little more than there is.
    private func narrow(
        _ drives: [Int], _ lab: Lab, _ trial: Int, _ numbers: inout TrialNumbers
    ) {
        guard canMount else {
            lab.faults.begin(
                FaultPlan.Rule(
                    drives: Set(drives), kinds: [.create, .allocate, .write, .makeDirectory],
                    at: 1 + Int(numbers.next() % 40), fault: .error(ENOSPC), isSticky: true))
            return
        }
        for drive in drives {
            var space = statvfs()
            guard statvfs(lab.path(drive), &space) == 0 else { continue }
            if numbers.next() % 4 == 0 {
                let used = Int(space.f_files - space.f_ffree)
                remount(drive, "nr_inodes=\(used + 1 + Int(numbers.next() % 12))")
            } else {
                let used = Int((space.f_blocks - space.f_bfree) * UInt(space.f_frsize))
                remount(drive, "size=\(used + 4096 + trial % 16 * (64 << 10))")
            }
        }
    }

    private func widen(_ drives: [Int], _ lab: Lab) {
        lab.faults.begin(nil)
        guard canMount else { return }
        for drive in drives { remount(drive, "size=64m,nr_inodes=4096") }
    }

    private func call(_ words: [String]) -> Bool {
        // One that does not start is as one that fails.
        (try? TrialProcess(words, log: "\(options.folder)/mount.log").finish(within: 30).code) == 0
    }

    private func remount(_ drive: Int, _ options: String) {
        _ = call(["/usr/bin/mount", "-o", "remount,\(options)", Lab.path(drive, in: folder)])
    }

    private func unmount() {
        guard canMount else { return }
        // One that is not mounted gives an error, which is as good.
        for drive in Lab.drives { _ = call(["/usr/bin/umount", Lab.path(drive, in: folder)]) }
    }
}
