package import BackupCore
import BackupEngine
package import ControlAPI
import Drives
import ResticRepository

/// A snapshot that was asked for, with the repository it is in.
struct FoundSnapshot: Sendable {
    let snapshot: Snapshot
    let reading: OwnerReading
    let document: SnapshotDocument
}

/// The snapshots that a question found, and the owners that could not answer.
package struct SnapshotList: Sendable {
    /// Oldest first.
    package var documents: [SnapshotDocument] = []
    /// Why an owner's snapshots cannot be told, by owner.
    package var failures: [OwnerID: Outcome] = [:]
    /// Owners whose repositories only the sheet's words opened.
    package var damagedPasswords: [OwnerID] = []
}

/// What was found, with the repositories it is in.
private struct FoundSnapshots {
    var snapshots: [FoundSnapshot] = []
    var failures: [OwnerID: any Error] = [:]
    var damagedPasswords: [OwnerID] = []
}

extension Box {
    /// All snapshots that the filter lets through, oldest first. An owner whose repository does
    /// not open is named and hides no other's.
    package func snapshots(_ filter: QueryFilter) async throws -> SnapshotList {
        let found = try await found(filter, isCounted: true)
        return SnapshotList(
            documents: found.snapshots.map(\.document),
            failures: found.failures.mapValues { Outcome($0) },
            damagedPasswords: found.damagedPasswords)
    }

    /// The one snapshot that `text` means: `latest`, an id or the start of one.
    func select(_ text: String, _ filter: QueryFilter) async throws -> FoundSnapshot {
        let all = try await found(filter, isCounted: false)
        let failure = all.failures.min { $0.key < $1.key }?.value
        // What is latest cannot be told while somebody's snapshots are hidden.
        if let failure, text == "latest" { throw failure }
        do throws(ApplianceError) {
            let chosen = try SnapshotChoice(text).pick(
                from: all.snapshots.map { ($0.snapshot.id, $0.document) })
            if let found = all.snapshots.first(where: { $0.snapshot.id == chosen }) {
                return found
            }
            throw SnapshotChoice.nothing(text)
        } catch {
            throw failure ?? error
        }
    }

    /// The snapshots on the drives that are there. `isCounted`: with files and bytes.
    private func found(_ filter: QueryFilter, isCounted: Bool) async throws -> FoundSnapshots {
        let roster = try await roster()
        _ = try roster.required()
        try refuseUnknown(filter, roster)
        var found = FoundSnapshots()
        for owner in try owners(filter.owner) {
            do {
                guard let reading = try await read(owner.id, on: roster) else { continue }
                if reading.isByWordsOnly { found.damagedPasswords.append(owner.id) }
                found.snapshots += try await snapshots(
                    in: reading, filter, on: roster, isCounted: isCounted)
            } catch is CancellationError {
                throw CancellationError()
            } catch {
                found.failures[owner.id] = error
            }
        }
        found.snapshots.sort {
            ($0.snapshot.time, $0.snapshot.id) < ($1.snapshot.time, $1.snapshot.id)
        }
        return found
    }

    /// One owner's snapshots that the filter lets through.
    private func snapshots(
        in reading: OwnerReading, _ filter: QueryFilter, on roster: DriveRoster, isCounted: Bool
    ) async throws -> [FoundSnapshot] {
        let holders = try await holders(reading)
        let verified = verifiedSnapshots(of: reading.owner, on: roster)
        var found: [FoundSnapshot] = []
        for snapshot in try await reading.repository.snapshots() where filter.accepts(snapshot) {
            let document = try await document(
                snapshot, reading, holders: holders, verified: verified, roster: roster,
                isCounted: isCounted)
            let isOnDrive = document.copies.contains {
                $0.drive == filter.drive && $0.state != "behind"
            }
            guard filter.drive == nil || isOnDrive else { continue }
            found.append(FoundSnapshot(snapshot: snapshot, reading: reading, document: document))
        }
        return found
    }

    /// The snapshots of an owner that were read back whole, on each drive.
    func verifiedSnapshots(
        of owner: OwnerID, on roster: DriveRoster
    ) -> [DriveID: Set<ContentID>] {
        roster.enrolled.reduce(into: [:]) { verified, drive in
            verified[drive] = catalog.verifiedSnapshots(on: Catalog.Copy(drive, owner))
        }
    }

    /// Which snapshots lie on each drive that is there.
    private func holders(_ reading: OwnerReading) async throws -> [DriveID: Set<ContentID>] {
        var holders: [DriveID: Set<ContentID>] = [:]
        for copy in reading.copies {
            // A drive that fails meanwhile is told by what is known of it.
            guard let listed = try? await copy.list(.snapshot) else { continue }
            holders[copy.drive.id] = Set(listed.map(\.name.id))
        }
        return holders
    }

    private func document(
        _ snapshot: Snapshot, _ reading: OwnerReading, holders: [DriveID: Set<ContentID>],
        verified: [DriveID: Set<ContentID>], roster: DriveRoster, isCounted: Bool
    ) async throws -> SnapshotDocument {
        let facts =
            isCounted ? try await countFacts(of: snapshot, in: reading.repository) : nil
        let remembered = catalog.copies(of: snapshot.id)
        let present = Set(roster.present.map(\.id))
        let copies = roster.enrolled.map { drive in
            let isVerified = verified[drive]?.contains(snapshot.id) ?? false
            let durable = CopyDocument(drive: drive, state: isVerified ? "verified" : "durable")
            if let ids = holders[drive], ids.contains(snapshot.id) { return durable }
            // A drive without the snapshot lacks it; one that is away is as last seen.
            guard !present.contains(drive),
                let known = remembered.first(where: { $0.drive == drive })
            else { return CopyDocument(drive: drive, state: "behind") }
            return known.state == "verified" ? durable : known
        }
        if copies != remembered { catalog.remember(copies, of: snapshot.id) }
        return SnapshotDocument(
            id: snapshot.id, time: snapshot.time,
            utcOffsetSeconds: snapshot.draft.utcOffsetSeconds, owner: reading.owner,
            phone: snapshot.phone,
            phoneName: await phoneName(of: snapshot, in: reading.repository),
            capture: snapshot.capture, isComplete: !snapshot.isPartial, files: facts?.files,
            bytes: facts?.bytes, copies: copies)
    }

    /// An id that nobody has is an error and not an empty answer.
    func refuseUnknown(_ filter: QueryFilter, _ roster: DriveRoster) throws(ApplianceError) {
        if let drive = filter.drive, !roster.enrolled.contains(drive) {
            throw ApplianceError(
                .notFound, "There is no drive \(drive).",
                whatToDo: "Run holdfast drives to see which there are.")
        }
        if let phone = filter.phone, try store.phone(phone) == nil {
            throw unknownPhone(phone)
        }
    }

    /// The error for a phone that nobody has.
    func unknownPhone(_ phone: PhoneID) -> ApplianceError {
        ApplianceError(
            .notFound, "There is no phone \(phone).",
            whatToDo: "Run holdfast phones to see which there are.")
    }
}
