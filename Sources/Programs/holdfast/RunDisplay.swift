import Appliance
import BackupCore
import ControlAPI
import Synchronization

/// Shows a run: NDJSON for programs, lines and a progress line for people.
final class RunDisplay: Sendable {
    private let isJSON: Bool
    /// What people call the drives.
    private let names: [DriveID: String]
    private let meter = Mutex(ProgressMeter())
    private let lineIsOpen = Mutex(false)

    /// A display for runs of `box`; with `isJSON` events go to standard output as NDJSON.
    init(_ box: Box, isJSON: Bool) {
        self.isJSON = isJSON
        names = box.driveNames
    }

    /// Where the run's events go.
    var sink: RunEventSink {
        { event in self.show(event) }
    }

    private func show(_ event: RunEvent) {
        switch event {
        case .notice(let notice):
            if isJSON { Terminal.out(RunLine.json(event).line) }
            clearLine()
            let place = notice.path.map { "\($0): " } ?? ""
            Terminal.err(place + notice.message)
        case .progress(let progress):
            let line = meter.withLock { $0.line(for: progress, at: .now) }
            guard let line else { return }
            if isJSON { Terminal.out(RunLine.json(event).line) }
            guard Terminal.showsProgress else { return }
            lineIsOpen.withLock { $0 = true }
            Terminal.errPart("\r\u{1b}[K" + line)
        }
    }

    /// Takes the progress line away, so that something else can stand there.
    func clearLine() {
        let wasOpen = lineIsOpen.withLock { isOpen in
            defer { isOpen = false }
            return isOpen
        }
        if wasOpen { Terminal.errPart("\r\u{1b}[K") }
    }

    /// Tells how it ended and gives the exit status.
    func finish(_ summary: RunSummary) -> ExitCode {
        clearLine()
        for line in RunWords.lines(summary, names: names) { Terminal.err(line) }
        if isJSON { Terminal.out(summary.json.line) }
        return summary.exitCode
    }
}

/// Counts, rate and time left, at most four times a second and at each change of phase.
struct ProgressMeter {
    private var shown: ContinuousClock.Instant?
    private var phase: RunProgress.Phase?
    private var began: ContinuousClock.Instant?
    private var bytesAtStart: UInt64 = 0

    /// The line to show now, or nil when it is too early for another.
    mutating func line(
        for progress: RunProgress, at now: ContinuousClock.Instant
    ) -> String? {
        if phase != progress.phase {
            phase = progress.phase
            began = now
            bytesAtStart = progress.bytesDone
            shown = nil
        }
        if let shown, now - shown < .milliseconds(250) { return nil }
        shown = now
        var parts = [progress.phase.rawValue]
        if progress.filesDone > 0 || progress.filesTotal != nil {
            let total = progress.filesTotal.map { " of \($0)" } ?? ""
            parts.append("\(progress.filesDone)\(total) files")
        }
        if progress.bytesDone > 0 || progress.bytesTotal != nil {
            let total = progress.bytesTotal.map { " of " + ByteText.of($0) } ?? ""
            parts.append(ByteText.of(progress.bytesDone) + total)
        }
        parts += rate(progress, at: now)
        return parts.joined(separator: ", ")
    }

    private func rate(_ progress: RunProgress, at now: ContinuousClock.Instant) -> [String] {
        guard let began, progress.bytesDone > bytesAtStart else { return [] }
        let seconds = (now - began).roundedSeconds
        guard seconds >= 1 else { return [] }
        let rate = Double(progress.bytesDone - bytesAtStart) / seconds
        var parts = ["\(ByteText.of(UInt64(rate)))/s"]
        if let total = progress.bytesTotal, total > progress.bytesDone, rate >= 1 {
            let left = Double(total - progress.bytesDone) / rate
            parts.append(Self.timeLeft(left))
        }
        return parts
    }

    private static func timeLeft(_ seconds: Double) -> String {
        guard seconds < 360_000 else { return "more than 100 h left" }
        let whole = Int(seconds.rounded(.up))
        if whole < 60 { return "\(whole) s left" }
        if whole < 3600 { return "\(whole / 60) min \(whole % 60) s left" }
        return "\(whole / 3600) h \(whole % 3600 / 60) min left"
    }
}

/// Byte counts for people.
enum ByteText {
    /// `17 B`, `3.2 MB`: powers of 1000, one decimal.
    static func of(_ bytes: UInt64) -> String {
        guard bytes >= 1000 else { return "\(bytes) B" }
        var value = Double(bytes)
        var unit = 0
        let units = ["B", "kB", "MB", "GB", "TB", "PB", "EB"]
        while value >= 999.95, unit + 1 < units.count {
            value /= 1000
            unit += 1
        }
        let tenths = Int((value * 10).rounded())
        return "\(tenths / 10).\(tenths % 10) \(units[unit])"
    }
}

/// How a run ended, in words.
enum RunWords {
    /// The lines for a summary, the closing sentence last; `names` are what people call drives.
    static func lines(_ summary: RunSummary, names: [DriveID: String]) -> [String] {
        var lines: [String] = []
        for detail in summary.details {
            switch (detail.key, detail.value) {
            case ("skipped", .array(let entries)), ("not_restored", .array(let entries)):
                for entry in entries.prefix(20) {
                    let path = entry["path"]?.text ?? ""
                    lines.append("  not saved: \(path): \(entry["reason"]?.text ?? "")")
                }
                if detail.key == "not_restored" {
                    lines = lines.map { $0.replacing("not saved", with: "not restored") }
                }
            case ("findings", .array(let findings)):
                for finding in findings.prefix(20) { lines.append(line(finding, names)) }
            default: break
            }
        }
        for snapshot in summary.snapshots {
            let files = snapshot.files.map { ", " + Counted.files($0) } ?? ""
            let bytes = snapshot.bytes.map { ", \(ByteText.of($0))" } ?? ""
            let copies = snapshot.copies.map { "\(name($0.drive, names)) \($0.state)" }
            let kind = snapshot.isComplete ? "Snapshot" : "Partial snapshot"
            lines.append(
                "\(kind) \(snapshot.id.short)\(files)\(bytes): \(copies.joined(separator: ", "))")
        }
        return lines + [summary.message]
    }

    private static func name(_ drive: DriveID, _ names: [DriveID: String]) -> String {
        names[drive].map { HostileText.escaped($0, limit: 80) } ?? drive.rawValue
    }

    private static func line(_ finding: JSONValue, _ names: [DriveID: String]) -> String {
        let what = finding["file"]?.text ?? "a blob"
        let copy = finding["good_copy"] == .bool(true) ? "a good copy exists" : "no good copy"
        let paths = (finding["paths"]?.elements ?? []).compactMap(\.text)
        let drive = finding["drive"]?.text.flatMap(DriveID.init(rawValue:))
        return
            "  \(drive.map { name($0, names) } ?? ""): \(what) \(finding["problem"]?.text ?? ""), "
            + copy + (paths.isEmpty ? "" : " (\(paths.joined(separator: ", ")))")
    }
}
