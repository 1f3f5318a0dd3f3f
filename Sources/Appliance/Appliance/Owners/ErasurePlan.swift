package import BackupCore
import Drives

/// What erasing an owner will remove, to be shown before it is done.
package struct ErasurePlan: Sendable {
    /// What one drive holds of the owner.
    package struct OnDrive: Sendable {
        package let drive: DriveID
        /// What people call it, escaped.
        package let name: String
        /// Whether it is there; one that is away follows when it is seen next.
        package let isPresent: Bool
        package let files: Int
        package let bytes: UInt64
    }

    package let owner: OwnerID
    package let phones: [PhoneRecord]
    package let snapshots: Int
    package let drives: [OnDrive]
    /// Whether it was begun before and is to be finished.
    package let isBegun: Bool

    /// Whether `typed` names the owner or one of the phones, as a person confirms it.
    package func isNamed(by typed: String) -> Bool {
        let typed = typed.split(whereSeparator: \.isWhitespace).joined(separator: " ")
        return typed == owner.rawValue
            || !typed.isEmpty
                && phones.contains { phone in
                    phone.name.split(whereSeparator: \.isWhitespace).joined(separator: " ") == typed
                        || phone.id.rawValue == typed
                }
    }

    /// Sentences for people.
    package var sentences: [String] {
        let names = phones.map { "\(HostileText.escaped($0.name, limit: 60)) (\($0.id))" }
        var lines = [
            "Owner \(owner) is erased. Phones: \(names.isEmpty ? "none" : names.joined(separator: ", ")). "
                + "Snapshots on the drives that are there: \(snapshots)."
        ]
        if isBegun { lines.append("The erasure was begun before and is finished.") }
        for drive in drives {
            lines.append(
                drive.isPresent
                    ? "Drive \(drive.name): \(Counted.files(drive.files)), \(drive.bytes) bytes go."
                    : "Drive \(drive.name) is not there; it follows when it is seen next.")
        }
        lines.append(
            "Password, words and keys on this box go too. Nobody can read these backups "
                + "afterwards, with the recovery sheet or without. This cannot be undone.")
        return lines
    }

    /// Keys `owner, phones: [{id, name}], snapshots, drives: [{drive, present, files, bytes}],
    /// begun`.
    package var json: JSONValue {
        .members([
            "owner": .string(owner.rawValue),
            "phones": .array(
                phones.map {
                    .members(["id": .string($0.id.rawValue), "name": .string($0.name)])
                }),
            "snapshots": .integer(Int64(snapshots)),
            "drives": .array(
                drives.map {
                    .members([
                        "drive": .string($0.drive.rawValue), "present": .bool($0.isPresent),
                        "files": .integer(Int64($0.files)), "bytes": .unsigned($0.bytes),
                    ])
                }),
            "begun": .bool(isBegun),
        ])
    }
}

extension Box {
    /// What erasing `owner` would remove; nothing is changed. `notFound` when neither the box nor
    /// a drive that is there knows the owner.
    package func planErasure(of owner: OwnerID) async throws -> ErasurePlan {
        let roster = try await roster()
        let isBegun = store.isErased(owner)
        var isKnown = isBegun || StateFiles.isFolder(store.folder(of: owner))
        var drives: [ErasurePlan.OnDrive] = []
        var snapshots: Set<ContentID> = []
        for slot in roster.slots {
            var (files, bytes) = (0, UInt64(0))
            if let drive = slot.drive, try await drive.holdsFiles(of: owner) {
                isKnown = true
                for kind in FileKind.allCases {
                    // An unreadable folder goes too; only its files are not counted.
                    let listed = (try? await drive.repository(owner).list(kind)) ?? []
                    files += listed.count
                    bytes += listed.reduce(0) { $0 + $1.byteCount }
                    if kind == .snapshot { snapshots.formUnion(listed.map(\.name.id)) }
                }
            }
            drives.append(
                ErasurePlan.OnDrive(
                    drive: slot.entry.id, name: HostileText.escaped(slot.entry.name, limit: 64),
                    isPresent: slot.drive != nil, files: files, bytes: bytes))
        }
        guard isKnown else {
            throw ApplianceError(
                .notFound, "There is no owner \(owner).",
                whatToDo: "Run holdfast owners to see whom there is.")
        }
        return ErasurePlan(
            owner: owner, phones: try store.phones().filter { $0.owner == owner },
            snapshots: snapshots.count, drives: drives, isBegun: isBegun)
    }
}
