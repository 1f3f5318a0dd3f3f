package import BackupCore
package import ControlAPI
import Drives
import Glibc

/// One owner for `holdfast owners`.
package struct OwnerDocument: Hashable, Sendable {
    package let owner: OwnerRecord
    package let phones: [PhoneRecord]
    /// Drives on which something of the owner is still to be done: an erasure when it was
    /// erased, else key files that were replaced.
    package let pending: [DriveID]
    /// Whether a change of keys was begun and did not come to its end.
    package var isRotating = false
    /// When the owner was erased; nil for one that is there.
    package var erased: Timestamp?

    /// Keys `id, created, sheet_shown, phones: [{id, name, family, model}], sheet_proved, state
    /// (active|rotating|erasing), pending_drives, erased`.
    package var json: JSONValue {
        .members([
            "id": .string(owner.id.rawValue),
            "created": erased == nil ? .string(RFC3339.text(owner.created)) : .null,
            "sheet_shown": .optional(owner.sheetShown.map { RFC3339.text($0) }),
            "phones": .array(
                phones.map { phone in
                    .members([
                        "id": .string(phone.id.rawValue), "name": .string(phone.name),
                        "family": .string(phone.family.rawValue),
                        "model": .string(phone.model),
                    ])
                }),
            "sheet_proved": .optional(owner.sheetProved.map { RFC3339.text($0) }),
            "state": .string(erased != nil ? "erasing" : isRotating ? "rotating" : "active"),
            "pending_drives": .array(pending.map { .string($0.rawValue) }),
            "erased": .optional(erased.map { RFC3339.text($0) }),
        ])
    }
}

extension Box {
    /// The owners and the phones of each; then those who were erased, while a drive still has
    /// something of them.
    package func ownerDocuments(_ filter: QueryFilter) throws -> [OwnerDocument] {
        let drives = configuration.drives.map(\.id)
        let erased = try store.erasedOwners().filter { erased in
            erased.isConfirmed && !erased.done.isSuperset(of: drives)
                && (filter.owner == nil || filter.owner == erased.id) && filter.phone == nil
        }
        let phones = try store.phones()
        let owners = erased.contains { $0.id == filter.owner } ? [] : try owners(filter.owner)
        var documents: [OwnerDocument] = []
        for owner in owners {
            let own = phones.filter { $0.owner == owner.id }
            guard filter.phone == nil || own.contains(where: { $0.id == filter.phone }) else {
                continue
            }
            let retired = try store.retiredKeys(of: owner.id)
            documents.append(
                OwnerDocument(
                    owner: owner, phones: own, pending: drives.filter { retired.isPending(on: $0) },
                    isRotating: try store.rotation(of: owner.id) != nil))
        }
        return documents
            + erased.map { erased in
                OwnerDocument(
                    owner: OwnerRecord(id: erased.id, created: .zero), phones: [],
                    pending: drives.filter { !erased.done.contains($0) }, erased: erased.time)
            }
    }

    /// The enrolled drives as they are now.
    package func driveDocuments(_ filter: QueryFilter) async throws -> [DriveDocument] {
        let roster = try await roster()
        try refuseUnknown(filter, roster)
        return await documents(roster).filter { filter.drive == nil || $0.id == filter.drive }
    }

    /// The documents of a roster.
    func documents(_ roster: DriveRoster) async -> [DriveDocument] {
        let neighbours = roster.neighbours()
        // What cannot be read of the state folder now is told by whoever needs it.
        let pending = (try? await pendingWork(on: roster)) ?? [:]
        var documents: [DriveDocument] = []
        for slot in roster.slots {
            var document = await document(
                slot, sameDeviceAs: (neighbours[slot.entry.id] ?? []).sorted())
            document.pending = pending[slot.entry.id] ?? []
            documents.append(document)
        }
        return documents
    }

    private func document(
        _ slot: DriveRoster.Slot, sameDeviceAs others: [DriveID]
    ) async -> DriveDocument {
        var document = DriveDocument(
            id: slot.entry.id, name: slot.entry.name,
            path: slot.drive?.path ?? slot.entry.path, state: "ready", message: "",
            freeBytes: nil, totalBytes: nil, lastVerified: nil, sameDeviceAs: others)
        if let problem = slot.problem {
            document.state = Self.word(problem)
            document.message = "\(problem.whatHappened) \(problem.whatToDo)"
        }
        if !others.isEmpty {
            document.message =
                "It lies on the same disk as \(others.map(\.rawValue).joined(separator: ", ")): "
                + "one failure takes both."
        }
        let standings = standings(of: slot.entry.id)
        document.unverifiedFiles = standings.reduce(0) { $0 + $1.unverifiedCount }
        document.damagedFiles = standings.reduce(0) { $0 + $1.damagedCount }
        if document.damagedFiles == 0, standings.allSatisfy({ $0.oldestVerified != nil }) {
            document.lastVerified = standings.compactMap(\.oldestVerified).min()
        }
        guard let drive = slot.drive else { return document }
        do throws(BackendError) {
            let space = try await drive.space()
            document.freeBytes = space.freeBytes
            document.totalBytes = space.totalBytes
            if Self.isMountedReadOnly(drive.path) {
                document.state = "read_only"
                let sentence =
                    "It is mounted read-only: it can be read but takes no backup. Look in the "
                    + "system log why, and mount it writable."
                document.message += (document.message.isEmpty ? "" : " ") + sentence
            }
        } catch {
            document.state = Self.word(error)
            document.message = "\(error.whatHappened) \(error.whatToDo)"
        }
        return document
    }

    /// What is known of all files on a drive, by owner.
    func standings(of drive: DriveID) -> [Catalog.CopyStanding] {
        // Owners that cannot be listed have no file that could be told of.
        let owners = (try? store.owners().map(\.id)) ?? []
        return owners.compactMap { catalog.standing(of: Catalog.Copy(drive, $0)) }
    }

    /// Whether the filesystem at `path` takes no writes; false when it cannot be told.
    private static func isMountedReadOnly(_ path: String) -> Bool {
        var status = statvfs()
        // Sound: `status` and the path, lent NUL-terminated, live for the call.
        guard unsafe statvfs(path, &status) == 0 else { return false }
        return status.f_flag & UInt(ST_RDONLY) != 0
    }

    private static func word(_ problem: BackendError) -> String {
        switch problem.code {
        case .absent: "absent"
        case .wrongDrive: "wrong"
        case .full: "full"
        case .readOnly: "read_only"
        default: "failed"
        }
    }
}
