import BackupCore
import Glibc
import Synchronization

@testable import ApplePhone

/// A phone whose backup service does what a test writes, each conversation on a thread of its own.
final class ScriptedBackupPhone: BackupPhone {
    let udid = "00008030-000000000000002E"
    let time: CountedTime
    let notes: ScriptedNotices
    let media = ScriptedMedia()
    var values: [String: PropertyList] = [
        "ProductVersion": .string("17.5"), "DeviceName": .string("Ana's iPhone"),
        "BuildVersion": .string("21F79"), "ProductType": .string("iPhone14,5"),
        "SerialNumber": .string("C39ABCDEFGH"), "PhoneNumber": .string(""),
    ]
    /// One for each time that mobilebackup2 is started, the last for all later times.
    private var scripts: [@Sendable (PhoneEnd) throws -> Void]
    private(set) var conversations = 0

    init(
        time: CountedTime = CountedTime(), notes: ScriptedNotices = ScriptedNotices(),
        _ scripts: (@Sendable (PhoneEnd) throws -> Void)...
    ) {
        self.time = time
        self.notes = notes
        self.scripts = scripts
    }

    func start(
        _ service: String, withEscrowBag: Bool
    ) throws(DeviceError) -> any ServiceConnection {
        let script: @Sendable (PhoneEnd) throws -> Void
        switch service {
        case BackupService.name:
            guard withEscrowBag else { throw DeviceError(.refused, "No escrow bag") }
            conversations += 1
            time.speak()
            script = scripts.count > 1 ? scripts.removeFirst() : scripts[0]
        case "com.apple.mobile.installation_proxy": script = Self.apps
        default: throw DeviceError(.refused, "No such service")
        }
        var ends: [Int32] = [-1, -1]
        guard socketpair(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0, &ends) == 0 else {
            throw DeviceError(.gone, "No sockets")
        }
        PhoneEnd(ends[1]).run(script)
        return SocketConnection(ends[0], time)
    }

    private static let apps: @Sendable (PhoneEnd) throws -> Void = { phone in
        _ = try phone.receive()
        try phone.send(
            .dictionary([
                "Status": .string("Complete"),
                "CurrentList": .array([
                    .dictionary([
                        "CFBundleIdentifier": .string("com.example.game"),
                        "ApplicationSINF": .data([1]), "iTunesMetadata": .data([2]),
                    ]),
                    .dictionary(["CFBundleIdentifier": .string("com.example.free")]),
                ]),
            ]))
    }

    func value(domain: String?, key: String?) throws(DeviceError) -> PropertyList? {
        guard domain == nil else { return nil }
        return key.map { values[$0] } ?? .dictionary(values)
    }

    func notices() throws(DeviceError) -> any PhoneNotices { notes }
    func mediaFolder() throws(DeviceError) -> any MediaFolder { media }
    func elapsed() -> Duration { time.elapsed }
    func pause(_ duration: Duration) {}
}

/// Notices that a test puts up, and those that the host gave.
final class ScriptedNotices: PhoneNotices, Sendable {
    /// What the phone's thread puts up; one is taken with each question.
    let coming = Mutex<[String]>([])
    private let given = Mutex<(posted: [String], observed: [String])>(([], []))
    var posted: [String] { given.withLock { $0.posted } }
    var observed: [String] { given.withLock { $0.observed } }

    func observe(_ names: [String]) throws(DeviceError) {
        given.withLock { $0.observed = names }
    }
    func post(_ name: String) throws(DeviceError) { given.withLock { $0.posted.append(name) } }
    func next(within limit: Duration) throws(DeviceError) -> [String] {
        coming.withLock { coming in
            defer { coming = [] }
            return coming
        }
    }
    func close() {}
}

/// A media folder of a few files, whose lock may be taken.
final class ScriptedMedia: MediaFolder {
    var files: [String: [UInt8]] = ["/iTunes_Control/iTunes/iTunesPrefs": [7, 7]]
    var refusedLocks = 0
    private(set) var isLocked = false

    func content(_ path: String, limit: Int) throws(DeviceError) -> [UInt8]? { files[path] }
    func put(_ content: [UInt8], _ path: String) throws(DeviceError) { files[path] = content }
    func remove(_ path: String) throws(DeviceError) { files[path] = nil }
    func open(toLock path: String) throws(DeviceError) -> UInt64 { 4 }
    func lock(_ handle: UInt64) throws(DeviceError) -> Bool {
        refusedLocks -= 1
        isLocked = refusedLocks < 0
        return isLocked
    }
    func unlock(_ handle: UInt64) { isLocked = false }
    func close() {}
}

/// The phone's end of a conversation; its thread ends with the script.
final class PhoneEnd: @unchecked Sendable {
    // Unchecked: used by the phone's thread only, once it runs.
    private let descriptor: Int32
    private var script: (@Sendable (PhoneEnd) throws -> Void)?

    struct Lost: Error {}

    init(_ descriptor: Int32) { self.descriptor = descriptor }

    func run(_ script: @escaping @Sendable (PhoneEnd) throws -> Void) {
        self.script = script
        var thread = pthread_t()
        let box = Unmanaged.passRetained(self).toOpaque()
        pthread_create(
            &thread, nil,
            { argument in
                guard let argument else { return nil }
                let phone = Unmanaged<PhoneEnd>.fromOpaque(argument).takeRetainedValue()
                // A host that hangs up ends the script, which is what a phone does too.
                try? phone.script?(phone)
                close(phone.descriptor)
                return nil
            }, box)
        pthread_detach(thread)
    }

    func send(bytes: [UInt8]) throws {
        var sent = 0
        while sent < bytes.count {
            let count = bytes.withUnsafeBytes {
                Glibc.send(
                    descriptor, $0.baseAddress?.advanced(by: sent), bytes.count - sent,
                    Int32(MSG_NOSIGNAL))
            }
            guard count > 0 else { throw Lost() }
            sent += count
        }
    }

    func read(_ count: Int) throws -> [UInt8] {
        var bytes = [UInt8](repeating: 0, count: count)
        var filled = 0
        while filled < count {
            let got = bytes.withUnsafeMutableBytes {
                recv(descriptor, $0.baseAddress?.advanced(by: filled), count - filled, 0)
            }
            guard got > 0 else { throw Lost() }
            filled += got
        }
        return bytes
    }

    func length() throws -> Int { try read(4).reduce(0) { $0 << 8 | Int($1) } }

    func send(_ list: PropertyList) throws {
        let body = list.encodeBinary()
        try send(bytes: DeviceLink.length(body.count) + body)
    }

    func receive() throws -> PropertyList { try PropertyList.decode(try read(try length())) }

    // MARK: mobilebackup2

    /// Agrees on versions and gives the host's request.
    func begin() throws -> PropertyList {
        try send(.array([.string("DLMessageVersionExchange"), .integer(400), .integer(0)]))
        let versions = try receive().items
        guard versions?.count == 3, versions?[1] == .string("DLVersionsOk"),
            versions?[2] == .integer(400)
        else { throw Lost() }
        try send(.array([.string("DLMessageDeviceReady")]))
        guard try receive().items?[1]["MessageName"] == .string("Hello") else { throw Lost() }
        try send(
            .array([
                .string("DLMessageProcessMessage"),
                .dictionary([
                    "MessageName": .string("Response"), "ErrorCode": .integer(0),
                    "ProtocolVersion": .real(2.1),
                ]),
            ]))
        let request = try receive().items
        guard request?[0] == .string("DLMessageProcessMessage"), let fields = request?[1] else {
            throw Lost()
        }
        return fields
    }

    /// Sends a message and gives the host's status: code, text and payload.
    @discardableResult
    func ask(_ items: PropertyList...) throws -> [PropertyList] {
        try send(.array(items))
        return try status()
    }

    func status() throws -> [PropertyList] {
        guard let items = try receive().items, items.count == 4,
            items[0] == .string("DLMessageStatusResponse")
        else { throw Lost() }
        return Array(items.dropFirst())
    }

    /// Uploads files in blocks of `block` bytes; nil content is a file that cannot be read.
    @discardableResult
    func upload(
        _ files: [(String, [UInt8]?)], block: Int = 50_000
    ) throws -> [PropertyList] {
        try send(
            .array([
                .string("DLMessageUploadFiles"), .dictionary([:]), .real(12.5), .integer(1_000),
            ]))
        for (path, content) in files { try uploadOne(path, content, block) }
        try send(bytes: DeviceLink.length(0))
        return try status()
    }

    func uploadOne(_ path: String, _ content: [UInt8]?, _ block: Int) throws {
        let devicePath = Array("/private/var/\(path)".utf8)
        try send(bytes: DeviceLink.length(devicePath.count) + devicePath)
        try send(bytes: DeviceLink.length(path.utf8.count) + Array(path.utf8))
        guard let content else {
            let words = Array("Permission denied".utf8)
            return try send(bytes: DeviceLink.length(words.count + 1) + [0x0B] + words)
        }
        var rest = content[...]
        while !rest.isEmpty {
            let piece = rest.prefix(block)
            rest = rest.dropFirst(block)
            try send(bytes: DeviceLink.length(piece.count + 1) + [0x0C] + piece)
        }
        try send(bytes: DeviceLink.length(1) + [0x00])
    }

    /// Downloads files: by path the content, nil where the host had none; the largest block seen.
    func download(
        _ paths: [String]
    ) throws -> (files: [String: [UInt8]?], largest: Int, status: [PropertyList]) {
        try send(
            .array([
                .string("DLMessageDownloadFiles"), .array(paths.map { .string($0) }),
                .dictionary([:]),
                .real(0),
            ]))
        var files: [String: [UInt8]?] = [:]
        var largest = 0
        while true {
            let count = try length()
            guard count > 0 else { break }
            let path = String(decoding: try read(count), as: UTF8.self)
            var content: [UInt8]? = []
            blocks: while true {
                let size = try length()
                let block = try read(size)
                largest = max(largest, size - 1)
                switch block[0] {
                case 0x0C: content? += block.dropFirst()
                case 0x00: break blocks
                default:
                    content = nil
                    break blocks
                }
            }
            files[path] = .some(content)
        }
        return (files, largest, try status())
    }

    /// Says how the job ended and waits for the host's goodbye.
    func end(_ code: Int64 = 0, _ description: String = "") throws {
        try send(
            .array([
                .string("DLMessageProcessMessage"),
                .dictionary([
                    "MessageName": .string("Response"), "ErrorCode": .integer(code),
                    "ErrorDescription": .string(description), "Content": .dictionary([:]),
                ]),
            ]))
        _ = try waitForGoodbye()
    }

    /// Waits until the host leaves; whether it did so politely.
    func waitForGoodbye() throws -> Bool {
        try receive()
            == .array([
                .string("DLMessageDisconnect"), .string("___EmptyParameterString___"),
            ])
    }
}
