package import BackupCore

/// What a `forget` would do to one owner's snapshots, to be shown before it is done.
package struct ForgetPlan: Hashable, Sendable {
    /// One snapshot and why it is kept, or why it goes.
    package struct Entry: Hashable, Sendable {
        package let snapshot: Snapshot
        package let reasons: [String]
    }

    /// The snapshots of one phone and capture, newest first.
    package struct Group: Hashable, Sendable {
        /// nil, as is `capture`, for the snapshots that other programs made.
        package let phone: PhoneID?
        package let capture: Capture?
        package internal(set) var kept: [Entry] = []
        package internal(set) var going: [Entry] = []
        /// How many of the kept ones no rule keeps: they wait for a later run.
        package internal(set) var postponed = 0
    }

    /// Why nothing of it may be carried out.
    package enum Refusal: Hashable, Sendable {
        /// Every complete snapshot of a phone and capture was named; this is the newest.
        case lastComplete(ContentID)
        /// Unattended: this snapshot of ours is newer than the clock.
        case newestInFuture(ContentID)
        /// Unattended: the drive lacks so many snapshots that journals tell of.
        case shrunkenListing(DriveID, missing: Int)
    }

    package internal(set) var groups: [Group] = []
    package internal(set) var refusals: [Refusal] = []

    /// The snapshots that go.
    package var going: [Snapshot] { groups.flatMap { $0.going.map(\.snapshot) } }
    /// The snapshots that stay.
    package var kept: [Snapshot] { groups.flatMap { $0.kept.map(\.snapshot) } }
}

/// What is to be forgotten, and what is known beside the snapshots themselves.
package struct ForgetRequest: Sendable {
    /// What decides.
    package enum Choice: Hashable, Sendable {
        /// What no rule keeps goes, of this phone and this capture only where one is given.
        case rules(RetentionPolicy, phone: PhoneID?, capture: Capture?)
        /// These go, whoever made them.
        case named(Set<ContentID>)
    }

    package var choice: Choice
    /// Nobody looks at the plan: the rails bind.
    package var isScheduled = false
    /// The box's clock, which may be wrong.
    package var now: Timestamp
    /// Snapshots whose every byte was read back from every drive that is there, and from two at
    /// least.
    package var verified: Set<ContentID> = []
    /// How many snapshots each drive lacks that a journal says it had.
    package var missing: [DriveID: Int] = [:]

    /// A request at the time `now`.
    package init(_ choice: Choice, now: Timestamp) {
        self.choice = choice
        self.now = now
    }
}
