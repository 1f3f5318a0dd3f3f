/// One capture of one phone at one time, as a repository records it.
package struct Snapshot: Hashable, Sendable {
    /// The SHA-256 of the stored snapshot file.
    package let id: ContentID
    package let draft: SnapshotDraft

    /// A stored snapshot.
    package init(id: ContentID, draft: SnapshotDraft) {
        self.id = id
        self.draft = draft
    }

    package var time: Timestamp { draft.time }
    package var tree: ContentID { draft.tree }
    package var tags: [String] { draft.tags }

    /// The phone, from the tag `phone:<id>`; nil for a snapshot that another program made.
    package var phone: PhoneID? { tag("phone").flatMap(PhoneID.init(rawValue:)) }
    /// The capture, from the tag `capture:<kind>`.
    package var capture: Capture? { tag("capture").flatMap(Capture.init(rawValue:)) }
    /// The run, from the tag `run:<id>`.
    package var run: RunID? { tag("run").flatMap(RunID.init(rawValue:)) }
    /// Whether the run was cut short or held: never counted by retention.
    package var isPartial: Bool { tags.contains(SnapshotDraft.partialTag) }

    private func tag(_ name: String) -> String? {
        tags.first { $0.hasPrefix(name + ":") }.map { String($0.dropFirst(name.count + 1)) }
    }
}

/// A snapshot before it is stored.
package struct SnapshotDraft: Hashable, Sendable {
    /// The tag of a snapshot that does not hold the whole phone.
    package static let partialTag = "partial"

    package var time: Timestamp
    /// The zone's offset that the time is written with, in seconds; retention by days uses it.
    package var utcOffsetSeconds: Int
    package var tree: ContentID
    package var parent: ContentID?
    package var paths: [String]
    package var hostname: String
    package var username: String
    package var tags: [String]

    /// A draft with every field given.
    package init(
        time: Timestamp, utcOffsetSeconds: Int, tree: ContentID, parent: ContentID?,
        paths: [String], hostname: String, username: String, tags: [String]
    ) {
        self.time = time
        self.utcOffsetSeconds = utcOffsetSeconds
        self.tree = tree
        self.parent = parent
        self.paths = paths
        self.hostname = hostname
        self.username = username
        self.tags = tags
    }

    /// The draft of one phone's capture, with the tags and paths that keep phones, captures and
    /// partial snapshots apart, also for plain restic's default grouping.
    package static func of(
        phone: PhoneID, capture: Capture, run: RunID, partial: Bool, tree: ContentID,
        parent: ContentID?, time: Timestamp, utcOffsetSeconds: Int, hostname: String
    ) -> SnapshotDraft {
        SnapshotDraft(
            time: time, utcOffsetSeconds: utcOffsetSeconds, tree: tree, parent: parent,
            paths: ["/\(phone)/\(capture.rawValue)" + (partial ? "/partial" : "")],
            hostname: hostname, username: "holdfast",
            tags: ["phone:\(phone)", "capture:\(capture.rawValue)", "run:\(run)"]
                + (partial ? [partialTag] : []))
    }
}

/// How far one drive's copy of something has come.
package enum CopyState: Hashable, Sendable {
    /// In the filesystem, perhaps only in memory.
    case written
    /// Its directory entry is on the medium.
    case durable
    /// Read back cold with an equal hash.
    case verified
    /// The drive lacks it; why.
    case behind(BackendError)

    /// Whether a power cut now would leave the copy in place.
    package var isDurable: Bool { self == .durable || self == .verified }
}

/// One drive and how far its copy has come.
package struct CopyReceipt: Hashable, Sendable {
    package let drive: DriveID
    package let state: CopyState

    /// A receipt.
    package init(drive: DriveID, state: CopyState) {
        self.drive = drive
        self.state = state
    }
}
