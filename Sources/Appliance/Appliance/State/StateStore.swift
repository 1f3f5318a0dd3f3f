package import BackupCore
import ControlAPI
import Glibc

/// The state folder: what only this box knows. Everything in it but the keys can be had back from
/// the drives.
///
/// ```
/// set.json                      the drive set's id
/// owners/<owner>/owner.json     when it was made, whether its sheet was shown
/// owners/<owner>/password       the restic password (64 hexadecimal digits)
/// owners/<owner>/words          the recovery sheet's words
/// owners/<owner>/backup/        what phones encrypt their own backups with
/// owners/<owner>/config, keys/  the repository's first files, until every drive has them
/// owners/<owner>/locks          ids of lock files of ours on the drives
/// owners/<owner>/rotation.json  new secrets that are on their way to the drives
/// owners/<owner>/retired.json   key files that were replaced, and which drives know
/// erased/<owner>.json           who was erased, and on which drives
/// owners/<owner>/read/          what runs that have no snapshot yet have read, see ReadListFile
/// phones/<phone>.json           owner, name and model of a phone
/// catalog.sqlite                a cache, see Catalog
/// ```
package struct StateStore: Sendable {
    /// The state folder.
    package let root: String
    /// Bay states, sockets and locks.
    package let run: String

    /// The store of a configuration.
    package init(_ configuration: Configuration) {
        root = configuration.state
        run = configuration.run
    }

    /// Makes the folders that are missing and takes the state folder away from other users.
    package func prepare() throws(ApplianceError) {
        for folder in [
            root, root + "/owners", root + "/phones", run, run + "/locks", run + "/bays",
        ] {
            try StateFiles.makeFolder(folder)
        }
        var status = stat()
        // Sound: `status` is lent for the call.
        guard unsafe stat(root, &status) == 0, status.st_mode & 0o077 != 0 else { return }
        // Sound: the path is lent NUL-terminated for the call.
        guard unsafe chmod(root, 0o700) == 0 else {
            throw ApplianceError(
                .configuration,
                "The state folder \(HostileText.escaped(root)) can be read by other users.",
                whatToDo: "Run chmod 0700 on it as its owner.")
        }
    }

    /// The drive set's id, or nil before the first setup.
    package func driveSet() throws(ApplianceError) -> DriveSetID? {
        guard let json = try record(root + "/set.json") else { return nil }
        guard let id = json["set"]?.text.flatMap(DriveSetID.init(rawValue:)) else {
            throw garbled(root + "/set.json")
        }
        return id
    }

    /// Remembers the drive set's id.
    package func remember(driveSet: DriveSetID) throws(ApplianceError) {
        try write(.members(["set": .string(driveSet.rawValue)]), to: root + "/set.json")
    }

    /// All owners, by id.
    package func owners() throws(ApplianceError) -> [OwnerRecord] {
        var owners: [OwnerRecord] = []
        for name in try StateFiles.names(in: root + "/owners") {
            guard let id = OwnerID(rawValue: name), let owner = try owner(id) else { continue }
            owners.append(owner)
        }
        return owners
    }

    /// One owner, or nil. A garbled record is rebuilt from what matters: that its secrets are
    /// there; whether the sheet was shown is then asked again.
    package func owner(_ id: OwnerID) throws(ApplianceError) -> OwnerRecord? {
        let folder = folder(of: id)
        guard StateFiles.exists(folder + "/password"), !isErased(id) else { return nil }
        if let bytes = try StateFiles.read(folder + "/owner.json"),
            let json = try? JSONValue.read(bytes),  // garbled is handled just below
            let owner = OwnerRecord(id: id, json: json)
        {
            return owner
        }
        return OwnerRecord(id: id, created: .zero)
    }

    /// Remembers an owner's record (not the secrets).
    package func remember(_ owner: OwnerRecord) throws(ApplianceError) {
        try StateFiles.makeFolder(folder(of: owner.id))
        try write(owner.json, to: folder(of: owner.id) + "/owner.json")
    }

    /// All known phones, by id; a garbled record is left out, the next sight of the phone
    /// rewrites it.
    package func phones() throws(ApplianceError) -> [PhoneRecord] {
        var phones: [PhoneRecord] = []
        for name in try StateFiles.names(in: root + "/phones") where name.hasSuffix(".json") {
            guard let id = PhoneID(rawValue: String(name.dropLast(5))),
                let phone = try phone(id)
            else { continue }
            phones.append(phone)
        }
        return phones
    }

    /// One phone, or nil when it is unknown or its record is garbled.
    package func phone(_ id: PhoneID) throws(ApplianceError) -> PhoneRecord? {
        guard let bytes = try StateFiles.read(root + "/phones/\(id).json"),
            let json = try? JSONValue.read(bytes)  // garbled counts as unknown, see phones()
        else { return nil }
        return PhoneRecord(id: id, json: json)
    }

    /// Remembers a phone.
    package func remember(_ phone: PhoneRecord) throws(ApplianceError) {
        try write(phone.json, to: root + "/phones/\(phone.id).json")
    }

    /// The folder of an owner's record, secrets and first files.
    func folder(of owner: OwnerID) -> String { root + "/owners/" + owner.rawValue }

    private func record(_ path: String) throws(ApplianceError) -> JSONValue? {
        guard let bytes = try StateFiles.read(path) else { return nil }
        do {
            return try JSONValue.read(bytes)
        } catch {
            throw garbled(path)
        }
    }

    private func write(_ json: JSONValue, to path: String) throws(ApplianceError) {
        try StateFiles.write(Array((json.line + "\n").utf8), to: path)
    }

    private func garbled(_ path: String) -> ApplianceError {
        ApplianceError(
            .configuration, "\(HostileText.escaped(path)) is garbled.",
            whatToDo: "Move the file away and run holdfast setup with the drives; they tell what "
                + "stood in it.")
    }
}
