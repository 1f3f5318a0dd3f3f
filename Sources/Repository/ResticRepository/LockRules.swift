package import BackupCore
package import ResticFormat

/// A lock file as one drive shows it.
package struct FoundLock: Sendable {
    let id: ContentID
    /// What it says; nil when it cannot be read.
    let content: LockRecord?
    /// How long the file has been known to lie there, by monotonic time.
    let unchangedFor: Duration

    /// A lock file that was found.
    package init(id: ContentID, content: LockRecord?, unchangedFor: Duration) {
        self.id = id
        self.content = content
        self.unchangedFor = unchangedFor
    }
}

/// When a lock holds others back, and when it is a left-over.
///
/// Source: restic's design document, "Locks", and the rule of two clocks: a lock is stale only
/// when it is old by the wall clock and was also watched lying unchanged, because a clock that
/// jumps would otherwise steal the lock of a program that lives (borg#10077).
package enum LockRules {
    /// The age by wall clock from which restic calls a lock stale.
    static let staleAge: Int64 = 30 * 60
    /// How long a lock must have been seen unchanged; restic refreshes each 5 minutes.
    static let unchangedAge = Duration.seconds(35 * 60)
    /// How often a holder writes its lock anew.
    package static let refreshInterval = Duration.seconds(5 * 60)
    /// When a holder whose refresh keeps failing must stop relying on its lock.
    package static let trustAge = Duration.seconds(22 * 60 + 30)
    /// The pause between writing a lock and looking for others once more.
    static let settleTime = Duration.milliseconds(200)

    /// Whether a lock of ours (`exclusive` or shared) may not be taken beside `other`. A lock that
    /// cannot be read may be exclusive.
    static func conflicts(_ other: FoundLock, exclusive: Bool) -> Bool {
        exclusive || other.content?.isExclusive ?? true
    }

    /// Whether `lock` is a left-over of a program that ended. `now` is the later of the clock and
    /// the newest date in the repository.
    package static func isStale(_ lock: FoundLock, now: Timestamp) -> Bool {
        guard lock.unchangedFor >= unchangedAge else { return false }
        guard let content = lock.content else { return true }
        return now.seconds - content.time.seconds > staleAge
    }
}
