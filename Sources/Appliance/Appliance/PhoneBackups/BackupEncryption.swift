import AppleBackup
package import BackupCore
import ControlAPI

/// How a stored backup of a phone is encrypted, and whether the box can open it.
package struct BackupEncryption: Sendable {
    /// The words of it.
    package enum State: String, Sendable {
        /// There is no backup yet.
        case noBackup = "no_backup"
        case none
        /// A password that the box has opens it.
        case opens
        /// No password that the box has opens it.
        case unknown
    }

    package let phone: PhoneID
    package let state: State
    /// The newest backup that was looked at.
    package let snapshot: ContentID?

    /// What it means, in sentences.
    package var sentence: String {
        switch state {
        case .noBackup: "There is no backup of this phone yet."
        case .none:
            "The phone does not encrypt its backups: passwords, Health and call history are not "
                + "in them. Turn it on with holdfast key phone --set."
        case .opens: "The newest backup is encrypted, and its password is kept here and right."
        case .unknown: Self.unknownSentence
        }
    }

    static let unknownSentence =
        "The backup is encrypted with a password that this box does not know, and nobody can "
        + "recover it: a restore will ask for it. Tell it with holdfast key phone --known. If it is "
        + "forgotten, choose Settings, General, Transfer or Reset, Reset All Settings on the phone "
        + "(its data stays), then holdfast key phone --set."

    /// Keys `phone, state, snapshot, message`.
    package var json: JSONValue {
        .members([
            "phone": .string(phone.rawValue), "state": .string(state.rawValue),
            "snapshot": .optional(snapshot?.hex), "message": .string(sentence),
        ])
    }
}

/// A backup that was asked for, with the snapshot it is in.
struct FoundBackup: Sendable {
    let found: FoundSnapshot
    let stored: StoredBackup
}

extension Box {
    /// The iPhone's backup in a snapshot; an error when it holds none.
    func backup(in found: FoundSnapshot) async throws -> FoundBackup {
        guard
            let stored = try await StoredBackup.open(
                found.snapshot.tree, in: found.reading.repository)
        else {
            throw ApplianceError(
                .notFound, "Snapshot \(found.snapshot.id.short) is no backup of an iPhone.",
                whatToDo: "Run holdfast snapshots --capture backup to see which are.")
        }
        return FoundBackup(found: found, stored: stored)
    }

    /// Whether the box can open a phone's newest backup.
    package func encryption(of phone: PhoneID) async throws -> BackupEncryption {
        guard let backup = try await newestBackup(of: phone) else {
            return BackupEncryption(phone: phone, state: .noBackup, snapshot: nil)
        }
        let id = backup.found.snapshot.id
        guard backup.stored.isEncrypted else {
            return BackupEncryption(phone: phone, state: .none, snapshot: id)
        }
        let opens = try await prove(backup.stored, phone, backup.found.reading.owner)
        return BackupEncryption(phone: phone, state: opens ? .opens : .unknown, snapshot: id)
    }

    /// The newest complete backup of a phone, nil when there is none.
    func newestBackup(of phone: PhoneID) async throws -> FoundBackup? {
        let filter = QueryFilter(phone: phone, capture: .backup)
        guard try await snapshots(filter).documents.contains(where: \.isComplete) else {
            return nil
        }
        return try await backup(in: try await select("latest", filter))
    }

    /// The kept password that opens a backup, nil when none does.
    func password(of backup: FoundBackup) async throws -> String? {
        guard let phone = backup.found.snapshot.phone else { return nil }
        return try await password(of: backup.stored, phone, backup.found.reading.owner)
    }

    /// The password that a backup needs to be used: nil when it is not encrypted, `key` when none
    /// that is kept opens it.
    func requiredPassword(of backup: FoundBackup) async throws -> String? {
        guard backup.stored.isEncrypted else { return nil }
        if let password = try await password(of: backup) { return password }
        throw ApplianceError(
            .key, "The password of this backup is not kept here.",
            whatToDo: "Tell it with holdfast key phone --known; " + BackupEncryption.forgotten)
    }

    /// Whether a kept password opens a phone's newest backup. The one that does is the one in
    /// force, which the recovery sheet prints.
    private func prove(
        _ stored: StoredBackup, _ phone: PhoneID, _ owner: OwnerID
    ) async throws -> Bool {
        guard let password = try await password(of: stored, phone, owner) else { return false }
        if try store.backupPasswords(of: phone, owner).first != password {
            try store.remember(backupPassword: password, isInForce: true, of: phone, owner)
        }
        return true
    }

    private func password(
        of stored: StoredBackup, _ phone: PhoneID, _ owner: OwnerID
    ) async throws -> String? {
        for password in try store.backupPasswords(of: phone, owner) {
            if await stored.opens(with: password) { return password }
        }
        return nil
    }

    /// What the owner of a phone should know of its new backup: that nobody here has its password,
    /// or, after the first one, that it could be encrypted. nil when all is well.
    func encryptionNotice(
        of snapshot: Snapshot, _ owner: OwnerID, in repository: any SnapshotRepository
    ) async throws -> RunNotice? {
        guard let phone = snapshot.phone,
            let stored = try await StoredBackup.open(snapshot.tree, in: repository)
        else { return nil }
        guard stored.isEncrypted else {
            guard snapshot.draft.parent == nil else { return nil }
            return RunNotice(
                code: "backup_not_encrypted",
                message: "This phone does not encrypt its backups: passwords, Health and call "
                    + "history are not in them. Turn it on with: holdfast key phone --phone "
                    + "\(phone) --set --generate")
        }
        guard try await !prove(stored, phone, owner) else { return nil }
        return RunNotice(
            code: "backup_password_unknown", message: BackupEncryption.unknownSentence)
    }

    /// Keeps a password that was set elsewhere, once it has opened the newest backup; without an
    /// encrypted one there is nothing to try it on, and it is kept as it is.
    package func tell(
        backupPassword password: String, of phone: PhoneID
    ) async throws -> BackupEncryption {
        let owner = try knownOwner(of: phone)
        if let backup = try await newestBackup(of: phone), backup.stored.isEncrypted,
            !(await backup.stored.opens(with: password))
        {
            throw ApplianceError(
                .key, "The newest backup of this phone does not open with this password.",
                whatToDo: "Try another one; " + BackupEncryption.forgotten)
        }
        try store.remember(backupPassword: password, isInForce: true, of: phone, owner)
        return try await encryption(of: phone)
    }

    /// A phone's owner, of whom there must be one.
    func knownOwner(of phone: PhoneID) throws(ApplianceError) -> OwnerID {
        if let owner = try store.phone(phone)?.owner { return owner }
        throw ApplianceError(
            .notFound, "There is no phone \(phone).",
            whatToDo: "Run holdfast phones to see which there are.")
    }
}

extension BackupEncryption {
    static let forgotten =
        "a forgotten one cannot be had back. Reset All Settings on the phone removes it for the "
        + "backups to come."
}
