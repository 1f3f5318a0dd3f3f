import BackupCore
import BackupEngine
import CSystem
import Drives
import Glibc
import ResticFormat
import ResticRepository

/// The store without a phone: a folder is backed up to two drives through the engine, the
/// repository and the mirror, put together as the appliance does. README.md lists the commands.
@main
enum StoreBenchmark {
    static let owner = OwnerID(trusted: "benchmark")
    static let clock = SystemClock()
    private static let phone = PhoneID(trusted: "android-0000000000000000")
    static let password = "benchmark"
    private static let driveOptions = DriveOptions(clock: clock)
    private static let usage = """
        store-benchmark init DRIVE…
                      | backup FOLDER DRIVE…
                      | check DRIVE
                      | restore DRIVE FOLDER
                      | open DRIVE
                      | forget DRIVE…
                      | prune DRIVE…
                      | generate DRIVE SNAPSHOTS BLOBS
                      | levels FILE…
        """

    static func main() async {
        holdfast_limit_allocator()
        var arguments = Array(CommandLine.arguments.dropFirst())
        let command = arguments.isEmpty ? "" : arguments.removeFirst()
        do {
            exit(try await run(command, arguments).rawValue)
        } catch {
            say((error as? any Explained)?.explanation ?? "\(error)")
            exit(1)
        }
    }

    /// Beside the main thread, as in the product.
    @concurrent private static func run(_ command: String, _ arguments: [String]) async throws
        -> ExitCode
    {
        switch (command, arguments.count) {
        case ("init", 1...): try await prepare(arguments)
        case ("backup", 2...):
            return try await backUp(arguments[0], to: Array(arguments.dropFirst()))
        case ("check", 1): return try await check(arguments[0])
        case ("restore", 2): return try await restore(from: arguments[0], to: arguments[1])
        case ("open", 1): try await measureOpening(arguments[0])
        case ("forget", 1...):
            return try await Removal.forgetOldest(try await repositories(on: arguments))
        case ("prune", 1...): return try await Removal.prune(try await repositories(on: arguments))
        case ("generate", 3):
            guard let snapshots = Int(arguments[1]), let blobs = Int(arguments[2]) else {
                return usageError()
            }
            let copy = try await repository(on: arguments[0])
            let key = try await ResticSnapshotRepository.unlock(backend: copy, password: password)
            try await GeneratedRepository(on: copy, path: arguments[0], key: key)
                .fill(snapshots: snapshots, blobs: blobs)
        case ("levels", 1...): try CompressionLevels.measure(arguments)
        default: return usageError()
        }
        return .done
    }

    private static func usageError() -> ExitCode {
        say(usage)
        return .usage
    }

    private static func prepare(_ paths: [String]) async throws {
        let made = NewRepository.make(
            passwords: [password], hostname: "benchmark", created: clock.now())
        for path in paths {
            let drive = try await Drive.enrol(
                path: path, set: DriveSetID(trusted: "benchmark"), options: driveOptions)
            try await drive.repository(owner).initialise(
                config: made.config, keys: made.keys.map { ($0.id, $0.bytes) })
        }
    }

    private static func repository(on path: String) async throws -> DriveBackend {
        try await Drive.open(path: path, options: driveOptions).repository(owner)
    }

    private static func repositories(on paths: [String]) async throws -> [DriveBackend] {
        var copies: [DriveBackend] = []
        for path in paths { copies.append(try await repository(on: path)) }
        return copies
    }

    private static func open(
        _ paths: [String], for purpose: RepositoryOptions.Purpose
    ) async throws -> ResticSnapshotRepository {
        let mirror = MirroredBackend(try await repositories(on: paths))
        let key = try await ResticSnapshotRepository.unlock(backend: mirror, password: password)
        let start = clock.elapsed()
        let repository = try await ResticSnapshotRepository.open(
            backend: mirror, masterKey: key, options: RepositoryOptions(purpose, clock: clock))
        say("Opened in \(clock.elapsed() - start).")
        return repository
    }

    private static func backUp(_ folder: String, to paths: [String]) async throws -> ExitCode {
        let repository = try await open(paths, for: .writing)
        var request = BackupRequest(
            run: RunID(trusted: "run-\(clock.now().seconds)"), phone: phone, family: .android,
            owner: owner, hostname: "benchmark")
        // A folder that lost half of its files was meant to.
        request.acceptsShrink = true
        let run = BackupRun(request, services: services, repository: repository)
        let report = await run.run(FolderSession(folder: folder))
        await repository.close()
        say(report.messages.joined(separator: " "))
        return report.exitCode
    }

    /// What `restic check --read-data` does, on one drive.
    private static func check(_ path: String) async throws -> ExitCode {
        let copy = try await repository(on: path)
        let key = try await ResticSnapshotRepository.unlock(backend: copy, password: password)
        let report = try await StructureCheck(backend: copy, masterKey: key, readData: true).run()
        say("\(report.packCount) packs, \(report.blobCount) blobs, \(report.bytesRead) bytes read.")
        for finding in report.findings { say("\(finding)") }
        return report.isSound ? .done : .damageLost
    }

    /// The newest snapshot, whole.
    private static func restore(from path: String, to folder: String) async throws -> ExitCode {
        let repository = try await open([path], for: .reading)
        guard let tree = try await repository.snapshots().last?.tree else { return .notFound }
        let target = try await FolderTarget.open(path: folder)
        let report = await RestoreRun(
            RestoreRequest(run: RunID(trusted: "run-\(clock.now().seconds)"), tree: tree),
            repository: repository, target: target, clock: clock, events: { _ in }
        ).run()
        try await target.finish()
        say(report.messages.joined(separator: " "))
        return report.exitCode
    }

    /// Reads the indexes and lists the snapshots, as each command does before anything else.
    private static func measureOpening(_ path: String) async throws {
        let repository = try await open([path], for: .reading)
        say("\(try await repository.snapshots().count) snapshots.")
    }

    private static var services: BackupServices {
        BackupServices(
            clock: clock, hash: { ContentID.sha256(of: $0) }, driveSpace: { [] },
            reconnect: { () async throws(DeviceError) in
                throw DeviceError(.gone, "a folder does not come back")
            },
            events: { _ in })
    }

    static func say(_ text: String) { print(text) }
}

/// The machine's own clocks.
struct SystemClock: RunClock {
    func now() -> Timestamp {
        var time = timespec()
        // Sound: the call fills the local value.
        unsafe clock_gettime(CLOCK_REALTIME, &time)
        return Timestamp(seconds: Int64(time.tv_sec), nanoseconds: UInt32(time.tv_nsec))
    }

    func utcOffsetSeconds() -> Int { 0 }

    func elapsed() -> Duration {
        var time = timespec()
        // Sound: as above.
        unsafe clock_gettime(CLOCK_MONOTONIC, &time)
        return .seconds(Int64(time.tv_sec)) + .nanoseconds(Int64(time.tv_nsec))
    }

    func sleep(_ duration: Duration) async {
        // Cancelling only makes the wait shorter, which is what the port asks for.
        try? await Task.sleep(for: duration)
    }
}
