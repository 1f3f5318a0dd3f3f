import Foundation

/// Takes commands on a Unix socket: one line in, one line of JSON out.
final class ControlServer: Sendable {
    private let listener: ListeningSocket

    /// `answer` takes the words of a line and gives JSON; nil when they are no command.
    init(
        path: String, answer: @escaping @Sendable (_ words: [String]) -> String?
    ) throws(SocketProblem) {
        let listener = try ListeningSocket(path: path)
        self.listener = listener
        Thread.detachNewThread {
            while let client = listener.accept() {
                Thread.detachNewThread { Self.serve(client, answer) }
            }
        }
    }

    func end() {
        listener.end()
    }

    private static func serve(_ client: StreamSocket, _ answer: ([String]) -> String?) {
        while let line = client.receiveLine(limit: 4096) {
            let words = String(decoding: line, as: UTF8.self).split(separator: " ").map(String.init)
            let reply = answer(words) ?? #"{"ok":false,"error":"unknown command"}"#
            guard client.send(Array(reply.utf8) + [0x0A]) else { return }
        }
    }
}

/// The other end of the control socket.
package enum PhoneControl {
    /// The answer to a command that was carried out.
    static let done = #"{"ok":true}"#

    /// Whether some phone would take the words.
    package static func isCommand(_ words: [String]) -> Bool {
        words == ["status"] || PhoneCommand(words: words) != nil
            || IPhoneCommand(words: words) != nil || BackupCommand(control: words) != nil
    }

    /// Sends a command to the phone and returns its line of JSON. `place` is a control socket
    /// or the folder of a run with one phone, or with `bay` one of several.
    package static func send(
        _ words: [String], to place: String, bay: Int? = nil
    ) throws(SocketProblem) -> String {
        let socket = try StreamSocket(connectingTo: try socketPath(place, bay: bay))
        let line = Array(words.joined(separator: " ").utf8) + [0x0A]
        guard socket.send(line), let reply = socket.receiveLine(limit: 1 << 28) else {
            throw SocketProblem(description: "The simulated phone at \(place) did not answer.")
        }
        return String(decoding: reply, as: UTF8.self)
    }

    private static func socketPath(_ place: String, bay: Int?) throws(SocketProblem) -> String {
        var isFolder: ObjCBool = false
        // Sound: the call writes one Boolean into the local variable.
        let exists = unsafe FileManager.default.fileExists(atPath: place, isDirectory: &isFolder)
        guard exists, isFolder.boolValue else { return place }
        if let bay { return "\(place)/bay\(bay).control" }
        // An unreadable folder has no phones to offer.
        let names = (try? FileManager.default.contentsOfDirectory(atPath: place)) ?? []
        let sockets = names.filter { $0.hasSuffix(".control") }
        guard let only = sockets.first, sockets.count == 1 else {
            throw SocketProblem(
                description: sockets.isEmpty
                    ? "There is no simulated phone in \(place)."
                    : "There are several simulated phones in \(place); choose one with --bay.")
        }
        return "\(place)/\(only)"
    }

    /// One line of JSON with sorted keys.
    package static func encoded(_ value: some Encodable) -> String {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        // Encoding plain numbers and texts cannot fail; an empty object would show if it did.
        guard let data = try? encoder.encode(value) else { return "{}" }
        return String(decoding: data, as: UTF8.self)
    }
}
