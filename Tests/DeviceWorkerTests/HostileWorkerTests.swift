import BackupCore
import DeviceTestKit
import Testing

@testable import DeviceWorker

/// A worker that a phone has taken over may send anything: the parent ends it and goes on.
@Suite struct HostileWorkerTests {
    static func frame(_ kind: FrameKind, _ request: UInt32, _ body: [UInt8] = []) -> [UInt8] {
        FrameHeader.encode(kind: kind, request: request, bodyLength: body.count) + body
    }
    private static let hello = frame(
        .hello, 0, [UInt8(WireFormat.version & 0xFF), UInt8(WireFormat.version >> 8)])
    static let greeting = hello + frame(.ready, 0)

    static func session(
        sending bytes: [UInt8], mode: String = "raw"
    ) async throws(DeviceError) -> WorkerSession {
        let hex = bytes.map { byte in
            let digits = String(byte, radix: 16)
            return digits.count == 1 ? "0" + digits : digits
        }
        return try await WorkerSession(
            program: helperProgram(), arguments: [mode, hex.joined()], clock: StandingClock(),
            deadlines: WorkerDeadlines())
    }

    @Test(arguments: [
        frame(.hello, 0, [1, 0]), frame(.hello, 0), frame(.ready, 0),
        hello + frame(.storages, 0), [UInt8](repeating: 0xAA, count: 64),
        hello + frame(.ready, 5),
    ])
    func wrongGreetingIsRefused(bytes: [UInt8]) async {
        let error = await deviceError { try await Self.session(sending: bytes) }
        #expect(error?.code == .protocolViolation)
    }

    @Test(arguments: [
        frame(.storages, 1, [0xFF, 0xFF]),  // 65,535 storages announced
        frame(.storages, 1, [1, 0, 7]),  // one, cut short
        frame(.storages, 1, [0, 0, 0]),  // none, and something more
        frame(.attributes, 1, [0, 0]),  // the answer to something else
        frame(.storages, 2, [0, 0]),  // an answer to a question not asked yet
        frame(.close, 1),  // what only a parent says
        frame(.failure, 1, [2, 0, 0x68, 0x69, 0, 0, 0]),  // an error of no known kind
        [0xFF, 0xFF, 0xFF, 0x7F, 0x11, 1, 0, 0, 0],  // 2 GiB announced
    ])
    func wrongAnswerEndsTheWorker(bytes: [UInt8]) async throws {
        let session = try await Self.session(sending: Self.greeting + bytes)
        #expect(await deviceError { try await session.storages() }?.code == .protocolViolation)
        #expect(await deviceError { try await session.attributes() }?.code == .protocolViolation)
        await session.close()
    }

    @Test func listingThatAnnouncesMoreThanItSentIsRefused() async throws {
        var entry = WireWriter()
        entry.entry(WireTests.entries[1])
        let bytes =
            Self.greeting + Self.frame(.entries, 1, entry.bytes)
            + Self.frame(.listed, 1, [2, 0, 0, 0])
        let session = try await Self.session(sending: bytes)
        let error = await deviceError {
            try await session.list(FolderReference(storage: 9, object: nil))
        }
        #expect(error?.code == .protocolViolation)
        await session.close()
    }

    @Test func emptyPieceIsRefused() async throws {
        let session = try await Self.session(sending: Self.greeting + Self.frame(.bytes, 1))
        let error = await deviceError {
            try await allBytes(try await session.read(Script.file(1, nil)))
        }
        #expect(error?.code == .protocolViolation)
        await session.close()
    }

    @Test func pieceBeyondAMebibyteIsRefused() async throws {
        // Announced only: 1 MiB + 1, never sent, so it is the header that is judged in the end.
        let header = FrameHeader.encode(kind: .bytes, request: 1, bodyLength: (4 << 20) + 1)
        let session = try await Self.session(sending: Self.greeting + header)
        let error = await deviceError {
            try await allBytes(try await session.read(Script.file(1, nil)))
        }
        #expect(error?.code == .protocolViolation)
        await session.close()
    }

    @Test(arguments: 0..<12) func seededNoiseEndsInAnError(seed: UInt64) async throws {
        var random = SeededGenerator(seed: seed)
        var bytes = Self.greeting
        for _ in 0..<300 { bytes.append(.random(in: 0...255, using: &random)) }
        let session = try await Self.session(sending: bytes, mode: "noise")
        let error = await deviceError { try await session.storages() }
        #expect(error?.code == .protocolViolation || error?.code == .workerEnded, "seed \(seed)")
        await session.close()
    }
}
