package import BackupCore
import Drives

/// A recovery sheet: what a person needs to read the backups without the box.
package struct RecoverySheet: Sendable {
    package let owner: OwnerID
    package let words: SheetWords
    /// Names and ids of the enrolled drives.
    package let drives: [(name: String, id: DriveID)]
    /// The names of the owner's phones, escaped.
    package let phones: [String]
    package let printed: Timestamp
    /// What phones encrypt their own backups with, beside the phone's escaped name.
    package var backupPasswords: [(phone: String, password: String)] = []

    /// The sheet as it is printed on a terminal.
    package var text: String {
        let numbered = words.words.enumerated().map { "  \($0.offset + 1). \($0.element)" }
        return """
            HOLDFAST RECOVERY SHEET

            Owner    \(owner)
            Phones   \(phones.isEmpty ? "none yet" : phones.joined(separator: ", "))
            Drives   \(drives.map { "\(HostileText.escaped($0.name)) (\($0.id))" }.joined(separator: ", "))
            Printed  \(RFC3339.text(Timestamp(seconds: printed.seconds)))

            These nine words open this owner's backups on any of the drives, without the box.
            The last word is a check on the others. Keep this sheet away from the drives.

            \(numbered.joined(separator: "\n"))

            On a new box:
              holdfast setup --drive DIR --drive DIR        (it asks for the words)

            On any computer with restic:
              restic -r DIR/holdfast/repositories/\(owner) snapshots
              restic -r DIR/holdfast/repositories/\(owner) restore latest --target FOLDER
            The password is the words in lower case, joined by hyphens, exactly like this:
              \(words.canonical)
            """ + "\n" + backupPasswordText
    }

    private var backupPasswordText: String {
        guard !backupPasswords.isEmpty else { return "" }
        let lines = backupPasswords.map { "  \($0.phone): \(HostileText.escaped($0.password))" }
        return "\nA phone that takes its own backup back asks for the backup's password:\n"
            + lines.joined(separator: "\n") + "\n"
    }

    /// The password as a QR code in half blocks, 41 columns and 21 lines, with colours of its
    /// own: for a terminal only. nil when there is no memory for it.
    package var terminalQRCode: String? { QRCode(words.canonical)?.terminalText }

    /// Keys `owner, words, password, phones, drives: [{name, id}], printed,
    /// backup_passwords: [{phone, password}]`.
    package var json: JSONValue {
        .members([
            "owner": .string(owner.rawValue),
            "words": .array(words.words.map(JSONValue.string)),
            "password": .string(words.canonical),
            "phones": .array(phones.map(JSONValue.string)),
            "drives": .array(
                drives.map { .members(["name": .string($0.name), "id": .string($0.id.rawValue)]) }),
            "printed": .string(RFC3339.text(printed)),
            "backup_passwords": .array(
                backupPasswords.map {
                    .members(["phone": .string($0.phone), "password": .string($0.password)])
                }),
        ])
    }
}
