import Foundation
import Testing

/// A temporary folder that is removed with its owner.
struct TemporaryFolder: ~Copyable {
    let url: URL

    init() throws {
        url = FileManager.default.temporaryDirectory.appendingPathComponent(
            "holdfast-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: url, withIntermediateDirectories: true)
    }

    deinit {
        // Nothing more can be done about a folder that does not go away.
        try? FileManager.default.removeItem(at: url)
    }
}

/// The packaged restic, the judge of what we write.
struct Restic: Sendable {
    struct Result {
        let status: Int32
        let output: String
    }

    let repository: URL
    var password = "secret"

    static let isInstalled = FileManager.default.isExecutableFile(atPath: "/usr/bin/restic")

    /// Runs a command; both streams together are the output.
    @discardableResult
    func run(_ arguments: String...) throws -> Result {
        let process = try start(arguments)
        let output = process.output.fileHandleForReading.readDataToEndOfFile()
        process.process.waitUntilExit()
        return Result(
            status: process.process.terminationStatus,
            output: String(decoding: output, as: UTF8.self))
    }

    struct Running {
        let process: Process
        let output: Pipe
        let input: Pipe
    }

    /// Starts a command that reads the pipe `input`.
    func start(_ arguments: [String]) throws -> Running {
        let process = Process()
        process.executableURL = URL(fileURLWithPath: "/usr/bin/restic")
        process.arguments = ["--no-cache", "-r", repository.path] + arguments
        var environment = ProcessInfo.processInfo.environment
        environment["RESTIC_PASSWORD"] = password
        process.environment = environment
        let output = Pipe()
        let input = Pipe()
        process.standardOutput = output
        process.standardError = output
        process.standardInput = input
        try process.run()
        return Running(process: process, output: output, input: input)
    }
}
