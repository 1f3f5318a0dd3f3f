package import BackupCore
package import ControlAPI

/// What a person should know now.
package struct StatusDocument: Sendable {
    /// One phone's last complete snapshot.
    package struct Phone: Sendable {
        package let phone: PhoneRecord
        package let last: SnapshotDocument?
        /// Seconds since it.
        package let ageSeconds: Int64?
        /// Whether it has a durable copy on every enrolled drive, and at least two are enrolled.
        package let isSafe: Bool
    }

    package let phones: [Phone]
    package let drives: [DriveDocument]
    /// Owners whose sheet was never shown.
    package let ownersWithoutSheet: [OwnerID]
    package let runs: [Catalog.RunFacts]
    /// Sentences for people, most important first.
    package let warnings: [String]

    /// Keys `phones, drives, owners_without_sheet, runs, warnings`.
    package var json: JSONValue {
        .members([
            "phones": .array(phones.map(Self.json)), "drives": .array(drives.map(\.json)),
            "owners_without_sheet": .array(ownersWithoutSheet.map { .string($0.rawValue) }),
            "runs": .array(runs.map(Self.json)),
            "warnings": .array(warnings.map(JSONValue.string)),
        ])
    }

    private static func json(_ phone: Phone) -> JSONValue {
        .members([
            "id": .string(phone.phone.id.rawValue),
            "owner": .string(phone.phone.owner.rawValue), "name": .string(phone.phone.name),
            "last_complete": phone.last?.json ?? .null,
            "age_seconds": phone.ageSeconds.map(JSONValue.integer) ?? .null,
            "safe": .bool(phone.isSafe),
        ])
    }

    private static func json(_ run: Catalog.RunFacts) -> JSONValue {
        .members([
            "id": .string(run.id.rawValue), "kind": .string(run.kind),
            "owner": .optional(run.owner?.rawValue), "phone": .optional(run.phone?.rawValue),
            "started": .string(RFC3339.text(run.started)), "seconds": .number(run.seconds),
            "exit_code": .integer(Int64(run.exitCode.rawValue)),
        ])
    }
}

extension Box {
    /// The status of everything, narrowed by `filter`. Drives that are absent are part of the
    /// answer, not an error.
    package func status(_ filter: QueryFilter) async throws -> StatusDocument {
        let roster = try await roster()
        try refuseUnknown(filter, roster)
        let drives = await documents(roster).filter {
            filter.drive == nil || $0.id == filter.drive
        }
        // Without a drive nothing is known of snapshots; that is told as a warning.
        let snapshots =
            roster.present.isEmpty
            ? [] : try await snapshots(QueryFilter(owner: filter.owner))
        let phones = try store.phones().filter { phone in
            (filter.phone == nil || phone.id == filter.phone)
                && (filter.owner == nil || phone.owner == filter.owner)
        }.map { status(of: $0, snapshots, enrolled: roster.enrolled.count) }
        let unshown = try owners(filter.owner).filter { $0.sheetShown == nil }.map(\.id)
        return StatusDocument(
            phones: phones, drives: drives, ownersWithoutSheet: unshown,
            runs: catalog.runs(limit: 10), warnings: warnings(phones, drives, unshown))
    }

    private func status(
        of phone: PhoneRecord, _ snapshots: [SnapshotDocument], enrolled: Int
    ) -> StatusDocument.Phone {
        let last = snapshots.last { $0.phone == phone.id && $0.isComplete }
        let good = last?.copies.count { $0.state == "durable" || $0.state == "verified" } ?? 0
        return StatusDocument.Phone(
            phone: phone, last: last,
            ageSeconds: last.map { clock.now().seconds - $0.time.seconds },
            isSafe: good >= max(2, enrolled))
    }

    private func warnings(
        _ phones: [StatusDocument.Phone], _ drives: [DriveDocument], _ unshown: [OwnerID]
    ) -> [String] {
        var warnings: [String] = []
        for drive in drives where drive.state != "ready" {
            warnings.append("Drive \(HostileText.escaped(drive.name)): \(drive.message)")
        }
        if drives.count == 1, configuration.drives.count == 1 {
            warnings.append("Only one drive is enrolled: there is no second copy of anything.")
        }
        for drive in drives where !drive.sameDeviceAs.isEmpty {
            warnings.append("Drive \(HostileText.escaped(drive.name)): \(drive.message)")
        }
        for phone in phones where !phone.isSafe {
            let name = HostileText.escaped(phone.phone.name, limit: 60)
            warnings.append(
                phone.last == nil
                    ? "\(name) has no complete backup yet."
                    : "The last backup of \(name) is not on every drive, or there are not two.")
        }
        for owner in unshown {
            warnings.append(
                "The recovery sheet of \(owner) was never shown: without it, losing this box "
                    + "loses the backups. Print it: holdfast key sheet --owner \(owner)")
        }
        return warnings
    }
}
