import BackupCore
import Glibc

/// The folder of a drive that takes what is damaged or stands in the way. Nothing is deleted.
struct Quarantine {
    private let folder: Descriptor
    private let system: DriveSyscalls

    private static let name: PathBytes = "quarantine"

    /// The quarantine of the drive whose folder is `root`, made when it is missing. What has its
    /// name and is no folder is moved into it.
    init(of root: Descriptor, system: DriveSyscalls) throws(BackendError) {
        self.system = system
        var displaced: PathBytes?
        if let kind = try system.status(Self.name, in: root)?.kind, kind != .directory {
            displaced = try Self.move(
                Self.name, from: root, to: root, as: "quarantine-was", system)
        }
        if try system.makeFolder(Self.name, in: root) { try system.sync(root) }
        folder = try system.openFolder(Self.name, in: root)
        if let displaced {
            try take(displaced, from: root, as: "quarantine")
            try system.sync(root)
        }
    }

    /// Moves an entry here under `label` and the first number that is free. It is durable here;
    /// that it is gone from `origin` is for the caller to make durable.
    func take(
        _ name: PathBytes, from origin: Descriptor, as label: String
    ) throws(BackendError) {
        _ = try Self.move(name, from: origin, to: folder, as: label, system)
        try system.sync(folder)
    }

    /// Renames to `label` and the first number that is free; gives the new name.
    private static func move(
        _ name: PathBytes, from origin: Descriptor, to folder: Descriptor, as label: String,
        _ system: DriveSyscalls
    ) throws(BackendError) -> PathBytes {
        var attempt = 1
        while true {
            let newName = PathBytes("\(label)-\(attempt)")
            do throws(BackendError) {
                try system.renameExclusively(name, in: origin, to: newName, in: folder)
                return newName
            } catch let error where error.nativeCode == EEXIST && attempt < 10_000 {
                attempt += 1
            }
        }
    }
}
