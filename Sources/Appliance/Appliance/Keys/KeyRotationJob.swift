package import BackupCore
import BlockingThread
import Drives
import Logging
import ResticFormat

/// What a rotation did.
package struct RotationReport: Sendable {
    package let owner: OwnerID
    /// Drives that have the new key files and none of the old ones.
    package let done: [DriveID]
    /// Drives that follow when they are seen next, and why they could not now.
    package let pending: [DriveID: BackendError]
    /// What a person should know, drives by name.
    package let message: String

    /// ``ExitCode/notEveryDrive`` while a drive is to follow.
    package var exitCode: ExitCode { pending.isEmpty ? .done : .notEveryDrive }

    /// Keys `owner, exit_code, drives: [{drive, state}], message`; the state is `done` or
    /// `pending`.
    package var json: JSONValue {
        let states = done.map { ($0, "done") } + pending.keys.map { ($0, "pending") }
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
    /// Gives an owner a new password and new words, and takes the old key files out of use.
    ///
    /// The order makes every moment one with a key that works: the new secrets and key files are
    /// durable in the state folder, the new key files are durable on every drive that is there,
    /// only then the box uses them, and last each drive loses the old ones, once the new ones
    /// were read back from it. Cut short before the box uses the new secrets, nothing counts yet
    /// and the next rotation goes on with the same ones; after it, any hold does the rest.
    package func rotateKeys(
        _ plan: RotationPlan, wait: Int?, events: @escaping RunEventSink
    ) async throws -> RotationReport {
        let owner = plan.owner
        let roster = try await roster()
        let hold = try await hold(
            owner, for: .keys, on: roster,
            wait: .seconds(wait ?? configuration.waitSeconds), events: events)
        do {
            let report = try await rotate(hold, Set(plan.replaced.map(\.id)), on: roster)
            await hold.release()
            return report
        } catch {
            await hold.release()
            throw error
        }
    }

    private func rotate(
        _ hold: OwnerHold, _ replaced: Set<ContentID>, on roster: DriveRoster
    ) async throws -> RotationReport {
        let owner = hold.owner
        let rotation = try await begin(hold, replaced)
        var behind = hold.behind
        var copies: [DriveBackend] = []
        for copy in hold.copies {
            do throws(BackendError) {
                // A drive without the repository gets it from the box with the next backup.
                guard try await copy.isInitialised() else { continue }
                for key in rotation.keys { try await copy.addKey(key.id, key.bytes) }
                copies.append(copy)
            } catch {
                behind[copy.drive.id] = error
            }
        }
        // With no drive that took the new keys nothing is gained, and what is there still opens.
        if copies.isEmpty, !behind.isEmpty { throw DriveRoster.worst(behind) }
        try commit(rotation, of: owner)
        let retired = try store.retiredKeys(of: owner)
        for copy in copies {
            do throws(BackendError) {
                try await copy.retireKeys(
                    retired.retired, keeping: retired.kept, at: clock.now())
                noteRetired(on: [copy.drive.id], of: owner)
            } catch {
                behind[copy.drive.id] = error
            }
        }
        await renew(copies.map(\.drive))
        return report(owner, behind, on: roster)
    }

    /// The rotation that was begun, with the key files that are to go; a new one otherwise. Its
    /// key files are in the state folder, which is a seed for drives, when this returns.
    private func begin(
        _ hold: OwnerHold, _ replaced: Set<ContentID>
    ) async throws(ApplianceError) -> KeyRotation {
        let owner = hold.owner
        let begun = try store.rotation(of: owner)
        let made: KeyRotation
        if let begun {
            made = begun
        } else {
            made = try await newRotation(hold.key)
        }
        let rotation = KeyRotation(
            secrets: made.secrets, keys: made.keys,
            replaced: made.replaced.union(replaced).subtracting(made.keys.map(\.id)))
        try store.remember(rotation, of: owner)
        try store.add(keys: rotation.keys, to: owner)
        return rotation
    }

    private func newRotation(_ key: MasterKey) async throws(ApplianceError) -> KeyRotation {
        guard let secrets = OwnerSecrets.random() else { throw Self.noRandomKey }
        let (hostname, created, cost) = (configuration.hostname, clock.now(), keyCost)
        let keys = await DedicatedThread(name: "new-keys").run {
            secrets.passwords.map { password in
                KeyFile.make(
                    password: password, masterKey: key, hostname: hostname,
                    username: "holdfast", created: created, cost: cost)
            }
        }
        return KeyRotation(secrets: secrets, keys: keys, replaced: [])
    }

    /// From here on the box uses the new secrets. Each step may be the last before a power cut:
    /// key files of old and new are both in the state folder until all is written.
    private func commit(_ rotation: KeyRotation, of owner: OwnerID) throws(ApplianceError) {
        if var record = try store.owner(owner) {
            // The old sheet is worth nothing, and nobody has seen the new one.
            record.sheetShown = nil
            record.sheetProved = nil
            try store.remember(record)
        }
        try store.remember(rotation.secrets, of: owner)
        var retired = try store.retiredKeys(of: owner)
        retired.retired.formUnion(rotation.replaced)
        retired.kept = Set(rotation.keys.map(\.id))
        retired.done = []
        try store.remember(retired, of: owner)
        try store.forgetRotation(of: owner)
        try store.removeRetiredKeys(of: owner)
        log.notice("keys rotated", metadata: ["owner": "\(owner)"])
    }

    private func report(
        _ owner: OwnerID, _ behind: [DriveID: BackendError], on roster: DriveRoster
    ) -> RotationReport {
        // What cannot be read now counts as not done.
        let retired = (try? store.retiredKeys(of: owner)) ?? RetiredKeys()
        let left = roster.enrolled.filter { !retired.done.contains($0) }
        var pending: [DriveID: BackendError] = [:]
        for drive in left {
            pending[drive] =
                behind[drive]
                ?? BackendError(.noSuchFile, "it holds no backups of this owner yet", drive: drive)
        }
        let sentences = pending.sorted { $0.key < $1.key }.map {
            "Drive \($0.key) follows when it is seen next: \($0.value.detail)."
        }
        let message =
            (["Owner \(owner) has a new password and new words; the old sheet is void."]
            + sentences
            + [
                "Print the new sheet: holdfast key sheet --owner \(owner), then prove it with "
                    + "--prove."
            ]).joined(separator: " ")
        return RotationReport(
            owner: owner, done: roster.enrolled.filter { pending[$0] == nil }, pending: pending,
            message: roster.named(message))
    }
}
