package import BackupCore
package import ControlAPI
import Drives
import Glibc

/// One owner for `holdfast owners`.
package struct OwnerDocument: Hashable, Sendable {
    package let owner: OwnerRecord
    package let phones: [PhoneRecord]

    /// Keys `id, created, sheet_shown, phones: [{id, name, family, model}]`.
    package var json: JSONValue {
        .members([
            "id": .string(owner.id.rawValue),
            "created": .string(RFC3339.text(owner.created)),
            "sheet_shown": .optional(owner.sheetShown.map { RFC3339.text($0) }),
            "phones": .array(
                phones.map { phone in
                    .members([
                        "id": .string(phone.id.rawValue), "name": .string(phone.name),
                        "family": .string(phone.family.rawValue),
                        "model": .string(phone.model),
                    ])
                }),
        ])
    }
}

extension Box {
    /// The owners and the phones of each.
    package func ownerDocuments(_ filter: QueryFilter) throws -> [OwnerDocument] {
        let phones = try store.phones()
        return try owners(filter.owner).compactMap { owner in
            let own = phones.filter { $0.owner == owner.id }
            guard filter.phone == nil || own.contains(where: { $0.id == filter.phone }) else {
                return nil
            }
            return OwnerDocument(owner: owner, phones: own)
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
        var documents: [DriveDocument] = []
        for slot in roster.slots {
            documents.append(
                await document(slot, sameDeviceAs: (neighbours[slot.entry.id] ?? []).sorted()))
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
        guard let drive = slot.drive else { return document }
        do throws(BackendError) {
            let space = try await drive.space()
            document.freeBytes = space.freeBytes
            document.totalBytes = space.totalBytes
            document.lastVerified = try await lastVerified(drive)
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

    /// When the owner on the drive that was verified longest ago was; nil while one never was.
    private func lastVerified(_ drive: Drive) async throws(BackendError) -> Timestamp? {
        var oldest: Timestamp?
        for owner in try await drive.owners() {
            guard let time = catalog.verified(drive.id, owner: owner) else { return nil }
            oldest = min(oldest ?? time, time)
        }
        return oldest
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
