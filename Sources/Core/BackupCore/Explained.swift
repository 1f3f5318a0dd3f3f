/// An error or outcome that answers a person's three questions.
package protocol Explained: Sendable {
    /// What happened, in one sentence; device text in it is already escaped.
    var whatHappened: String { get }
    /// What it means for the data.
    var consequence: Consequence { get }
    /// What to do now, in one sentence.
    var whatToDo: String { get }
}

/// What an outcome means for the data. Exit codes and colours come from this and the error's
/// code, never from text.
package enum Consequence: Sendable, Hashable {
    /// Nothing on any drive or phone changed.
    case nothingChanged
    /// What was saved stays; this many entries are missing from it.
    case incomplete(skipped: Int)
    /// The data is whole on some drives; these lack it.
    case oneCopyOnly(lacking: [DriveID])
    /// Stored data is damaged; `recoverable` tells whether a good copy exists.
    case damaged(recoverable: Bool)

    /// The consequence in words.
    package var sentence: String {
        switch self {
        case .nothingChanged: "Nothing was changed; earlier backups are as they were."
        case .incomplete(let skipped):
            skipped == 0
                ? "What was saved so far is kept; this backup is not complete."
                : "\(Counted.entries(skipped)) could not be included; everything else is there."
        case .oneCopyOnly(let lacking):
            "The data is not on every drive: "
                + lacking.map(\.description).joined(separator: ", ") + " lacks it."
        case .damaged(let recoverable):
            recoverable
                ? "Some stored files are damaged; a good copy of each exists."
                : "Some stored files are damaged and no good copy was found."
        }
    }
}

extension Explained {
    /// The three answers as one line.
    package var explanation: String { "\(whatHappened) \(consequence.sentence) \(whatToDo)" }
}
