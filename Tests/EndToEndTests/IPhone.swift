import Foundation
import SimulatedPhones
import Testing

/// A simulated iPhone: the simulator's program, behind its usbmuxd socket.
final class IPhone {
    /// Behind it the phone keeps what it knows, its media folder among it.
    static let udid = "00008110-000A1B2C3D4E801E"
    private let child: Child
    private let directory: String

    /// Plugs an iPhone into the lab in `folder`.
    init(in folder: String, _ options: [String]) throws {
        directory = Self.directory(folder)
        child = try Child(
            [
                Programs.simulator, "iphone", "--dir", directory, "--udid", Self.udid,
            ] + options, variables: ["PATH": "/usr/bin:/bin", "TZ": "UTC"],
            outputIn: folder + "/out")
        let running = child
        let isReady = eventually { running.outputSoFar.contains("\n") || !running.isRunning }
        try #require(isReady && running.isRunning, "\(running.errorsSoFar)")
    }

    /// The folder of the socket, where a lab's iPhones are.
    static func directory(_ folder: String) -> String { folder + "/mux" }

    /// Ends the program: the phone is gone for good.
    func end() {
        guard child.isRunning else { return }
        child.signal(SIGTERM)
        _ = child.finish(within: 20)
    }

    @discardableResult
    func control(bay: Int = 1, _ words: String...) throws -> String {
        try PhoneControl.send(words, to: directory, bay: bay)
    }

    /// What hosts did to it since the last `reset-counters`.
    var status: IPhoneStatus {
        get throws {
            try JSONDecoder().decode(IPhoneStatus.self, from: Data(try control("status").utf8))
        }
    }

    /// The files whose content was read, by path.
    var filesRead: [String] {
        get throws { try status.counters.bytesRead.filter { $0.value > 0 }.keys.sorted() }
    }

    /// The media folder, as a restore of everything must look: what is saved of it, by path.
    func saved() -> [String: String] {
        let media = "\(directory)/\(Self.udid)/Media"
        let top = ["DCIM", "PhotoData", "Recordings", "Books", "Downloads"]
        let inside = ["AlbumsMetadata", "Mutations", "CPLAssets", "PhotoCloudSharingData"]
        let left =
            files(in: media).filter { !top.contains($0) }.map { "/" + $0 }
            + files(in: media + "/PhotoData")
            .filter { !inside.contains($0) && !$0.hasPrefix("Photos.sqlite") }
            .map { "/PhotoData/" + $0 }
        return contents(of: media, dates: true, but: left)
    }
}
