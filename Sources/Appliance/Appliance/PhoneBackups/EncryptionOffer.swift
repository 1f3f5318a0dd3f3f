import BackupCore
import BackupEngine
import ControlAPI

/// What becomes of a phone that does not encrypt the backups that it makes itself, and so leaves
/// passwords, Health and the call history out of them.
package enum EncryptionOffer: Sendable {
    /// It stays as it is; a notice tells of it after the first backup.
    case leave
    /// It is to encrypt from now on, with a password that the box makes and keeps.
    case turnOn
    /// Its owner is asked, before its first backup: the question, and whether the answer was yes.
    case ask(@Sendable (_ question: String) async -> Bool)
}

extension Box {
    /// Has a phone encrypt its backups, if that is wanted, right before it makes one: its photos
    /// are safe by then.
    func offerEncryption(
        _ offer: EncryptionOffer, of phone: OpenedPhone, _ owner: OwnerID,
        _ beginning: PushedBeginning, events: @escaping RunEventSink
    ) async throws(SaveError) {
        guard let encrypts = beginning.attributes?.encryptsBackups else {
            guard case .turnOn = offer else { return }
            return events(
                .notice(
                    RunNotice(
                        code: "backup_encryption_unknown",
                        message: "The phone does not tell whether it encrypts its backups, so "
                            + "that was left as it is. See with holdfast key phone --phone "
                            + "\(phone.id) after the backup.")))
        }
        guard !encrypts else { return }
        switch offer {
        case .leave: return
        case .turnOn: break
        case .ask(let ask):
            guard beginning.isFirst, await ask(Self.question(phone)) else { return }
        }
        guard let password = password(toSetOn: phone.id, owner, events) else { return }
        try await encryptBackups(with: password, by: beginning.source, owner, events)
    }

    private static func question(_ phone: OpenedPhone) -> String {
        let name = HostileText.escaped(phone.attributes.name, limit: 60)
        return "\(name) does not encrypt its own backups: passwords, Health and call history are "
            + "not in them then. Have it encrypt them from now on? The box makes the password, "
            + "keeps it and prints it on the recovery sheet; the phone asks for its passcode."
    }

    /// The password to set, durable before the phone hears of it. One that is kept already is
    /// taken again: the phone may have been asked to take it before, without an answer.
    private func password(
        toSetOn phone: PhoneID, _ owner: OwnerID, _ events: RunEventSink
    ) -> String? {
        do throws(ApplianceError) {
            if let kept = try store.backupPasswords(of: phone, owner).first { return kept }
            let new = Self.randomBackupPassword()
            try store.remember(backupPassword: new, isInForce: true, of: phone, owner)
            return new
        } catch {
            events(
                .notice(
                    RunNotice(
                        code: "backup_encryption_failed",
                        message: "The backup is made without encryption, because no password can "
                            + "be kept: \(error.explanation)")))
            return nil
        }
    }

    private func encryptBackups(
        with password: String, by capture: any PushedCapture, _ owner: OwnerID,
        _ events: @escaping RunEventSink
    ) async throws(SaveError) {
        do throws(SaveError) {
            _ = try await capture.perform(
                .changePassword(from: nil, to: password), over: NoTree(), events: events)
        } catch {
            if !Task.isCancelled {
                events(
                    .notice(
                        RunNotice(
                            code: "backup_encryption_failed", message: Self.unconfirmed(error))))
            }
            throw error
        }
        events(
            .notice(
                RunNotice(
                    code: "backup_encryption_on",
                    message: "The phone encrypts its backups from now on. The password is kept "
                        + "here and stands on the recovery sheet: print it with holdfast key "
                        + "sheet --owner \(owner)")))
    }

    private static func unconfirmed(_ error: SaveError) -> String {
        if case .source(let error) = error, error.mayComeBack {
            return "The phone did not say whether it encrypts its backups now. If it does, the "
                + "password is kept here; the next backup shows it."
        }
        return "The phone did not turn on the encryption of its backups. Run the backup again; "
            + "with --no-encrypt it is made without."
    }
}
