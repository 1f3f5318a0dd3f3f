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
        /// Whether the snapshots could be looked at: false while no drive is connected, or while
        /// the owner's repository does not open.
        package let isKnown: Bool
    }

    package let phones: [Phone]
    package let drives: [DriveDocument]
    /// Owners whose sheet was never shown.
    package let ownersWithoutSheet: [OwnerID]
    /// Owners whose sheet was shown and never typed in again.
    package let ownersWithoutProof: [OwnerID]
    package let runs: [Catalog.RunFacts]
    /// Sentences for people, most important first.
    package let warnings: [String]

    /// Keys `phones, drives, owners_without_sheet, runs, warnings, owners_without_proof`.
    package var json: JSONValue {
        .members([
            "phones": .array(phones.map(Self.json)), "drives": .array(drives.map(\.json)),
            "owners_without_sheet": .array(ownersWithoutSheet.map { .string($0.rawValue) }),
            "runs": .array(runs.map(Self.json)),
            "warnings": .array(warnings.map(JSONValue.string)),
            "owners_without_proof": .array(ownersWithoutProof.map { .string($0.rawValue) }),
        ])
    }

    private static func json(_ phone: Phone) -> JSONValue {
        .members([
            "id": .string(phone.phone.id.rawValue),
            "owner": .string(phone.phone.owner.rawValue), "name": .string(phone.phone.name),
            "last_complete": phone.last?.json ?? .null,
            "age_seconds": phone.ageSeconds.map(JSONValue.integer) ?? .null,
            "safe": .bool(phone.isSafe), "known": .bool(phone.isKnown),
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
        let list =
            roster.present.isEmpty
            ? nil : try await snapshots(QueryFilter(owner: filter.owner))
        let phones = try store.phones().filter { phone in
            (filter.phone == nil || phone.id == filter.phone)
                && (filter.owner == nil || phone.owner == filter.owner)
        }.map { status(of: $0, list, enrolled: roster.enrolled.count) }
        let owners = try owners(filter.owner)
        let unshown = owners.filter { $0.sheetShown == nil }.map(\.id)
        let unproved = owners.filter { $0.sheetShown != nil && $0.sheetProved == nil }.map(\.id)
        var warnings = ownerWarnings(
            list, unknown: filter.owner == nil ? try await unknownOwners(on: roster) : [])
        warnings += self.warnings(
            phones, drives, unshown, isAnyDriveThere: !roster.present.isEmpty)
        warnings += try keyWarnings(drives, owners.map(\.id), unproved)
        return StatusDocument(
            phones: phones, drives: drives, ownersWithoutSheet: unshown,
            ownersWithoutProof: unproved,
            runs: catalog.runs(limit: 10), warnings: warnings)
    }

    private func status(
        of phone: PhoneRecord, _ list: SnapshotList?, enrolled: Int
    ) -> StatusDocument.Phone {
        let last = list?.documents.last { $0.phone == phone.id && $0.isComplete }
        let good = last?.copies.count { $0.state == "durable" || $0.state == "verified" } ?? 0
        // An owner without secrets is known by its phones only.
        let isOwnerThere = (try? store.owner(phone.owner)) != nil
        return StatusDocument.Phone(
            phone: phone, last: last,
            ageSeconds: last.map { clock.now().seconds - $0.time.seconds },
            isSafe: good >= max(2, enrolled),
            isKnown: isOwnerThere && list.map { $0.failures[phone.owner] == nil } ?? false)
    }

    /// What is wrong with owners, which hides their snapshots.
    private func ownerWarnings(_ list: SnapshotList?, unknown: [OwnerID]) -> [String] {
        let failures = list?.failures.sorted { $0.key < $1.key } ?? []
        return failures.map { "Owner \($0.key): \($0.value.explanation)" }
            + unknown.map(Self.unknownOwner)
            + (list?.damagedPasswords ?? []).map(OpenedKey.warning)
    }

    /// What is left to do about keys and erasures, and last the sheets that nobody tried.
    private func keyWarnings(
        _ drives: [DriveDocument], _ owners: [OwnerID], _ unproved: [OwnerID]
    ) throws(ApplianceError) -> [String] {
        var warnings = drives.flatMap { drive in
            drive.pending.map { "Drive \(HostileText.escaped(drive.name)): \($0.sentence)" }
        }
        for owner in owners where try store.rotation(of: owner) != nil {
            warnings.append(
                "New keys of \(owner) were made and are not in use yet; the old ones still hold. "
                    + "Finish it: holdfast key rotate --owner \(owner)")
        }
        for owner in unproved {
            warnings.append(
                "The recovery sheet of \(owner) was printed and never tried. Type it in once: "
                    + "holdfast key sheet --prove --owner \(owner)")
        }
        return warnings
    }

    private func warnings(
        _ phones: [StatusDocument.Phone], _ drives: [DriveDocument], _ unshown: [OwnerID],
        isAnyDriveThere: Bool
    ) -> [String] {
        var warnings: [String] = []
        for drive in drives where drive.state != "ready" {
            warnings.append("Drive \(HostileText.escaped(drive.name)): \(drive.message)")
        }
        if drives.count == 1, configuration.drives.count == 1 {
            warnings.append("Only one drive is enrolled: there is no second copy of anything.")
        }
        for drive in drives where drive.state == "ready" && !drive.sameDeviceAs.isEmpty {
            warnings.append("Drive \(HostileText.escaped(drive.name)): \(drive.message)")
        }
        for entry in drives { warnings += verificationWarnings(entry) }
        warnings += phones.compactMap(lastRunWarning)
        for phone in phones where !phone.isSafe {
            let name = HostileText.escaped(phone.phone.name, limit: 60)
            guard phone.isKnown else {
                warnings.append(
                    "The last backup of \(name) cannot be told while "
                        + (isAnyDriveThere
                            ? "the backups of \(phone.phone.owner) do not open."
                            : "no drive is connected."))
                continue
            }
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

    /// Known damage on a drive, and files that were not read back for too long.
    private func verificationWarnings(_ drive: DriveDocument) -> [String] {
        let standings = standings(of: drive.id)
        let name = HostileText.escaped(drive.name)
        var warnings: [String] = []
        if drive.damagedFiles > 0 {
            warnings.append(
                "Drive \(name): \(Counted.files(drive.damagedFiles)) known to be damaged or "
                    + "missing. Run holdfast heal.")
        }
        let limit = clock.now().seconds - 86_400 * Self.scrubWarningDays
        let oldest = standings.flatMap { [$0.oldestVerified, $0.oldestUnverified] }
            .compactMap(\.self).min()
        if let oldest, oldest.seconds < limit {
            warnings.append(
                "Drive \(name): not everything on it was read back in the last "
                    + "\(Self.scrubWarningDays) days. Run holdfast scrub with it connected.")
        }
        return warnings
    }

    /// What a phone's last run left open.
    private func lastRunWarning(_ phone: StatusDocument.Phone) -> String? {
        let last = catalog.runs(limit: 1, of: phone.phone.id).first
        guard let last, last.kind == "backup" else { return nil }
        let name = HostileText.escaped(phone.phone.name, limit: 60)
        switch last.exitCode {
        case .held:
            return "The last run of \(name) was held: the phone looked emptier than before. If "
                + "the files were meant to go, run holdfast backup --accept-shrink."
        case .partial, .interrupted, .waitingRanOut:
            return "The last run of \(name) was cut short; the next one goes on. Run holdfast "
                + "backup."
        case .someUnreadable:
            return "In the last run of \(name) some files could not be read. See them with "
                + "holdfast show latest."
        default: return nil
        }
    }
}
