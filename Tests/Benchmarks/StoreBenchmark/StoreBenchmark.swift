import BackupCore
import BackupEngine
import CSystem
import Drives
import Glibc
import ResticFormat
import ResticRepository

/// The store without a phone: a folder is backed up to two drives through the engine, the
/// repository and the mirror, put together as the appliance does.
///
/// `store-benchmark init DRIVE DRIVE` enrols two folders and makes the repositories, opened by
/// the password `benchmark`; `store-benchmark backup FOLDER DRIVE DRIVE` is what is measured.
@main
enum StoreBenchmark {
    private static let owner = OwnerID(trusted: "benchmark")
    private static let phone = PhoneID(trusted: "android-0000000000000000")
    private static let password = "benchmark"
    private static let clock = SystemClock()
    private static let driveOptions = DriveOptions(clock: clock)

    static func main() async {
        holdfast_limit_allocator()
        let arguments = Array(CommandLine.arguments.dropFirst())
        do {
            switch (arguments.first, arguments.count) {
            case ("init", 3): try await prepare(Array(arguments.dropFirst()))
            case ("backup", 4):
                let code = try await backUp(arguments[1], to: Array(arguments.dropFirst(2)))
                exit(code.rawValue)
            default:
                say("store-benchmark init DRIVE DRIVE | backup FOLDER DRIVE DRIVE")
                exit(ExitCode.usage.rawValue)
            }
        } catch {
            say((error as? any Explained)?.explanation ?? "\(error)")
            exit(1)
        }
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

    private static func backUp(_ folder: String, to paths: [String]) async throws -> ExitCode {
        var copies: [DriveBackend] = []
        for path in paths {
            copies.append(
                try await Drive.open(path: path, options: driveOptions).repository(owner))
        }
        let mirror = MirroredBackend(copies)
        let key = try await ResticSnapshotRepository.unlock(backend: mirror, password: password)
        let repository = try await ResticSnapshotRepository.open(
            backend: mirror, masterKey: key, options: RepositoryOptions(.writing, clock: clock))
        let run = BackupRun(
            BackupRequest(
                run: RunID(trusted: "run-\(clock.now().seconds)"), phone: phone, family: .android,
                owner: owner, hostname: "benchmark"),
            services: services, repository: repository)
        let report = await run.run(FolderSession(folder: folder))
        await repository.close()
        say(report.messages.joined(separator: " "))
        return report.exitCode
    }

    private static var services: BackupServices {
        BackupServices(
            clock: clock, hash: { ContentID.sha256(of: $0) }, driveSpace: { [] },
            reconnect: { () async throws(DeviceError) in
                throw DeviceError(.gone, "a folder does not come back")
            },
            events: { _ in })
    }

    private static func say(_ text: String) { print(text) }
}

/// The machine's own clocks.
private struct SystemClock: RunClock {
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
