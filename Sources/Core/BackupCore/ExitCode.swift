/// How a program of ours ends. Numbers are append-only; scripts and reminders rely on them.
package enum ExitCode: Int32, Sendable, CaseIterable {
    /// Done, and safe on every drive.
    case done = 0
    /// Done, not on every drive.
    case notEveryDrive = 20
    /// The run was cut short; what it read is kept.
    case partial = 21
    /// Done; some entries could not be read and are named.
    case someUnreadable = 22
    /// Waiting for a person (unlock, choice, trust, passcode) ran out.
    case waitingRanOut = 23
    /// Held: the phone looks emptier than before.
    case held = 24
    /// Damage found; a good copy exists.
    case damageRecoverable = 25
    /// Damage found with no good copy.
    case damageLost = 26
    /// Not everything could be restored.
    case notAllRestored = 27
    /// No usable drive.
    case noDrive = 30
    /// Drive full.
    case driveFull = 31
    /// Drive I/O failed.
    case driveIO = 32
    /// Wrong or cloned drive.
    case wrongDrive = 33
    /// Something else holds the owner's repository.
    case busy = 34
    /// Configuration.
    case configuration = 40
    /// Key, words or a phone's backup password.
    case key = 41
    /// No such snapshot, phone, owner or drive.
    case notFound = 43
    /// Phone, link or worker.
    case phone = 50
    /// The phone broke a limit.
    case phoneLimit = 51
    /// The phone refused.
    case phoneRefused = 52
    /// The phone is not suitable.
    case phoneUnsuitable = 53
    /// Wrong usage.
    case usage = 64
    /// Our bug.
    case bug = 70
    /// Interrupted.
    case interrupted = 130

    /// From the outcome that most needs a person down to the best.
    package static let byNeedOfAPerson: [ExitCode] = [
        .bug, .interrupted, .usage, .key, .configuration, .wrongDrive, .busy, .noDrive,
        .driveFull, .driveIO, .phoneUnsuitable, .phoneRefused, .phoneLimit, .phone, .notFound,
        .damageLost, .damageRecoverable, .held, .waitingRanOut, .partial, .notAllRestored,
        .someUnreadable, .notEveryDrive, .done,
    ]

    /// Of several outcomes the one that most needs a person; `done` when there is none.
    package static func worst(of codes: some Sequence<ExitCode>) -> ExitCode {
        let found = Set(codes)
        return byNeedOfAPerson.first(where: found.contains) ?? .done
    }
}
