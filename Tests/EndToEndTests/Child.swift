import Foundation
import Glibc
import Testing

/// What a program said and how it ended.
struct Finished {
    let command: String
    /// The exit status, or 128 and the number of the signal that ended it.
    let exitCode: Int32
    let output: String
    let errors: String
    let seconds: Double

    /// Everything it said, for messages of failed expectations.
    var story: String { "\(command)\n-> \(exitCode)\n\(output)\(errors)" }

    /// Standard output as one JSON document.
    var json: JSON { get throws { try JSON(text: output) } }
    /// Standard output as JSON lines.
    var lines: [JSON] {
        get throws { try output.split(separator: "\n").map { try JSON(text: String($0)) } }
    }
    /// The last line that is a run's summary.
    var summary: JSON {
        get throws {
            let found = try lines.last { $0["message_type"].text == "summary" }
            return try #require(found, "no summary: \(story)")
        }
    }
}

/// A program that runs.
final class Child {
    struct NotStarted: Error {
        let command: String
        let code: Int32
    }

    let pid: pid_t
    private let command: String
    private let output: String
    private let errors: String
    private let started = ContinuousClock.now
    private var status: Int32?

    /// Starts `command` with exactly these variables; what it prints goes to files in `folder`.
    init(
        _ command: [String], variables: [String: String], input: String = "/dev/null",
        outputIn folder: String
    ) throws {
        let name = folder + "/" + UUID().uuidString
        output = name + ".out"
        errors = name + ".err"
        self.command = command.joined(separator: " ")
        var actions = unsafe posix_spawn_file_actions_t()
        // Sound: the actions are made, filled and destroyed here; the strings outlive the call.
        unsafe posix_spawn_file_actions_init(&actions)
        defer { unsafe posix_spawn_file_actions_destroy(&actions) }
        unsafe posix_spawn_file_actions_addopen(&actions, 0, input, O_RDONLY, 0)
        let flags = O_WRONLY | O_CREAT | O_TRUNC
        unsafe posix_spawn_file_actions_addopen(&actions, 1, output, flags, 0o600)
        unsafe posix_spawn_file_actions_addopen(&actions, 2, errors, flags, 0o600)
        // Sound: copies made by strdup, freed below, after the child has its own.
        var words = unsafe command.map { unsafe strdup($0) } + [nil]
        var settings = unsafe variables.map { unsafe strdup("\($0.key)=\($0.value)") } + [nil]
        defer {
            unsafe words.forEach { unsafe free($0) }
            unsafe settings.forEach { unsafe free($0) }
        }
        var child: pid_t = 0
        let code = unsafe posix_spawn(&child, command[0], &actions, nil, &words, &settings)
        guard code == 0 else { throw NotStarted(command: self.command, code: code) }
        pid = child
    }

    deinit {
        guard status == nil else { return }
        kill(pid, SIGKILL)
        _ = reap(0)
    }

    func signal(_ number: Int32) { kill(pid, number) }

    var isRunning: Bool { status == nil && !reap(WNOHANG) }

    /// What it has printed so far.
    var outputSoFar: String { Self.text(output) }
    var errorsSoFar: String { Self.text(errors) }

    /// Waits for its end; one that does not end is killed, and that is an issue.
    func finish(within seconds: Double = 120) -> Finished {
        if !eventually(within: seconds, { !self.isRunning }) {
            kill(pid, SIGKILL)
            _ = reap(0)
            Issue.record("\(command) did not end within \(seconds) s: \(Self.text(errors))")
        }
        let ended = status ?? 0
        let signal = ended & 0x7F
        let (elapsed, fraction) = (ContinuousClock.now - started).components
        return Finished(
            command: command, exitCode: signal == 0 ? (ended >> 8) & 0xFF : 128 + signal,
            output: Self.text(output), errors: Self.text(errors),
            seconds: Double(elapsed) + Double(fraction) / 1e18)
    }

    /// The worker process that speaks with the phone, when there is one.
    var worker: pid_t? {
        for entry in files(in: "/proc") {
            guard let number = pid_t(entry) else { continue }
            let words = Self.text("/proc/\(entry)/cmdline").split(separator: "\0")
            guard words.count > 1, words[1] == "worker", !words.contains("detect") else {
                continue
            }
            let stat = Self.text("/proc/\(entry)/stat")
            let fields = stat[(stat.lastIndex(of: ")") ?? stat.startIndex)...].split(separator: " ")
            if fields.count > 2, fields[2] == "\(pid)" { return number }
        }
        return nil
    }

    private func reap(_ options: Int32) -> Bool {
        var ended: Int32 = 0
        // Sound: waitpid writes one Int32 into the local variable.
        guard unsafe waitpid(pid, &ended, options) == pid else { return false }
        status = ended
        return true
    }

    /// A file's text; one that is not there is empty.
    static func text(_ path: String) -> String {
        guard let bytes = FileManager.default.contents(atPath: path) else { return "" }
        return String(decoding: bytes, as: UTF8.self)
    }
}

/// Whether `condition` becomes true before a limit that only a hanging program reaches.
func eventually(within seconds: Double = 60, _ condition: () -> Bool) -> Bool {
    let limit = ContinuousClock.now + .seconds(seconds)
    while !condition() {
        guard ContinuousClock.now < limit else { return false }
        usleep(2000)
    }
    return true
}
