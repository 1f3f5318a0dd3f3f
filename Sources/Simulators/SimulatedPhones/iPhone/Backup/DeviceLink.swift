/// The phone's side of DeviceLink: messages are property lists in frames of four bytes of length,
/// and the phone leads: it asks, the host answers.
final class DeviceLink {
    private let stream: any ServiceStream

    init(_ stream: any ServiceStream) {
        self.stream = stream
    }

    /// The host's answer to a request.
    struct Reply {
        /// 0, or what went wrong.
        var code: Int64
        var text: String
        var payload: PropertyList
    }

    /// Sends raw bytes.
    func write(_ bytes: [UInt8]) throws {
        try stream.write(bytes)
    }

    /// Exactly `count` bytes.
    func read(_ count: Int) throws -> [UInt8] {
        try stream.read(count)
    }

    /// A number of four bytes, most significant first.
    func readCount() throws -> Int {
        try read(4).reduce(0) { $0 << 8 | Int($1) }
    }

    /// Sends a message.
    func send(_ message: PropertyList) throws {
        try stream.writeMessage(message)
    }

    /// The next message: its name and its items.
    func receive() throws -> (name: String, items: [PropertyList]) {
        guard let items = try stream.readMessage().items, let name = items.first?.text else {
            throw BackupFailure(1, "The host sent no DeviceLink message")
        }
        if name == "DLMessageDisconnect" { throw HostLeft() }
        return (name, items)
    }

    /// The host's answer to what was just sent.
    func reply() throws -> Reply {
        let message = try receive()
        guard message.name == "DLMessageStatusResponse", message.items.count >= 4 else {
            throw BackupFailure(1, "The host answered with \(message.name)")
        }
        let code = message.items[1]
        return Reply(
            code: code.integer ?? Int64(truncatingIfNeeded: code.unsigned ?? 1),
            text: message.items[2].text ?? "", payload: message.items[3])
    }

    /// Sends a message and waits for its answer, whatever it says.
    func ask(_ message: PropertyList) throws -> Reply {
        try send(message)
        return try reply()
    }

    /// Sends a message whose refusal ends the job.
    func request(_ message: PropertyList) throws {
        try accept(try ask(message), to: message)
    }

    /// Throws when the host refused.
    func accept(_ reply: Reply, to message: PropertyList) throws {
        guard reply.code != 0 else { return }
        let name = message[0]?.text ?? ""
        // -15 is the host's ENOSPC; the phone reports the lack of space.
        throw BackupFailure(
            reply.code == -15 ? 105 : 100, "\(name) failed on the host: \(reply.text)")
    }

    /// Whether the host says something, or is gone, before the time is over.
    func canRead(within duration: Duration) -> Bool {
        stream.canRead(within: duration)
    }
}

/// The host said that it leaves.
struct HostLeft: Error {}

/// A job ends with an error of the phone's backup agent.
struct BackupFailure: Error {
    /// MBErrorDomain.
    let code: Int64
    let text: String

    init(_ code: Int64, _ text: String) {
        self.code = code
        self.text = text
    }

    /// As the phone words it.
    var description: String { "\(text) (MBErrorDomain/\(code))" }
}
