package import BackupCore
import ControlAPI
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

    /// The sheet as it is printed.
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
            """ + "\n"
    }

    /// Keys `owner, words, password, phones, drives: [{name, id}], printed`.
    package var json: JSONValue {
        .members([
            "owner": .string(owner.rawValue),
            "words": .array(words.words.map(JSONValue.string)),
            "password": .string(words.canonical),
            "phones": .array(phones.map(JSONValue.string)),
            "drives": .array(
                drives.map { .members(["name": .string($0.name), "id": .string($0.id.rawValue)]) }),
            "printed": .string(RFC3339.text(printed)),
        ])
    }
}

extension Box {
    /// The restic password of an owner.
    package func password(of owner: OwnerID) throws(ApplianceError) -> String {
        _ = try owners(owner)
        return try store.secrets(of: owner).password
    }

    /// The recovery sheet of an owner; that it was shown is remembered by
    /// ``rememberSheetShown(of:)``.
    package func sheet(of owner: OwnerID) throws(ApplianceError) -> RecoverySheet {
        _ = try owners(owner)
        guard let words = try store.secrets(of: owner).words else {
            throw ApplianceError(
                .key, "The words of owner \(owner) are not on this box.",
                whatToDo: "The sheet printed on the box that made them still opens the backups; "
                    + "so does holdfast key password --owner \(owner).")
        }
        let phones = try store.phones().filter { $0.owner == owner }
        return RecoverySheet(
            owner: owner, words: words,
            drives: configuration.drives.map { ($0.name, $0.id) },
            phones: phones.map { HostileText.escaped($0.name, limit: 60) },
            printed: clock.now())
    }

    /// Remembers that an owner's sheet was shown, once it really was.
    package func rememberSheetShown(of owner: OwnerID) throws(ApplianceError) {
        guard var record = try store.owner(owner), record.sheetShown == nil else { return }
        record.sheetShown = clock.now()
        try store.remember(record)
    }
}
