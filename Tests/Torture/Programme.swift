import BackupCore

/// One programme of the torture tests: seeded trials against the real store, each ending with
/// the invariants of `docs/failure-model.md`.
struct Programme: Sendable {
    /// The word that names it on the command line.
    let name: String
    /// What is done to the store, in a line.
    let summary: String
    /// The trials of a whole run.
    let trials: Int
    /// The trials of the slice that every test run does; 0 leaves it out.
    let slice: Int
    /// Runs trials and counts.
    let run: @Sendable (TrialOptions) async throws -> TrialCount

    /// All programmes, in the order in which they run.
    static let all: [Programme] = [
        powerCut, failingCalls, fullDrive, rot, kills, clock, neighbours, brokenState, badInput,
        lostLines,
    ]
}

/// What one run of a programme is told.
struct TrialOptions: Sendable {
    /// The number of trials.
    var trials: Int
    /// Trial n is made from this and n alone, so a trial can be repeated by itself.
    var seed: UInt64
    /// The first trial's number; a single trial is repeated with its number and `trials` 1.
    var first: Int
    /// An existing folder that a programme may fill and empties itself.
    var folder: String
    /// Whether the first trial that fails is the last.
    var endsWithFailure = false

    /// The numbers of the trials.
    var numbers: Range<Int> { first..<first + trials }
}

/// What a programme counted. It passes when nothing failed and at least one trial ran.
struct TrialCount: Sendable {
    var trials = 0
    /// Trials that broke an invariant, each with the trial's number and what broke.
    var failures: [(trial: Int, what: String)] = []
    /// Other counts by name, in order: what was injected, found, healed.
    var counts: [(name: String, count: Int)] = []

    var passed: Bool { trials > 0 && failures.isEmpty }

    /// Whether the trials end here, as `options` say.
    func isEnough(_ options: TrialOptions) -> Bool { options.endsWithFailure && !failures.isEmpty }

    /// Adds to a count, which is made when it is new.
    mutating func add(_ name: String, _ amount: Int = 1) {
        if let index = counts.firstIndex(where: { $0.name == name }) {
            counts[index].count += amount
        } else {
            counts.append((name, amount))
        }
    }
}
