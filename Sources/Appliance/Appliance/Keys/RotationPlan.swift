package import BackupCore
import Drives

/// What a rotation of an owner's keys will do, to be shown before it is done.
package struct RotationPlan: Sendable {
    package let owner: OwnerID
    /// Key files that new ones replace.
    package let replaced: [KeyFacts]
    /// Key files that stay.
    package let kept: [KeyFacts]
    /// Whether it finishes one that was begun.
    package let isResumed: Bool
    /// Drives where it is done at once, by name.
    package let present: [String]
    /// Drives that follow when they are seen next, by name.
    package let absent: [String]

    /// What a rotation helps against, and what not.
    package static let limits = """
        It helps when a sheet or a password was seen, as long as nobody copied the old key files \
        from a drive. It does not help against someone who has a copy of a drive and the old words \
        or the old password: the data stays encrypted with the same master key, which restic's \
        format cannot change. Against that, erase the owner and back up anew.
        """

    /// Sentences for people.
    package var sentences: [String] {
        var lines: [String] = []
        if isResumed { lines.append("A rotation that was begun before is finished.") }
        lines += [
            "Owner \(owner) gets a new password and new recovery words.",
            "Replaced key files: \(Self.list(replaced)).",
        ]
        if !kept.isEmpty { lines.append("Key files that stay: \(Self.list(kept)).") }
        for key in kept where key.origin == .holdfast {
            lines.append(
                "Key file \(key.id.short) was made by a Holdfast box for secrets that this one "
                    + "does not have, such as a lost box's password; to remove it too, add "
                    + "--remove-key \(key.id.short).")
        }
        lines.append("Drives: \(present.joined(separator: ", ")).")
        if !absent.isEmpty {
            lines.append(
                "Not there: \(absent.joined(separator: ", ")). The old sheet goes on opening what "
                    + "is absent until it is connected and a backup, heal or setup runs.")
        }
        lines.append("The old recovery sheet will open nothing then: print the new one.")
        return lines + [Self.limits]
    }

    private static func list(_ keys: [KeyFacts]) -> String {
        keys.isEmpty ? "none" : keys.map(\.description).joined(separator: ", ")
    }

    /// Keys `owner, resumed, replaced, kept: [{id, origin, maker, created}], drives, absent`.
    package var json: JSONValue {
        .members([
            "owner": .string(owner.rawValue), "resumed": .bool(isResumed),
            "replaced": .array(replaced.map(\.json)), "kept": .array(kept.map(\.json)),
            "drives": .array(present.map(JSONValue.string)),
            "absent": .array(absent.map(JSONValue.string)),
        ])
    }
}

extension KeyFacts {
    /// Keys `id, origin, maker, created`.
    package var json: JSONValue {
        .members([
            "id": .string(id.hex), "origin": .string(origin.rawValue), "maker": .string(maker),
            "created": .string(created),
        ])
    }
}

extension Box {
    /// What ``rotateKeys(of:removing:wait:events:)`` would do; nothing is changed. `notFound` for
    /// an unknown owner, or a start of an id in `removing` that is no kept key file's.
    package func planRotation(
        of owner: OwnerID, removing: [String]
    ) async throws -> RotationPlan {
        _ = try owners(owner)
        let roster = try await roster()
        let copies = try roster.required().map { $0.repository(owner) }
        let rotation = try store.rotation(of: owner)
        let facts = try await keyFacts(
            of: owner, on: copies, openedBy: try store.secrets(of: owner).passwords)
        var replaced = facts.filter {
            rotation?.replaced.contains($0.id) ?? ($0.origin == .current)
        }
        for start in removing {
            let found = facts.filter { $0.id.hex.hasPrefix(start.lowercased()) }
            guard found.count == 1, start.count >= 4 else {
                throw ApplianceError(
                    .notFound,
                    "\(HostileText.escaped(start, limit: 80)) is the id of no single key file.",
                    whatToDo: "Run holdfast key rotate --owner \(owner) --dry-run to see them.")
            }
            replaced += found.filter { !replaced.contains($0) }
        }
        let ids = Set(replaced.map(\.id))
        return RotationPlan(
            owner: owner, replaced: replaced, kept: facts.filter { !ids.contains($0.id) },
            isResumed: rotation != nil,
            present: roster.slots.filter { $0.drive != nil }.map(Self.name),
            absent: roster.slots.filter { $0.drive == nil }.map(Self.name))
    }

    private static func name(_ slot: DriveRoster.Slot) -> String {
        HostileText.escaped(slot.entry.name, limit: 64)
    }
}
