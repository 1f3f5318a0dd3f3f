import Foundation
import Testing

@testable import SimulatedPhones

/// iPhones in this process with a folder of their own, and programs that see them.
struct IPhoneRun: ~Copyable {
    let folder: String
    let mux: SimulatedUSBMux
    let phones: [SimulatediPhone]

    init(_ options: IPhoneOptions...) throws {
        // Short, because Unix socket paths are.
        let folder = NSTemporaryDirectory() + "ip-" + UUID().uuidString.prefix(8)
        try FileManager.default.createDirectory(
            atPath: folder, withIntermediateDirectories: true)
        let mux = try SimulatedUSBMux(directory: folder + "/run")
        let phones = try (options.isEmpty ? [IPhoneOptions()] : options).map { options in
            try SimulatediPhone(options: options, mux: mux)
        }
        self.folder = folder
        self.mux = mux
        self.phones = phones
    }

    deinit {
        for phone in phones { phone.stop() }
        mux.stop()
        // A folder left behind costs room, never a result.
        try? FileManager.default.removeItem(atPath: folder)
    }

    var phone: SimulatediPhone { phones[0] }

    /// Runs a program of libimobiledevice, with a limit so that no test can hang.
    func run(_ program: String, _ arguments: String...) throws -> ProgramResult {
        try ProgramResult.run(program, arguments, environment: mux.environment, outputIn: folder)
    }

    /// The phone, which the host of these tests is paired with.
    func paired() throws -> SimulatediPhone {
        let result = try run("idevicepair", "pair")
        guard result.exitCode == 0 else { throw NotPaired(output: result.output) }
        return phone
    }

    struct NotPaired: Error {
        let output: String
    }
}

extension IPhoneOptions {
    /// A phone that differs in what the body says.
    static func with(_ body: (inout IPhoneOptions) -> Void) -> IPhoneOptions {
        var options = IPhoneOptions()
        body(&options)
        return options
    }
}

/// A host's end of a service in memory: what it sends is there from the start, what it gets is
/// kept.
final class ScriptedHost: ServiceStream, @unchecked Sendable {
    // Unchecked: one test's thread has it.
    private var toPhone: [UInt8]
    private(set) var fromPhone: [UInt8] = []

    init(_ bytes: [UInt8]) {
        toPhone = bytes
    }

    func read(_ count: Int) throws -> [UInt8] {
        guard count <= toPhone.count else { throw StreamEnd() }
        defer { toPhone.removeFirst(count) }
        return Array(toPhone.prefix(count))
    }

    func write(_ bytes: [UInt8]) throws { fromPhone += bytes }
    func canRead(within duration: Duration) -> Bool { !toPhone.isEmpty }
    func close() {}
}

/// A program that runs beside a test.
struct BackgroundProgram {
    private let child: pid_t
    private let path: String

    init(
        _ program: String, _ arguments: [String], environment: [String: String],
        outputIn folder: String
    ) throws {
        path = folder + "/output-" + UUID().uuidString
        child = try Spawn.start(
            ProgramResult.command(program, arguments),
            variables: ProgramResult.variables(environment), output: path)
    }

    /// What it has printed so far.
    var output: String {
        FileManager.default.contents(atPath: path).map { String(decoding: $0, as: UTF8.self) } ?? ""
    }

    /// Its exit code, once it has ended by itself.
    func wait() -> Int32 {
        // Only a process that is none cannot be waited for.
        (try? Spawn.wait(for: child)) ?? -1
    }

    /// Ends it. `isPolite` lets it tidy up, which observers of notifications do for a minute.
    func stop(isPolite: Bool = true) {
        kill(child, isPolite ? SIGTERM : SIGKILL)
        _ = wait()
    }
}

/// A program's connection to usbmuxd, spoken to by hand.
struct MuxProbe {
    let socket: StreamSocket

    init(_ mux: SimulatedUSBMux) throws {
        socket = try StreamSocket(connectingTo: mux.socketPath)
    }

    func ask(_ list: PropertyList, tag: UInt32 = 7) throws -> PropertyList {
        let body = list.encodeXML()
        var writer = ByteWriter()
        for field in [UInt32(body.count + 16), 1, 8, tag] { writer.put(field) }
        writer.put(raw: body)
        #expect(socket.send(writer.bytes))
        let answer = try next()
        #expect(answer.tag == tag)
        return answer.list
    }

    func next() throws -> (list: PropertyList, tag: UInt32) {
        var head = ByteReader(try #require(socket.receive(16)))
        let fields = (0..<4).compactMap { _ in head.take(UInt32.self) }
        let body = try #require(socket.receive(Int(fields[0]) - 16))
        return (try PropertyList.decode(body), fields[3])
    }

    /// Becomes a plain connection to a port of the phone.
    func connect(_ phone: SimulatediPhone, port: UInt16) throws -> PlainStream {
        let result = try ask([
            "MessageType": "Connect", "DeviceID": .number(phone.status.deviceID),
            "PortNumber": .number(port.byteSwapped),
        ])
        #expect(result["Number"]?.integer == 0)
        let line = PhoneLine(model: LinkModel())
        line.plug()
        return PlainStream(LineConnection(socket, over: line, service: "host"))
    }
}
