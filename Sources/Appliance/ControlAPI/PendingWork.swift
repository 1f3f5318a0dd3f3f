package import BackupCore

/// Something that is still to be done on a drive, mostly because it was away.
package struct PendingWork: Hashable, Sendable {
    /// What is to be done.
    package enum Kind: String, Sendable {
        /// The owner's repository is to be removed; it happens by itself.
        case erasure
        /// As above, but only a drive's journal says so: a person decides.
        case erasureElsewhere = "erasure_elsewhere"
        /// Key files that were replaced are to be removed, new ones added; by itself.
        case keys
    }

    package let kind: Kind
    package let owner: OwnerID

    /// Work of `kind` for `owner`.
    package init(_ kind: Kind, _ owner: OwnerID) {
        self.kind = kind
        self.owner = owner
    }

    /// The work in a sentence for people.
    package var sentence: String {
        switch kind {
        case .erasure:
            "The backups of \(owner) are still to be erased from it: connect it and run a backup, "
                + "heal or setup."
        case .erasureElsewhere:
            "It holds backups of \(owner), who was erased by an earlier box, as a journal says: "
                + "run holdfast owners erase \(owner) to remove them."
        case .keys:
            "It still opens with keys of \(owner) that were replaced: connect it and run a "
                + "backup, heal or setup."
        }
    }

    /// Keys `kind, owner`.
    package var json: JSONValue {
        .members(["kind": .string(kind.rawValue), "owner": .string(owner.rawValue)])
    }
}
