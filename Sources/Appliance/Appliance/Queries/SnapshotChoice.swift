package import BackupCore
package import ControlAPI

/// How a person names a snapshot: `latest`, an id, or the start of one.
package struct SnapshotChoice: Hashable, Sendable {
    private let text: String

    /// A choice as it was typed.
    package init(_ text: String) { self.text = text }

    /// The snapshot that is meant among `all`; `notFound` when there is none, or more than one.
    /// `latest` is the newest complete one, and only when all complete ones are of one phone and
    /// capture: it must never be somebody else's.
    package func pick(
        from all: [(id: ContentID, document: SnapshotDocument)]
    ) throws(ApplianceError) -> ContentID {
        text == "latest" ? try latest(all) : try byPrefix(all)
    }

    private func latest(
        _ all: [(id: ContentID, document: SnapshotDocument)]
    ) throws(ApplianceError) -> ContentID {
        let complete = all.filter { $0.document.isComplete && $0.document.phone != nil }
        guard
            let newest = complete.max(by: {
                ($0.document.time, $0.id) < ($1.document.time, $1.id)
            })
        else {
            throw ApplianceError(
                .notFound, "There is no complete snapshot.",
                whatToDo: "Run holdfast snapshots; a partial one can be named by its id.")
        }
        let kinds = Set(
            complete.map {
                "\($0.document.phone?.rawValue ?? "") \($0.document.capture?.rawValue ?? "")"
            })
        guard kinds.count == 1 else {
            throw ApplianceError(
                .notFound, "latest could mean more than one phone or capture.",
                whatToDo: "Add --phone or --capture, or name the snapshot by its id.")
        }
        return newest.id
    }

    private func byPrefix(
        _ all: [(id: ContentID, document: SnapshotDocument)]
    ) throws(ApplianceError) -> ContentID {
        let prefix = text.lowercased()
        let isHex =
            !prefix.isEmpty
            && prefix.utf8.allSatisfy { byte in
                (0x30...0x39).contains(byte) || (0x61...0x66).contains(byte)
            }
        let matching = isHex ? all.filter { $0.id.hex.hasPrefix(prefix) } : []
        guard let first = matching.first else { throw Self.nothing(text) }
        guard matching.count == 1 else {
            throw ApplianceError(
                .notFound, "\(matching.count) snapshots begin with \(prefix).",
                whatToDo: "Give more digits of the one that is meant.")
        }
        return first.id
    }

    /// The error for a name that no snapshot has.
    static func nothing(_ text: String) -> ApplianceError {
        ApplianceError(
            .notFound, "There is no snapshot \(HostileText.escaped(text, limit: 80)).",
            whatToDo: "Run holdfast snapshots to see which there are.")
    }
}
