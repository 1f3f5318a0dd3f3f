/// Counts for sentences.
package enum Counted {
    /// "1 file", "7 files".
    package static func files(_ count: Int) -> String { count == 1 ? "1 file" : "\(count) files" }

    /// "1 entry", "7 entries".
    package static func entries(_ count: Int) -> String {
        count == 1 ? "1 entry" : "\(count) entries"
    }
}
