import BackupCore
import Testing

@testable import ApplePhone

/// A connection whose other end answers each write at once.
final class ScriptedConnection: ServiceConnection {
    /// Gives the answer to a request.
    var answer: ([UInt8]) -> [UInt8]
    private(set) var requests: [[UInt8]] = []
    private(set) var isClosed = false
    /// The most bytes that were asked for at once.
    private(set) var largestRead = 0
    private var input: [UInt8] = []

    init(_ answer: @escaping ([UInt8]) -> [UInt8]) { self.answer = answer }

    func read(_ count: Int, within limit: Duration) throws(DeviceError) -> [UInt8] {
        largestRead = max(largestRead, count)
        guard count <= input.count else { throw DeviceError(.gone, "The phone hung up") }
        defer { input.removeFirst(count) }
        return Array(input.prefix(count))
    }

    func write(_ bytes: [UInt8], within limit: Duration) throws(DeviceError) {
        guard !isClosed else { throw DeviceError(.gone, "closed") }
        requests.append(bytes)
        input += answer(bytes)
    }

    func hasInput(within limit: Duration) throws(DeviceError) -> Bool { !input.isEmpty }
    func close() { isClosed = true }
}

/// An answer's bytes; lengths may lie.
private func packet(
    _ operation: UInt64, _ body: [UInt8], to request: [UInt8], entire: UInt64? = nil,
    own: UInt64 = 40, number: UInt64? = nil
) -> [UInt8] {
    Array("CFA6LPAA".utf8) + AFC.bytes(entire ?? UInt64(40 + body.count)) + AFC.bytes(own)
        + (number.map(AFC.bytes) ?? Array(request[24..<32])) + AFC.bytes(operation) + body
}

/// The file service's client: what it asks and what it makes of answers.
@Suite struct AFCTests {
    private func client(
        _ answer: @escaping ([UInt8]) -> [UInt8]
    ) -> (client: AFCClient, line: ScriptedConnection) {
        let line = ScriptedConnection(answer)
        return (AFCClient(line), line)
    }

    private func code<Value>(_ body: () throws(DeviceError) -> Value) -> DeviceError.Code? {
        do throws(DeviceError) {
            _ = try body()
            return nil
        } catch { return error.code }
    }

    @Test func namesComeWithoutTheFoldersThemselves() throws {
        let (client, line) = client { request in
            packet(2, Array(".\0..\0DCIM\0Caf\u{E9}\0\0".utf8), to: request)
        }
        #expect(try client.list(EntryPath(["a", "b"])) == ["DCIM", EntryName("Caf\u{E9}")])
        #expect(line.requests.first?.dropFirst(40).elementsEqual("/a/b\0".utf8) == true)
        #expect(line.requests.first?[32] == 3)
    }

    @Test func datesAreNanoseconds() throws {
        let (client, _) = client { request in
            packet(
                2,
                Array(
                    ("st_size\0" + "5000000000\0st_ifmt\0S_IFREG\0st_mtime\0"
                        + "1700000000123456789\0").utf8), to: request)
        }
        let info = try client.info(EntryPath(["a"]))
        #expect(info.kind == .file)
        #expect(info.byteCount == 5_000_000_000)
        #expect(info.modified == Timestamp(seconds: 1_700_000_000, nanoseconds: 123_456_789))
    }

    @Test func aLinkIsNeitherFileNorFolder() throws {
        let (client, _) = client { request in
            packet(
                2,
                Array(
                    ("st_ifmt\0S_IFLNK\0LinkTarget\0/etc/passwd\0st_size\0" + "1\0st_mtime\0"
                        + "-1\0").utf8), to: request)
        }
        let info = try client.info(EntryPath(["a"]))
        #expect(info.kind == .other)
        #expect(info.modified == Timestamp(seconds: -1, nanoseconds: 999_999_999))
    }

    @Test(arguments: [
        "", "st_ifmt", "st_size\u{0}1\u{0}st_mtime\u{0}1",
        "st_ifmt\u{0}S_IFREG\u{0}st_size\u{0}-1\u{0}st_mtime\u{0}1",
        "st_ifmt\u{0}S_IFREG\u{0}st_size\u{0}1\u{0}st_mtime\u{0}99999999999999999999",
        "st_ifmt\u{0}S_IFREG\u{0}st_size\u{0}\u{0}st_mtime\u{0}1",
    ])
    func whatMakesNoSenseIsUnreadable(text: String) {
        let (client, line) = client { packet(2, Array(text.utf8) + [0], to: $0) }
        #expect(code { () throws(DeviceError) in try client.info(EntryPath(["a"])) } == .unreadable)
        #expect(!line.isClosed)
    }

    @Test(
        arguments: [
            (8, .unreadable), (10, .unreadable), (9, .unreadable), (18, .noSpace), (19, .busy),
            (30, .gone), (2, .unreadable), (32, .unreadable), (999, .unreadable),
        ] as [(UInt64, DeviceError.Code)])
    func statusesBecomeErrors(status: UInt64, expected: DeviceError.Code) {
        let (client, line) = client { packet(1, AFC.bytes(status), to: $0) }
        #expect(code { () throws(DeviceError) in try client.list(.root) } == expected)
        // After these the stream has no known place any more.
        #expect(line.isClosed == [2, 30, 32].contains(status))
    }

    @Test func announcedLengthsAreCheckedBeforeTheyAreRead() {
        let lengths: [(entire: UInt64, own: UInt64)] = [
            (.max, 40), (UInt64(1) << 40, 40), (4 << 30, 40), (39, 39), (0, 0), (40, 41), (48, 60),
            (.max, .max), (UInt64(70) << 20, 40),
        ]
        for (entire, own) in lengths {
            let (client, line) = client {
                packet(2, [1, 2, 3], to: $0, entire: entire, own: own)
            }
            let code = code { () throws(DeviceError) in try client.list(.root) }
            #expect(code == .protocolViolation || code == .limitExceeded, "\(entire) \(own)")
            #expect(line.largestRead == 40)
            #expect(line.isClosed)
        }
    }

    @Test func contentBeyondWhatWasAskedForIsRefused() {
        let (client, _) = client { request in
            request[32] == 0x0D
                ? packet(0x0E, AFC.bytes(7), to: request)
                : packet(2, [UInt8](repeating: 1, count: 11), to: request)
        }
        let code = code { () throws(DeviceError) in
            try client.read(try client.open(.root, .read), 10)
        }
        #expect(code == .limitExceeded)
    }

    @Test func anAnswerToAnotherQuestionIsRefused() {
        let (client, _) = client { packet(2, [], to: $0, number: 99) }
        #expect(code { () throws(DeviceError) in try client.list(.root) } == .protocolViolation)
    }

    @Test func anAnswerOfAWrongKindIsRefused() {
        for operation in [UInt64(0), 3, 0x0E, 0x99, .max] {
            let (client, _) = client { packet(operation, AFC.bytes(7), to: $0) }
            #expect(code { () throws(DeviceError) in try client.list(.root) } == .protocolViolation)
        }
    }

    @Test func aFileWithoutANumberIsRefused() {
        let (first, _) = client { packet(0x0E, [1, 2], to: $0) }
        #expect(
            code { () throws(DeviceError) in try first.open(.root, .read) } == .protocolViolation)
        let (second, _) = client { packet(1, AFC.bytes(0), to: $0) }
        #expect(
            code { () throws(DeviceError) in try second.open(.root, .read) } == .protocolViolation)
    }

    @Test func aNameLongerThanAnyIsRefused() {
        let (client, _) = client { request in
            packet(2, [UInt8](repeating: 0x61, count: 5000) + [0], to: request)
        }
        #expect(code { () throws(DeviceError) in try client.list(.root) } == .limitExceeded)
    }

    @Test func aLineThatEndsEndsTheClient() {
        let (client, line) = client { Array(packet(2, [1, 2, 3], to: $0).dropLast()) }
        #expect(code { () throws(DeviceError) in try client.list(.root) } == .gone)
        #expect(line.isClosed)
        #expect(code { () throws(DeviceError) in try client.list(.root) } == .gone)
        #expect(line.requests.count == 1)
    }

    @Test func locksAndPlacesTravelAsTheServiceWantsThem() throws {
        let (client, line) = client { request in
            request[32] == 0x0D
                ? packet(0x0E, AFC.bytes(7), to: request) : packet(1, AFC.bytes(0), to: request)
        }
        let handle = try client.open(EntryPath(["x"]), .readWrite)
        try client.lock(handle, .exclusive)
        try client.seek(handle, to: 1 << 33)
        try client.lock(handle, .release)
        try client.close(handle)
        let arguments = line.requests.map { Array($0.dropFirst(40)) }
        #expect(arguments[0] == AFC.bytes(2) + Array("/x\0".utf8))
        #expect(arguments[1] == AFC.bytes(7) + AFC.bytes(2 | 4))
        #expect(arguments[2] == AFC.bytes(7) + AFC.bytes(0) + AFC.bytes(1 << 33))
        #expect(arguments[3] == AFC.bytes(7) + AFC.bytes(8 | 4))
        #expect(arguments[4] == AFC.bytes(7))
    }
}
