import CSystem
import Glibc

/// A program that a trial started, with what it prints in files.
final class TrialProcess {
    struct NotStarted: Error {
        let command: String
        let code: Int32
    }

    /// How a program ended.
    struct End: Sendable {
        /// The exit status, or 128 and the number of the signal that ended it.
        let code: Int32
        let output: String
        let errors: String
        /// The most memory it had, in KiB.
        let peak: Int
        /// Whether it had to be killed because it did not end by itself.
        var hung = false

        /// What it said, in a line.
        var story: String {
            let said = (errors + " " + output).split(separator: "\n").suffix(4)
            return "\(hung ? "hung" : "\(code)"): " + said.joined(separator: " / ").prefix(400)
        }
    }

    /// This program's own file, to be started again with a hidden subcommand.
    static let own = "/proc/self/exe"

    let pid: pid_t
    private let output: String
    private let errors: String
    private var end: End?

    /// Starts `command` with a plain environment and `variables`; what it prints goes to files
    /// that begin with `log`.
    init(_ command: [String], variables: [String: String] = [:], log: String) throws {
        output = log + ".out"
        errors = log + ".err"
        let plain = [
            "PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "HOME": "/nonexistent", "TZ": "UTC",
            "LC_ALL": "C.UTF-8", "SWIFT_BACKTRACE": "enable=no",
        ]
        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        defer { posix_spawn_file_actions_destroy(&actions) }
        posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0)
        let flags = O_WRONLY | O_CREAT | O_TRUNC
        posix_spawn_file_actions_addopen(&actions, 1, output, flags, 0o600)
        posix_spawn_file_actions_addopen(&actions, 2, errors, flags, 0o600)
        var words = command.map { strdup($0) } + [nil]
        var settings =
            plain.merging(variables) { $1 }.map { strdup("\($0.key)=\($0.value)") } + [nil]
        defer {
            words.forEach { free($0) }
            settings.forEach { free($0) }
        }
        var child: pid_t = 0
        let code = posix_spawn(&child, command[0], &actions, nil, &words, &settings)
        guard code == 0 else {
            throw NotStarted(command: command.joined(separator: " "), code: code)
        }
        pid = child
    }

    deinit {
        guard end == nil else { return }
        kill(pid, SIGKILL)
        _ = reap(0, hung: true)
    }

    func signal(_ number: Int32) { kill(pid, number) }

    /// What it has printed so far.
    var outputSoFar: String { TrialFiles.text(output) }

    /// What it has said so far of its troubles.
    var errorsSoFar: String { TrialFiles.text(errors) }

    /// Waits for its end; one that does not end in time is killed.
    func finish(within seconds: Double = 60) -> End {
        if let end = end(within: seconds) { return end }
        kill(pid, SIGKILL)
        return reap(0, hung: true)
            ?? End(code: -1, output: "", errors: "", peak: 0, hung: true)
    }

    /// Its end, when it comes in time.
    func end(within seconds: Double) -> End? {
        let clock = TrialClock()
        let limit = clock.elapsed() + .milliseconds(Int64(seconds * 1000))
        repeat {
            if let end = reap(WNOHANG, hung: false) { return end }
            usleep(1000)
        } while clock.elapsed() < limit
        return nil
    }

    private func reap(_ options: Int32, hung: Bool) -> End? {
        if let end { return end }
        var status: Int32 = 0
        var usage = rusage()
        guard wait4(pid, &status, options, &usage) == pid else { return nil }
        let signal = status & 0x7F
        end = End(
            code: signal == 0 ? (status >> 8) & 0xFF : 128 + signal,
            output: TrialFiles.text(output), errors: TrialFiles.text(errors),
            peak: Int(usage.ru_maxrss), hung: hung)
        return end
    }
}

/// Debian's restic on a repository of a ``TrialStore``.
enum TrialRestic {
    static let program = "/usr/bin/restic"
    static var isInstalled: Bool { access(program, X_OK) == 0 }

    /// Starts a command on a repository; `variables` may add more.
    static func start(
        _ repository: String, _ arguments: [String], as user: User = .same, log: String,
        variables: [String: String] = [:]
    ) throws -> TrialProcess {
        try TrialProcess(
            user.prefix + [program, "--no-cache", "-r", repository] + arguments,
            variables: ["RESTIC_PASSWORD": TrialStore.password, "GOMAXPROCS": "2"].merging(
                variables
            ) { $1 },
            log: log)
    }

    /// Which account it runs as.
    enum User: Sendable {
        case same
        /// Another account that may read and write every file but not signal our processes, as
        /// happens where a drive's files are shared by a group.
        case other

        var prefix: [String] {
            switch self {
            case .same: []
            case .other:
                [
                    "/usr/bin/setpriv", "--reuid=65534", "--regid=65534", "--clear-groups",
                    "--inh-caps=-all,+dac_override,+dac_read_search,+fowner",
                    "--ambient-caps=-all,+dac_override,+dac_read_search,+fowner",
                ]
            }
        }
    }

    /// What `restic check --read-data` finds wrong; nil when nothing.
    static func check(_ repository: String, log: String) throws -> String? {
        let end = try start(repository, ["check", "--read-data"], log: log).finish(within: 120)
        return end.code == 0 ? nil : "restic check ends with \(end.story)"
    }

    /// What restic restores of the phone's storage in a snapshot.
    static func restore(
        _ snapshot: String, from repository: String, to target: String, log: String
    ) throws -> TrialTree? {
        TrialFiles.makeFolder(target)
        let end = try start(
            repository, ["restore", snapshot, "--target", target], log: log
        ).finish(within: 120)
        guard end.code == 0 else { return nil }
        return .read("\(target)/\(TrialPhone.storageName)")
    }

}
