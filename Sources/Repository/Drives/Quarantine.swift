import BackupCore
import Glibc

/// The folder of a drive that takes what is damaged or stands in the way. Nothing is deleted.
struct Quarantine {
    private let folder: Descriptor
    private let system: DriveSyscalls

    /// The quarantine of the drive whose folder is `root`, made when it is missing.
    init(of root: Descriptor, system: DriveSyscalls) throws(BackendError) {
        if try system.makeFolder("quarantine", in: root) { try system.sync(root) }
        folder = try system.openFolder("quarantine", in: root)
        self.system = system
    }

    /// Moves an entry here under `label` and the first number that is free. It is durable here;
    /// that it is gone from `origin` is for the caller to make durable.
    func take(
        _ name: PathBytes, from origin: Descriptor, as label: String
    ) throws(BackendError) {
        var attempt = 1
        while true {
            do throws(BackendError) {
                try system.renameExclusively(
                    name, in: origin, to: PathBytes("\(label)-\(attempt)"), in: folder)
                break
            } catch let error where error.nativeCode == EEXIST && attempt < 10_000 {
                attempt += 1
            }
        }
        try system.sync(folder)
    }
}
