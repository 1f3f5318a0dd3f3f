import BackupCore
import Drives
import Glibc
import ResticFormat
import ResticRepository

/// Drives in folders that hold one owner's repository, and the files that a box keeps beside them.
///
/// Everything a run of ours needs is in the folder, so that a child process can open it by path.
struct TrialStore: Sendable {
    static let owner = OwnerID(trusted: "trial")
    static let set = DriveSetID(trusted: "trial")
    static let phone = PhoneID(trusted: "android-0123456789abcdef")
    /// What opens the repository, for restic too.
    static let password = "trial"
    static let clock = TrialClock()

    let folder: String
    /// The drives' names, which are folders in ``folder``.
    let drives: [String]
    let key: MasterKey

    /// Makes drives and the repository on each of them.
    static func make(in folder: String, drives: [String] = ["a", "b"]) async throws -> TrialStore {
        TrialFiles.makeFolder(folder)
        let made = NewRepository.make(
            passwords: [password], hostname: "trial", created: clock.now(), cost: .forTests)
        for name in drives {
            mkdir("\(folder)/\(name)", 0o700)
            let drive = try await Drive.enrol(
                path: "\(folder)/\(name)", set: set, drive: DriveID(trusted: name),
                options: options())
            try await drive.repository(owner).initialise(
                config: made.config, keys: made.keys.map { ($0.id, $0.bytes) })
        }
        return TrialStore(folder: folder, drives: drives, key: made.masterKey)
    }

    /// Opens what is there, with the password.
    static func open(_ folder: String, drives: [String] = ["a", "b"]) async throws -> TrialStore {
        var failure: any Error = BackendError(.absent, "there are no drives")
        for name in drives {
            do {
                let copy = try await Drive.open(path: "\(folder)/\(name)", options: options())
                    .repository(owner)
                let key = try await ResticSnapshotRepository.unlock(
                    backend: copy, password: password)
                return TrialStore(folder: folder, drives: drives, key: key)
            } catch {
                failure = error
            }
        }
        throw failure
    }

    /// The same store in a copy of its folder.
    func copied(to folder: String) -> TrialStore {
        TrialFiles.remove(folder)
        TrialFiles.copyLinked(self.folder, to: folder)
        return TrialStore(folder: folder, drives: drives, key: key)
    }

    static func options(fault: DriveFaultHook? = nil) -> DriveOptions {
        DriveOptions(clock: clock, reserveBytes: 0, fault: fault)
    }

    // MARK: Places

    func drive(_ name: String) -> String { "\(folder)/\(name)" }
    func repository(_ drive: String) -> String {
        "\(folder)/\(drive)/holdfast/repositories/\(Self.owner)"
    }
    func path(_ file: FileName, on drive: String) -> String {
        "\(repository(drive))/\(file.relativePath)"
    }

    /// The files of a repository, by kind and id, as they lie on a drive; locks left out.
    func files(on drive: String) -> [FileName] {
        var found: [FileName] = []
        for kind in FileKind.allCases where kind != .lock && kind != .config {
            let folder = "\(repository(drive))/\(kind.rawValue)"
            let names =
                kind == .data
                ? TrialFiles.names(folder).flatMap { TrialFiles.names("\(folder)/\($0)") }
                : TrialFiles.names(folder)
            found += names.compactMap { ContentID(hex: $0) }.map { FileName(kind, $0) }
        }
        return found.sorted() + [.config]
    }

    // MARK: The store's own parts

    func copy(on drive: String, fault: DriveFaultHook? = nil) async throws -> DriveBackend {
        try await Drive.open(path: self.drive(drive), options: Self.options(fault: fault))
            .repository(Self.owner)
    }

    func copies(fault: DriveFaultHook? = nil) async throws -> [DriveBackend] {
        var copies: [DriveBackend] = []
        for name in drives { copies.append(try await copy(on: name, fault: fault)) }
        return copies
    }

    /// Whether bytes are the config of this repository.
    var judge: ConfigJudge {
        let key = key
        return { bytes in (try? ConfigCodec.open(bytes, sealer: Sealer(key))) != nil }
    }

    /// Packs are small, so that a few files fill several.
    static let packByteCount = 32 << 10

    /// The repository over `backend`; indexes are written now and then.
    func open(
        _ backend: any RepositoryBackend, for purpose: RepositoryOptions.Purpose,
        willPublish: @escaping @Sendable () async -> Void = {}
    ) async throws -> ResticSnapshotRepository {
        var options = RepositoryOptions(purpose, clock: Self.clock)
        options.willPublish = willPublish
        options.packByteCount = Self.packByteCount
        options.checkpointPackCount = 3
        return try await ResticSnapshotRepository.open(
            backend: backend, masterKey: key, options: options)
    }
}
