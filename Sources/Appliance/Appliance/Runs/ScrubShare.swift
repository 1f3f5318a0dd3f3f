import BackupCore
import ControlAPI
import Drives
import Synchronization

/// How many bytes of a drive a scrub reads: what was never read back, what was not for 30 days,
/// and a thirtieth of all for each day since the last scrub; or the share that was asked for.
struct ScrubShare {
    let total: UInt64
    let options: ScrubOptions
    let last: Timestamp?
    let now: Timestamp

    /// The first of `files`, which stand in the order of their need.
    func choose<File>(_ files: [(file: File, byteCount: UInt64, verified: Timestamp?)]) -> [File] {
        var chosen: [File] = []
        var bytes: UInt64 = 0
        for (file, byteCount, verified) in files {
            guard bytes < share || options.percent == nil && isOverdue(verified) else { break }
            chosen.append(file)
            bytes += byteCount
        }
        return chosen
    }

    private func isOverdue(_ verified: Timestamp?) -> Bool {
        guard let verified else { return true }
        let age = now.seconds - verified.seconds
        // A time in the future is a clock that was wrong then.
        return age < 0 || age >= 86_400 * Box.scrubDays
    }

    private var share: UInt64 {
        if let percent = options.percent { return Self.part(total, UInt64(percent), of: 100) }
        // With a time to fill, it is filled.
        if options.minutes != nil { return .max }
        let day: Int64 = 86_400
        let seconds = last.map { now.seconds - $0.seconds } ?? day
        // A clock that went back counts as a day, one that leapt as the whole.
        let due = seconds < 0 ? day : min(seconds, day * Box.scrubDays)
        return Self.part(total, UInt64(due), of: UInt64(day * Box.scrubDays))
    }

    private static func part(_ total: UInt64, _ count: UInt64, of whole: UInt64) -> UInt64 {
        let (high, low) = total.multipliedFullWidth(by: count)
        guard high < whole else { return total }
        return whole.dividingFullWidth((high, low)).quotient
    }
}

/// Collects what a reading back found and writes it to the catalog many files at a time.
struct ReadBackBatch {
    private static let limit = 500

    let place: Catalog.Copy
    let box: Box
    private var good: [FileName] = []
    private var problems: [FileName: CopyFinding.Problem] = [:]

    init(place: Catalog.Copy, box: Box) {
        self.place = place
        self.box = box
    }

    mutating func add(_ file: FileName, _ result: ReadBack) {
        switch result {
        case .good: good.append(file)
        case .bad(let problem): problems[file] = problem
        // What went meanwhile went on purpose, or the next look misses it.
        case .gone, .failed: break
        }
        if good.count + problems.count >= Self.limit { write() }
    }

    mutating func write() {
        box.catalog.remember(good: good, problems: problems, on: place, at: box.clock.now())
        good = []
        problems = [:]
    }
}

/// Counts what all drives' readings did together.
final class ScrubMeter: Sendable {
    private let state: Mutex<RunProgress>
    private let events: RunEventSink

    init(files: Int, bytes: UInt64?, _ events: @escaping RunEventSink) {
        state = Mutex(RunProgress(phase: .checking, filesTotal: files, bytesTotal: bytes))
        self.events = events
    }

    func add(_ byteCount: UInt64) {
        state.withLock { progress in
            progress.filesDone += 1
            progress.bytesDone += byteCount
            // Under the lock, so that numbers never go backwards.
            events(.progress(progress))
        }
    }

    /// Files and bytes read.
    var counts: (files: Int, bytes: UInt64) {
        state.withLock { ($0.filesDone, $0.bytesDone) }
    }
}
