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
    private static let question =
        "This iPhone does not encrypt its own backups: passwords, Health and call history are not "
        + "in them then. Have it encrypt them from now on? The box makes the password, keeps it "
        + "and prints it on the recovery sheet; the phone asks for its passcode."

    /// The password that a phone's next backups are to be encrypted with, kept already, so that no
    /// power cut can lose it; nil when nothing is to change.
    func newBackupPassword(
        for phone: OpenedPhone, of owner: OwnerID, _ options: BackupOptions,
        events: RunEventSink
    ) async throws -> String? {
        guard phone.session.captures.contains(.backup), options.capture ?? .backup == .backup
        else { return nil }
        switch options.encryption {
        case .leave: return nil
        case .turnOn: guard try await encryptsNot(phone) else { return nil }
        case .ask(let ask):
            guard try await encryptsNot(phone), try await newestBackup(of: phone.id) == nil,
                await ask(Self.question)
            else { return nil }
        }
        let password = Self.randomBackupPassword()
        try store.remember(backupPassword: password, isInForce: false, of: phone.id, owner)
        return password
    }

    /// What the phone says now: before it trusted the box it did not tell.
    private func encryptsNot(_ phone: OpenedPhone) async throws(DeviceError) -> Bool {
        try await phone.session.attributes().encryptsBackups == false
    }

    /// Has a phone encrypt its backups with a password that is kept already.
    func encryptBackups(
        of phone: PhoneID, _ owner: OwnerID, with password: String,
        by capture: any PushedCapture, events: @escaping RunEventSink
    ) async throws(SaveError) {
        do throws(SaveError) {
            _ = try await capture.perform(
                .changePassword(from: nil, to: password), over: NoTree(), events: events)
        } catch {
            events(
                .notice(
                    RunNotice(
                        code: "backup_encryption_failed",
                        message: "The phone did not turn on the encryption of its backups. Run the "
                            + "backup again; with --no-encrypt it is made without.")))
            throw error
        }
        // Kept as one of the phone's passwords it is already, and tried like all of them.
        try? store.remember(backupPassword: password, isInForce: true, of: phone, owner)
        events(
            .notice(
                RunNotice(
                    code: "backup_encryption_on",
                    message: "The phone encrypts its backups from now on. The password is kept "
                        + "here and stands on the recovery sheet: print it with holdfast key "
                        + "sheet --owner \(owner)")))
    }
}
