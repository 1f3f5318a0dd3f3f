package import BackupCore
import Drives

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
        var sheet = RecoverySheet(
            owner: owner, words: words,
            drives: configuration.drives.map { ($0.name, $0.id) },
            phones: phones.map { HostileText.escaped($0.name, limit: 60) },
            printed: clock.now())
        for phone in phones {
            guard let password = try store.backupPasswords(of: phone.id, owner).first else {
                continue
            }
            sheet.backupPasswords.append((HostileText.escaped(phone.name, limit: 60), password))
        }
        return sheet
    }

    /// Writes an owner's sheet as a page to print: a new file of the caller's alone (0600), never
    /// over another, never on an enrolled drive, where it would lie beside what it opens.
    package func writePage(
        _ sheet: RecoverySheet, to path: String
    ) throws(ApplianceError) {
        let place = FolderPlace(path)
        let folder = FolderPlace(StateFiles.parentPath(path))
        let box = FolderPlace(configuration.state)
        for drive in configuration.drives {
            let root = FolderPlace(drive.path)
            // A drive that is a filesystem of its own can be reached by other paths too.
            let isOnIt = !root.sharesFilesystem(with: box) && folder.sharesFilesystem(with: root)
            guard place.isInside(root) || isOnIt else { continue }
            throw ApplianceError(
                .usage,
                "\(HostileText.escaped(path)) lies on drive \(HostileText.escaped(drive.name)): "
                    + "a sheet must not lie beside the backups that it opens.",
                whatToDo: "Name a file elsewhere, print it, and remove it.")
        }
        try StateFiles.create(Array(sheet.page.utf8), at: path)
    }

    /// Remembers that an owner's sheet was shown, once it really was.
    package func rememberSheetShown(of owner: OwnerID) throws(ApplianceError) {
        guard var record = try store.owner(owner), record.sheetShown == nil else { return }
        record.sheetShown = clock.now()
        try store.remember(record)
    }
}
