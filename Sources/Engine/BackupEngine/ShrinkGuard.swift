internal import BackupCore

/// Counts what the last complete snapshot has and the phone does not, and decides whether that
/// is a question for a person.
struct ShrinkGuard {
    /// Files and bytes of the last complete snapshot.
    private(set) var files = 0
    private(set) var bytes: UInt64 = 0
    private(set) var goneFiles = 0
    private(set) var goneBytes: UInt64 = 0
    /// Files that are there but much smaller than before.
    private(set) var shrunkFiles = 0
    /// Storages that had files and are gone or list none, by their folder's name.
    private(set) var goneStorages: [EntryName] = []
    /// Files in any parent.
    private(set) var knownFiles = 0
    /// Files the phone lists now, in folders that could be listed.
    var listedFiles = 0
    /// Files in folders that could not be listed.
    var keptFiles = 0

    /// Counts a file of the complete parent; `now` is its size on the phone, nil when gone.
    mutating func count(_ before: UInt64, now: UInt64?) {
        files += 1
        bytes.addSaturating(before)
        if let now {
            guard now < before else { return }
            goneBytes.addSaturating(before - now)
            if now < before / 2 { shrunkFiles += 1 }
        } else {
            goneFiles += 1
            goneBytes.addSaturating(before)
        }
    }

    /// Counts a file that any parent has.
    mutating func countKnown() { knownFiles += 1 }

    /// Notes a storage that had files.
    mutating func storageIsGone(_ name: EntryName) { goneStorages.append(name) }

    /// The question, or nil when nothing is unusual.
    func question(_ limits: ShrinkLimits) -> String? {
        if knownFiles > 0, listedFiles == 0, keptFiles == 0 {
            return "The phone lists no files at all; \(knownFiles) were there before."
        }
        if let storage = goneStorages.first {
            return "The storage \(storage) had files and now shows none."
        }
        guard goneFiles + shrunkFiles >= limits.leastFiles else { return nil }
        let share = UInt64(clamping: limits.percent)
        let manyFiles = UInt64(goneFiles) * 100 > UInt64(files) * share
        let manyBytes = Self.exceeds(goneBytes, percent: share, of: bytes)
        guard manyFiles || manyBytes else { return nil }
        return "\(goneFiles) of \(files) files (\(ByteCount.text(goneBytes)) of "
            + "\(ByteCount.text(bytes))) that the last complete backup has are gone from the phone."
    }

    private static func exceeds(_ part: UInt64, percent: UInt64, of whole: UInt64) -> Bool {
        let left = part.multipliedFullWidth(by: 100)
        let right = whole.multipliedFullWidth(by: percent)
        return (left.high, left.low) > (right.high, right.low)
    }
}

/// Byte counts for sentences.
enum ByteCount {
    /// A count with one decimal and a decimal unit: "3.1 MB".
    static func text(_ count: UInt64) -> String {
        let units = ["bytes", "kB", "MB", "GB", "TB", "PB", "EB"]
        var value = count
        var rest: UInt64 = 0
        var unit = 0
        while value >= 1000, unit < units.count - 1 {
            rest = value % 1000
            value /= 1000
            unit += 1
        }
        return unit == 0 ? "\(value) bytes" : "\(value).\(rest / 100) \(units[unit])"
    }
}

extension UInt64 {
    /// Adds sizes that a phone announced: the sum of lies stays a large number and never traps.
    mutating func addSaturating(_ other: UInt64) { self = addingSaturating(other) }

    /// The sum, or the largest number.
    func addingSaturating(_ other: UInt64) -> UInt64 {
        let (sum, overflows) = addingReportingOverflow(other)
        return overflows ? .max : sum
    }
}
