import BackupCore
import CSystem
import ControlAPI
import Glibc
import Logging

/// Where log lines go: codes, ids and counts, never a name, a serial or a secret.
///
/// Under systemd (`JOURNAL_STREAM` is set) they go to standard error with the priority that
/// journald reads; else to `holdfast.log` in the state folder, so that a terminal shows only words
/// for people. One line is one event with `key=value` pairs.
struct RunLog: LogHandler {
    private enum Place: Sendable {
        case journal
        case file(String)
    }

    /// A log file that has grown beyond this is put aside once, so that two such sizes are the
    /// most the log takes.
    private static let fileLimit = 4 << 20

    var metadata: Logger.Metadata = [:]
    var logLevel: Logger.Level
    private let place: Place

    /// The log of a configuration.
    static func logger(_ configuration: Configuration, isUnderSystemd: Bool) -> Logger {
        let level: Logger.Level =
            switch configuration.logLevel {
            case .error: .error
            case .warning: .warning
            case .notice: .notice
            case .info: .info
            case .debug: .debug
            }
        let place: Place =
            isUnderSystemd ? .journal : .file(configuration.state + "/holdfast.log")
        return Logger(label: "holdfast") { _ in RunLog(logLevel: level, place: place) }
    }

    private init(logLevel: Logger.Level, place: Place) {
        self.logLevel = logLevel
        self.place = place
    }

    subscript(metadataKey key: String) -> Logger.Metadata.Value? {
        get { metadata[key] }
        set { metadata[key] = newValue }
    }

    func log(event: LogEvent) {
        let pairs = metadata.merging(event.metadata ?? [:]) { _, new in new }
            .sorted { $0.key < $1.key }
            .map { "\($0.key)=\(HostileText.escaped("\($0.value)", limit: 200))" }
        let text = ([HostileText.escaped("\(event.message)", limit: 500)] + pairs)
            .joined(separator: " ")
        switch place {
        case .journal: Self.write("<\(Self.priority(event.level))>\(text)\n", to: STDERR_FILENO)
        case .file(let path):
            let time = RFC3339.text(BoxClock().now())
            Self.append("\(time) \(event.level) \(text)\n", to: path)
        }
    }

    /// syslog's numbers, as journald reads them from a line's start (sd-daemon(3)).
    private static func priority(_ level: Logger.Level) -> Int {
        switch level {
        case .trace, .debug: 7
        case .info: 6
        case .notice: 5
        case .warning: 4
        case .error: 3
        case .critical: 2
        }
    }

    private static func append(_ line: String, to path: String) {
        // Sound throughout: paths are lent NUL-terminated for one call.
        let descriptor = unsafe holdfast_openat(
            AT_FDCWD, path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0o600)
        // A log that cannot be written must not stop a backup.
        guard descriptor >= 0 else { return }
        defer { Glibc.close(descriptor) }
        write(line, to: descriptor)
        if lseek(descriptor, 0, SEEK_END) > fileLimit { unsafe rename(path, path + ".old") }
    }

    private static func write(_ line: String, to descriptor: Int32) {
        let bytes = Array(line.utf8)
        // Sound: the buffer is lent for the call with its own count. A short write loses the end
        // of one log line, no more.
        _ = unsafe bytes.withUnsafeBytes { buffer in
            unsafe Glibc.write(descriptor, buffer.baseAddress, buffer.count)
        }
    }
}
