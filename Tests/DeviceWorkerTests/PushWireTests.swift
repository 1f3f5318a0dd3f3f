import BackupCore
import DeviceTestKit
import Synchronization
import TestKit
import Testing

@testable import DeviceWorker

/// The operations of a phone that drives, as bytes, and what a worker that was taken over may send
/// in their place.
@Suite struct PushWireTests {
    private static let path = EntryPath(text: "Backup/x/é")
    private static let entry = CaptureTreeEntry(
        name: "n", isFolder: true, byteCount: .max, modified: Timestamp(seconds: -5))
    static let operations: [PushOperation] = [
        .makeDirectory(path), .beginFile(path), .piece([1, 2, 3]), .endFile,
        .dropFile(reason: "why"), .copy(path, to: EntryPath(["a"])),
        .move(path, to: EntryPath(["a"])), .remove(path), .notice(code: "c", message: "m"),
        .progress(RunProgress(phase: .reading, filesDone: 3, bytesDone: 4, bytesTotal: 5)),
        .settle, .freeBytes, .list(path), .stat(path), .read(path), .more, .stopReading,
    ]

    @Test func operationsComeBackAsTheyWent() throws {
        for operation in Self.operations {
            var writer = WireWriter()
            writer.operation(.makeDirectory(Self.path))
            writer.operation(operation)
            var reader = WireReader(writer.bytes)
            #expect(try reader.operations() == [.makeDirectory(Self.path), operation])
        }
    }

    @Test func nothingMayFollowAQuestion() throws {
        for operation in Self.operations {
            var writer = WireWriter()
            writer.operation(operation)
            writer.operation(.endFile)
            var reader = WireReader(writer.bytes)
            let result = Result { try reader.operations() }
            #expect((try? result.get()) != nil || operation.wantsAnswer)
            #expect((try? result.get()) == nil || !operation.wantsAnswer)
        }
    }

    private final class Count: Sendable {
        private let number = Mutex(0)
        func add() { number.withLock { $0 += 1 } }
        var value: Int { number.withLock { $0 } }
    }

    /// A slow drive holds a fast phone back: few frames wait, and one that is taken makes room for
    /// one.
    @Test func onlyAFewFramesWait() async throws {
        let feed = PushFeed { _ in }
        let given = Count()
        let phone = Task {
            while await feed.isFrameWanted() {
                await feed.give([.makeDirectory(Self.path)])
                given.add()
            }
        }
        func settled(at count: Int) async throws -> Int {
            for _ in 0..<500 where given.value < count {
                try await Task.sleep(for: .milliseconds(10))
            }
            try await Task.sleep(for: .milliseconds(50))
            return given.value
        }
        #expect(try await settled(at: 8) == 8)
        _ = try await feed.next()
        #expect(try await settled(at: 9) == 9)
        await feed.close()
        await phone.value
    }

    @Test(arguments: [
        PushAnswer.done, .number(.max), .entry(nil), .entry(entry), .refused(.noEntry, "w"),
        .refused(.notDirectory, ""), .refused(.unreadable, "x"), .refused(.other, "y"),
    ])
    func answersComeBackAsTheyWent(answer: PushAnswer) throws {
        var writer = WireWriter()
        writer.answer(answer)
        var reader = WireReader(writer.bytes)
        #expect(try reader.answer() == answer)
        try reader.end()
    }

    @Test(arguments: [
        PushedJob.backup, .changePassword(from: nil, to: "a"), .changePassword(from: "b", to: nil),
        .restore(PhoneRestore(source: "u", password: "p", isMigration: true, byteCount: 7)),
    ])
    func jobsComeBackAsTheyWent(job: PushedJob) throws {
        var writer = WireWriter()
        writer.job(job)
        var reader = WireReader(writer.bytes)
        #expect(try reader.job() == job)
        try reader.end()
    }

    private static func path(_ names: [[UInt8]]) -> [UInt8] {
        var writer = WireWriter()
        writer.unsigned8(UInt8(names.count))
        for name in names { writer.blob(name, limit: 65_535) }
        return writer.bytes
    }

    @Test(arguments: [
        [99],  // no known kind
        [2] + path([]),  // the root as a file
        [2] + path([[0x2E, 0x2E]]),  // ..
        [2] + path([[0x61, 0x2F, 0x62]]),  // a/b in one name
        [2] + path([[0x61, 0]]), [2] + path([[UInt8](repeating: 0x61, count: 300)]),
        [2, 200], [2],  // a path cut short
        [3, 0, 0, 0, 0],  // an empty piece
        [3, 0xFF, 0xFF, 0xFF, 0xFF],  // a piece of 4 GiB
        [3, 1, 0, 0, 0, 7],  // content of no file
        [4], [5, 0, 0],  // the end of no file
        [2] + path([[0x61]]) + [2] + path([[0x61]]),  // a file within a file
        [2] + path([[0x61]]) + [8] + path([[0x61]]),  // something else within a file
        [16, 16],  // more after a question
    ])
    func hostileOperationsEndTheCapture(bytes: [UInt8]) async throws {
        let frames =
            HostileWorkerTests.greeting + HostileWorkerTests.frame(.operations, 1, bytes)
            + HostileWorkerTests.frame(.finished, 1)
        let session = try await HostileWorkerTests.session(sending: frames)
        await #expect(throws: SaveError.self) {
            try await session.drive(
                .backup, over: Swallowing(), events: { _ in })
        }
        await session.close()
    }

    @Test func anEndWithinAFileIsNoSuccess() async throws {
        let frames =
            HostileWorkerTests.greeting
            + HostileWorkerTests.frame(.operations, 1, [2] + Self.path([[0x61]]))
            + HostileWorkerTests.frame(.finished, 1)
        let session = try await HostileWorkerTests.session(sending: frames)
        await #expect(throws: SaveError.self) {
            try await session.drive(.backup, over: Swallowing(), events: { _ in })
        }
        await session.close()
    }
}

/// A builder that takes everything and keeps nothing.
private struct Swallowing: SnapshotBuilder {
    func list(_ path: EntryPath) async throws(RepositoryError) -> [TreeNode] { [] }
    func stat(_ path: EntryPath) async throws(RepositoryError) -> TreeNode? { nil }
    func read(
        _ path: EntryPath
    ) async throws(RepositoryError) -> ByteSource<RepositoryError> {
        ByteSource(next: { () async throws(RepositoryError) in nil })
    }
    func makeDirectory(
        _ path: EntryPath, modified: Timestamp?
    ) async throws(RepositoryError) {}
    func keep(_ node: TreeNode, at path: EntryPath) async throws(RepositoryError) {}
    func put(
        _ source: ByteSource<DeviceError>, at path: EntryPath, modified: Timestamp
    ) async throws(SaveError) -> SavedContent {
        do throws(DeviceError) {
            while try await source.next() != nil {}
        } catch {
            await source.close()
            throw .source(error)
        }
        await source.close()
        return SavedContent(content: [], byteCount: 0, addedBytes: 0)
    }
    func copy(_ path: EntryPath, to target: EntryPath) async throws(RepositoryError) {}
    func move(_ path: EntryPath, to target: EntryPath) async throws(RepositoryError) {}
    func remove(_ path: EntryPath) async throws(RepositoryError) {}
    func freeBytes() async -> UInt64 { 0 }
    func finish() async throws(RepositoryError) -> ContentID {
        throw RepositoryError(.notFound, "nothing")
    }
}
