/// Which snapshots are worth keeping, in restic's rules: what one of them keeps is kept.
package struct RetentionPolicy: Hashable, Sendable {
    /// A count for "all there are".
    package static let unlimited = Int.max

    /// The newest so many.
    package var last = 0
    /// The newest of each of the last so many hours that have one; and so on.
    package var hourly = 0
    package var daily = 0
    /// Weeks by ISO 8601: from Monday.
    package var weekly = 0
    package var monthly = 0
    package var yearly = 0
    /// All that are younger than this, reckoned from the newest one.
    package var within: CalendarSpan?
    /// All that have every tag of one of these lists.
    package var tags: [[String]] = []

    /// A policy without rules.
    package init() {}

    /// Whether it has no rule, so that it says nothing about what may go.
    package var isEmpty: Bool {
        [last, hourly, daily, weekly, monthly, yearly].allSatisfy { $0 <= 0 } && within == nil
            && tags.isEmpty
    }
}
