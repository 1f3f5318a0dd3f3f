import Foundation
import SimulatedPhones
import Testing

/// A simulated phone: the simulator's program, behind its USB socket.
final class Phone {
    let bay: Int
    let storage: PhoneFolder
    let card: PhoneFolder
    private let child: Child
    private let directory: String

    /// Plugs a phone into `bay` of the lab in `folder`.
    init(
        in folder: String, name: String, bay: Int, hasCard: Bool, script: String?,
        _ options: [String]
    ) throws {
        self.bay = bay
        directory = folder + "/sim"
        storage = PhoneFolder(path: folder + "/phone-\(bay)")
        card = PhoneFolder(path: folder + "/card-\(bay)")
        for path in [storage.path, card.path] {
            try FileManager.default.createDirectory(
                atPath: path, withIntermediateDirectories: true)
        }
        var words = [
            Programs.simulator, "android", "--dir", directory, "--name", name, "--bay", "\(bay)",
            "--serial", "E2E000\(bay)",
        ]
        if let script {
            let path = folder + "/script-\(bay).json"
            try Data(script.utf8).write(to: URL(fileURLWithPath: path))
            words += ["--script", path]
        } else {
            words += ["--folder", storage.path]
        }
        if hasCard { words += ["--card-folder", card.path] }
        child = try Child(
            words + options, variables: ["PATH": "/usr/bin:/bin", "TZ": "UTC"],
            outputIn: folder + "/out")
        let running = child
        let isReady = eventually { running.outputSoFar.contains("\n") || !running.isRunning }
        try #require(isReady && running.isRunning, "\(running.errorsSoFar)")
    }

    /// Ends the program: the phone is gone for good.
    func end() {
        guard child.isRunning else { return }
        child.signal(SIGTERM)
        _ = child.finish(within: 20)
    }

    @discardableResult
    func control(_ words: String...) throws -> String {
        try PhoneControl.send(words, to: directory, bay: bay)
    }

    /// What hosts did to it since the last `reset-counters`.
    var status: PhoneStatus {
        get throws {
            try JSONDecoder().decode(PhoneStatus.self, from: Data(try control("status").utf8))
        }
    }

    /// How many files' contents were asked for since the last `reset-counters`.
    var contentRequests: Int {
        get throws {
            let operations = try status.counters.operations
            return operations["getObject", default: 0] + operations["getPartialObject", default: 0]
        }
    }

    /// The files that were read, by path.
    var filesRead: [String] {
        get throws { try status.counters.bytesRead.filter { $0.value > 0 }.keys.sorted() }
    }

    /// Bytes of file content that were read.
    var contentRead: UInt64 {
        get throws { try status.counters.bytesRead.values.reduce(0, +) }
    }

    /// Waits until a run has read this much content.
    func hasRead(_ bytes: UInt64) -> Bool {
        eventually { ((try? self.contentRead) ?? 0) >= bytes }
    }
}
