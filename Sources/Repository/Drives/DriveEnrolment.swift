package import BackupCore
import Glibc

extension Drive {
    /// Makes the folder at `path` a drive of `set`, durably; `drive.json` is written last, so
    /// that an interrupted enrolment is no drive and the next one completes it.
    ///
    /// `path` must be an existing folder (`absent` otherwise). One that is a drive already, or
    /// that holds repositories without a readable `drive.json`, is `wrongDrive`: nothing there is
    /// rewritten.
    package static func enrol(
        path: String, set: DriveSetID, drive: DriveID? = nil, options: DriveOptions
    ) async throws(BackendError) -> Drive {
        let record = DriveRecord.new(set: set, drive: drive)
        return try await DriveThread(options: options).run { (system) throws(BackendError) in
            try enrolNow(
                path: path, record: record, system: system.named(record.drive), options: options)
        }
    }

    private static func enrolNow(
        path: String, record: DriveRecord, system: DriveSyscalls, options: DriveOptions
    ) throws(BackendError) -> Drive {
        let mount: Descriptor
        do throws(BackendError) {
            mount = try system.openFolder(path: path)
        } catch let error where error.nativeCode == ENOENT || error.nativeCode == ENOTDIR {
            throw system.error(.absent, "there is no folder \(HostileText.escaped(path))")
        }
        try system.makeFolder(PathBytes(folderName), in: mount)
        let root = try system.openFolder(PathBytes(folderName), in: mount)
        try refuseUsed(root, path: path, system: system)
        for name in folders {
            try system.makeFolder(name, in: root)
            try system.sync(try system.openFolder(name, in: root))
        }
        _ = try system.sweep(root)
        try system.writeDurably(
            Array(DriveReadme.text.utf8), as: "README.txt", in: root, replacing: true)
        try system.sync(mount)
        try write(record, to: root, system: system)
        return try Drive(path: path, record: record, root: root, options: options)
    }

    private static func refuseUsed(
        _ root: Descriptor, path: String, system: DriveSyscalls
    ) throws(BackendError) {
        let shown = HostileText.escaped(path)
        guard try system.status(recordName, in: root) == nil else {
            throw system.error(.wrongDrive, "\(shown) is an enrolled drive already")
        }
        guard try system.status("repositories", in: root) != nil else { return }
        let repositories = try system.openFolder("repositories", in: root)
        guard try system.names(in: repositories).isEmpty else {
            throw system.error(
                .wrongDrive, "\(shown) holds repositories but no drive.json that can be read")
        }
    }
}

/// What `README.txt` on a drive says.
enum DriveReadme {
    static let text = """
        This folder holds backups of phones, made by Holdfast.

        Everything in it is encrypted. It can be read without Holdfast, on any computer, with
        restic (https://restic.net), a free program that is part of most Linux distributions.

        Each folder in "repositories" belongs to one person and is an ordinary restic repository.
        What you need is that person's recovery sheet: its words are the password.

            restic -r repositories/OWNER snapshots
            restic -r repositories/OWNER ls latest
            restic -r repositories/OWNER restore latest --target SOME/FOLDER

        restic asks for the password; type the words of the sheet in lower case, joined by
        hyphens: bakub-dalup-... If this drive is read-only, add --no-lock. To see whether
        everything is still whole:

            restic -r repositories/OWNER check --read-data

        The other files: drive.json tells Holdfast which drive this is; journal says when backups
        were made; quarantine holds damaged files that were replaced by good ones. Every drive of
        a set holds the same repositories. Please do not change, rename or delete anything here.

        """
}
