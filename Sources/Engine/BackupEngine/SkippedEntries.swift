internal import BackupCore

/// The entries that are not saved as the phone has them now. The list is bounded; the count goes
/// on, so that a phone cannot fill the memory with refusals.
struct SkippedEntries {
    /// Why; the word stands in `/holdfast.json`, so it must not vary from run to run.
    enum Reason: String {
        case unreadable
        case wrongSize = "wrong_size"
        case folderNotListed = "folder_not_listed"
        case entriesNotDescribed = "entries_not_described"
        case cycle
        case interrupts
        case previousDamaged = "previous_damaged"
        /// Refused to everybody by many phones, so that it is no failure of this one.
        case privateToApps = "private_to_apps"

        /// The reason for people.
        var sentence: String {
            switch self {
            case .unreadable: "The phone could not read it."
            case .wrongSize: "Its content is not of the size that the phone announced."
            case .folderNotListed:
                "The phone could not list this folder; what was saved of it before is kept."
            case .entriesNotDescribed:
                "The phone did not describe every entry of this folder; the others are saved, and "
                    + "what was saved of it before is kept."
            case .cycle: "The folder contains itself and is cut here."
            case .interrupts: "The connection broke each time it was read."
            case .privateToApps: "The phone keeps this folder to its apps."
            case .previousDamaged: "It cannot be read now and its earlier copy is damaged."
            }
        }
    }

    struct Entry {
        let path: EntryPath
        let reason: Reason
    }

    /// Entries named; more are only counted.
    static let namedLimit = 10_000

    private(set) var entries: [Entry] = []
    /// Those that make a run end with 22.
    private(set) var count = 0

    mutating func add(_ path: EntryPath, _ reason: Reason) {
        if reason != .privateToApps { count += 1 }
        if entries.count < Self.namedLimit { entries.append(Entry(path: path, reason: reason)) }
    }

    mutating func add(_ other: SkippedEntries) {
        entries += other.entries.prefix(Self.namedLimit - entries.count)
        count += other.count
    }

    /// As a report has them.
    var reported: [BackupReport.Skipped] {
        entries.filter { $0.reason != .privateToApps }.map {
            .init(path: $0.path, reason: $0.reason.sentence)
        }
    }
}
