import Glibc
import Synchronization

/// What one trial came to.
struct TrialResult: Sendable {
    /// What broke, empty when all is well.
    var problems: [String] = []
    /// One word for each thing that is counted.
    var counts: [String] = []
}

extension TrialOptions {
    /// Does `trial` for every number and counts. What breaks is told at once, so that a run which
    /// is killed has told it; SIGTERM ends the run after the trial it is at.
    func count(
        _ trial: (_ number: Int) async throws -> TrialResult
    ) async throws -> TrialCount {
        signal(SIGTERM) { _ in TrialEnd.isAskedFor.store(true, ordering: .relaxed) }
        var count = TrialCount()
        for number in numbers
        where !TrialEnd.isAskedFor.load(ordering: .relaxed) && !count.isEnough(self) {
            let result = try await trial(number)
            count.trials += 1
            for word in result.counts { count.add(word) }
            if let first = result.problems.first {
                count.failures.append((number, first))
                Torture.say("   trial \(number) fails: \(first.prefix(600))")
            }
        }
        return count
    }

    /// A folder of the programme's own.
    func ownFolder(_ name: String) -> String {
        let path = "\(folder)/torture-\(name)-\(getpid())"
        TrialFiles.makeFolder(path)
        return path
    }
}

/// Whether somebody wants the program to end.
private enum TrialEnd {
    static let isAskedFor = Atomic<Bool>(false)
}
