import Foundation
import SimulatedPhones

/// A phone in this process with a folder of its own, and programs that see it.
struct PhoneRun: ~Copyable {
    let folder: String
    let phone: SimulatedAndroidPhone

    init(
        content: (_ folder: String) throws -> any PhoneContent,
        options: PhoneOptions = PhoneOptions()
    ) throws {
        // Short, because Unix socket paths are.
        folder = NSTemporaryDirectory() + "sp-" + UUID().uuidString.prefix(8)
        let tree = folder + "/tree"
        try FileManager.default.createDirectory(
            atPath: tree, withIntermediateDirectories: true)
        let storage = PhoneStorage(
            name: "Internal shared storage", content: try content(tree))
        phone = try SimulatedAndroidPhone(
            options: options, storages: [storage], directory: folder + "/run")
    }

    deinit {
        phone.stop()
        // A folder left behind costs room, never a result.
        try? FileManager.default.removeItem(atPath: folder)
    }

    var tree: String { folder + "/tree" }

    /// Runs a program against the phone, with a limit so that no test can hang.
    func run(_ program: String, _ arguments: [String] = []) throws -> ProgramResult {
        try ProgramResult.run(
            program, arguments, environment: phone.environment, outputIn: folder)
    }
}

/// What a program printed and how it ended.
struct ProgramResult {
    let output: String
    let exitCode: Int32

    static func run(
        _ program: String, _ arguments: [String], environment: [String: String],
        outputIn folder: String
    ) throws -> ProgramResult {
        // A file instead of a pipe: a program that daemonises would keep a pipe open.
        let path = folder + "/output-" + UUID().uuidString
        let exitCode = try Spawn.run(
            command(program, arguments), variables: variables(environment), output: path)
        let bytes = try Data(contentsOf: URL(fileURLWithPath: path))
        return ProgramResult(output: String(decoding: bytes, as: UTF8.self), exitCode: exitCode)
    }

    /// With a limit, so that no test can hang.
    static func command(_ program: String, _ arguments: [String]) -> [String] {
        ["/usr/bin/timeout", "-k", "5", "60", program] + arguments
    }

    static func variables(_ environment: [String: String]) -> [String] {
        environment.merging([
            "PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "TZ": "UTC", "LC_ALL": "C.UTF-8",
        ]) { ours, _ in ours }.map { "\($0.key)=\($0.value)" }
    }

    static func isInstalled(_ program: String) -> Bool {
        let found = FileManager.default.isExecutableFile(atPath: "/usr/bin/" + program)
        if !found { print("Skipped: \(program) is not installed.") }
        return found
    }

    static var canMount: Bool {
        let usable =
            FileManager.default.isWritableFile(atPath: "/dev/fuse") && isInstalled("jmtpfs")
            && isInstalled("fusermount")
        if !usable { print("Skipped: /dev/fuse is not usable here.") }
        return usable
    }
}

/// A small generated tree: every kind of name, a database, photos.
func smallTree() -> [GeneratedFile] {
    var spec = GeneratedTreeSpec()
    spec.fileCount = 60
    spec.byteCount = 6_000_000
    spec.seed = 7
    return GeneratedTree.files(spec)
}
