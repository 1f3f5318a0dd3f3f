import BackupCore
import Glibc

/// The folder of a drive that takes what is damaged or stands in the way. Nothing is deleted.
struct Quarantine {
    private let folder: Descriptor
    private let system: DriveSyscalls

    private static let name: PathBytes = "quarantine"

    /// The quarantine of the drive whose folder is `root`, made when it is missing. What has its
    /// name and is no folder gets another name.
    init(of root: Descriptor, system: DriveSyscalls) throws(BackendError) {
        if let kind = try system.status(Self.name, in: root)?.kind, kind != .directory {
            try Self.move(Self.name, from: root, to: root, as: "quarantine-was", system)
        }
        if try system.makeFolder(Self.name, in: root) { try system.sync(root) }
        folder = try system.openFolder(Self.name, in: root)
        self.system = system
    }

    /// Moves an entry here under `label` and the first number that is free. It is durable here;
    /// that it is gone from `origin` is for the caller to make durable.
    func take(
        _ name: PathBytes, from origin: Descriptor, as label: String
    ) throws(BackendError) {
        try Self.move(name, from: origin, to: folder, as: label, system)
        try system.sync(folder)
    }

    private static func move(
        _ name: PathBytes, from origin: Descriptor, to folder: Descriptor, as label: String,
        _ system: DriveSyscalls
    ) throws(BackendError) {
        var attempt = 1
        while true {
            do throws(BackendError) {
                return try system.renameExclusively(
                    name, in: origin, to: PathBytes("\(label)-\(attempt)"), in: folder)
            } catch let error where error.nativeCode == EEXIST && attempt < 10_000 {
                attempt += 1
            }
        }
    }
}
