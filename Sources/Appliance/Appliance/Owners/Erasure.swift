package import BackupCore
import ControlAPI
import Drives
import Logging

/// What an erasure did.
package struct ErasureReport: Sendable {
    package let owner: OwnerID
    /// Drives that have nothing of the owner any more.
    package let done: [DriveID]
    /// Drives that follow when they are seen next.
    package let pending: [DriveID]
    /// What a person should know, drives by name.
    package let message: String

    /// ``ExitCode/notEveryDrive`` while a drive is to follow.
    package var exitCode: ExitCode { pending.isEmpty ? .done : .notEveryDrive }

    /// Keys `owner, exit_code, drives: [{drive, state}], message`; the state is `done` or
    /// `pending`.
    package var json: JSONValue {
        let states = done.map { ($0, "done") } + pending.map { ($0, "pending") }
        return .members([
            "owner": .string(owner.rawValue),
            "exit_code": .integer(Int64(exitCode.rawValue)),
            "drives": .array(
                states.sorted { $0.0 < $1.0 }.map {
                    .members(["drive": .string($0.0.rawValue), "state": .string($0.1)])
                }),
            "message": .string(message),
        ])
    }
}

extension Box {
    /// Erases an owner: everything that the box and the drives have, and what drives that are away
    /// have, when they come back.
    ///
    /// First the intent is durable, on the box and in the journal of each drive that is there; it
    /// is what keeps everybody from bringing the owner back. Then the box's secrets go, then on
    /// each drive the key files and the rest. Cut short anywhere, the next run that may write
    /// does the rest.
    package func erase(
        _ owner: OwnerID, wait: Int?, events: @escaping RunEventSink
    ) async throws -> ErasureReport {
        let roster = try await roster()
        let lock = try await BoxLock.acquire(
            "owner-\(owner)", in: lockFolder, what: "the backups of \(owner)",
            wait: .seconds(wait ?? configuration.waitSeconds), clock: clock)
        defer { lock.release() }
        var erased =
            try store.erasedOwner(owner)
            ?? ErasedOwner(id: owner, time: clock.now(), isConfirmed: true)
        erased.isConfirmed = true
        try store.remember(erased)
        log.notice("owner erased", metadata: ["owner": "\(owner)"])
        let failures = try await finish(&erased, on: roster)
        let pending = roster.enrolled.filter { !erased.done.contains($0) }
        let sentences = pending.map { drive in
            let why = failures[drive] ?? roster.problems[drive]
            return "Drive \(drive) follows when it is seen next"
                + (why.map { ": \($0.detail)." } ?? ".")
        }
        let message = (["Owner \(owner) is erased."] + sentences).joined(separator: " ")
        return ErasureReport(
            owner: owner, done: roster.enrolled.filter { erased.done.contains($0) },
            pending: pending, message: roster.named(message))
    }

    /// Carries out what was asked for on this box and is not done yet, on the drives that are
    /// there: erasures, and key files that were replaced. For the start of whatever may write;
    /// what fails or is busy stays for the next time.
    func finishPending(on roster: DriveRoster, events: @escaping RunEventSink) async {
        // Records that cannot be read now are read the next time.
        for var erased in (try? store.erasedOwners()) ?? [] where erased.isConfirmed {
            guard await needsFinish(erased, on: roster),
                let lock = try? await BoxLock.acquire(  // else a run is at work: next time
                    "owner-\(erased.id)", in: lockFolder, what: "\(erased.id)", wait: .zero,
                    clock: clock)
            else { continue }
            do {
                let before = erased.done
                let failures = try await finish(&erased, on: roster)
                tell(erased, new: erased.done.subtracting(before), failures, roster, events)
            } catch {
                log.warning("erasure not finished", metadata: ["owner": "\(erased.id)"])
            }
            lock.release()
        }
        for owner in (try? store.owners()) ?? [] {  // as above
            let retired = (try? store.retiredKeys(of: owner.id)) ?? RetiredKeys()  // as above
            guard roster.present.contains(where: { retired.isPending(on: $0.id) }) else { continue }
            do {
                let hold = try await hold(
                    owner.id, for: .keys, on: roster, wait: .zero, events: events)
                await hold.release()
            } catch {
                log.warning("replaced keys not removed", metadata: ["owner": "\(owner.id)"])
            }
        }
    }

    private func needsFinish(_ erased: ErasedOwner, on roster: DriveRoster) async -> Bool {
        if StateFiles.isFolder(store.folder(of: erased.id)) { return true }
        for drive in roster.present {
            if !erased.done.contains(drive.id) { return true }
            // A drive that cannot be looked at now is not worked on either.
            if (try? await drive.holdsFiles(of: erased.id)) == true { return true }
        }
        return false
    }

    /// Does what is left of an erasure; gives the drives that failed. To be called under the
    /// owner's lock, with the intent durable on the box.
    private func finish(
        _ erased: inout ErasedOwner, on roster: DriveRoster
    ) async throws(ApplianceError) -> [DriveID: BackendError] {
        let owner = erased.id
        var failures: [DriveID: BackendError] = [:]
        var drives: [Drive] = []
        for drive in roster.present {
            do throws(BackendError) {
                if erased.done.contains(drive.id), try await !drive.holdsFiles(of: owner) {
                    continue
                }
                if try await !drive.journal.erasedOwners().contains(owner) {
                    try await drive.journal.append(.erased(owner), at: clock.now())
                }
                drives.append(drive)
            } catch {
                failures[drive.id] = error
            }
        }
        await forgetInCatalog(owner, on: drives)
        try store.destroy(owner)
        for drive in drives {
            do throws(BackendError) {
                try await drive.erase(owner)
                try await drive.journal.append(.erasureDone(owner), at: clock.now())
                erased.done.insert(drive.id)
            } catch {
                failures[drive.id] = error
                continue
            }
            try store.remember(erased)
        }
        await renew(drives)
        return failures
    }

    private func forgetInCatalog(_ owner: OwnerID, on drives: [Drive]) async {
        var snapshots: Set<ContentID> = []
        for drive in drives {
            // Counts of a snapshot that stay behind are of nobody.
            let listed = (try? await drive.repository(owner).list(.snapshot)) ?? []
            snapshots.formUnion(listed.map(\.name.id))
        }
        let phones = ((try? store.phones()) ?? []).filter { $0.owner == owner }  // as above
        catalog.forget(owner, phones: phones.map(\.id), snapshots: snapshots.sorted())
    }

    private func tell(
        _ erased: ErasedOwner, new: Set<DriveID>, _ failures: [DriveID: BackendError],
        _ roster: DriveRoster, _ events: RunEventSink
    ) {
        let sentences =
            new.sorted().map { "The backups of \(erased.id) were erased from Drive \($0)." }
            + failures.sorted { $0.key < $1.key }.map {
                "The backups of \(erased.id) could not be erased yet. \($0.value.whatHappened)"
            }
        for sentence in sentences {
            events(.notice(RunNotice(code: "erasure", message: roster.named(sentence))))
        }
        log.notice(
            "erasure carried on",
            metadata: ["owner": "\(erased.id)", "drives": "\(new.count)"])
    }

    // MARK: What others must know

    /// What a hold says of an owner who was erased while somebody waited for the lock.
    static func erased(_ owner: OwnerID) -> ApplianceError {
        ApplianceError(
            .notFound, "Owner \(owner) was erased.",
            whatToDo: "Run the backup again; the phone then gets a new owner.")
    }

    /// Learns from the drives' journals of owners who were erased by a box that is gone, so that
    /// nobody is asked for their words and nothing of them is copied.
    func learnErasures(from drives: [Drive]) async throws(ApplianceError) {
        for drive in drives {
            // A journal that cannot be read tells nothing; another drive's may.
            for owner in (try? await drive.journal.erasedOwners()) ?? []
            where !store.isErased(owner) && !StateFiles.isFolder(store.folder(of: owner)) {
                try store.remember(
                    ErasedOwner(id: owner, time: clock.now(), isConfirmed: false))
            }
        }
    }

    /// What is still to be done on each drive.
    func pendingWork(on roster: DriveRoster) async throws -> [DriveID: [PendingWork]] {
        var work: [DriveID: [PendingWork]] = [:]
        for erased in try store.erasedOwners() {
            for slot in roster.slots {
                // A drive that cannot be looked at counts as if it were away.
                let holds = try? await slot.drive?.holdsFiles(of: erased.id)
                let isLeft = holds ?? !erased.done.contains(slot.entry.id)
                guard erased.isConfirmed ? isLeft : holds == true else { continue }
                work[slot.entry.id, default: []].append(
                    PendingWork(erased.isConfirmed ? .erasure : .erasureElsewhere, erased.id))
            }
        }
        for owner in try store.owners().map(\.id) {
            let retired = try store.retiredKeys(of: owner)
            for drive in roster.enrolled where retired.isPending(on: drive) {
                work[drive, default: []].append(PendingWork(.keys, owner))
            }
        }
        return work
    }
}
