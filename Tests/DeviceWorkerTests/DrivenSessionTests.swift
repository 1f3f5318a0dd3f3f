import BackupCore
import BackupEngine
import DeviceTestKit
import TestKit
import Testing

@testable import DeviceWorker

/// Captures that the phone drives, through a real process.
@Suite struct DrivenSessionTests {
    private let repository = MemoryRepository()
    private let events = EventRecorder()

    private func drive(
        _ job: PushedJob, over builder: (any SnapshotBuilder)? = nil
    ) async throws(SaveError) -> PushedResult {
        let session: WorkerSession
        do {
            session = try await WorkerSession(
                program: helperProgram(), arguments: ["scripted"], clock: StandingClock(),
                deadlines: WorkerDeadlines(), captures: [.media, .backup])
        } catch {
            throw .source(error)
        }
        do throws(SaveError) {
            let result = try await session.drive(
                job, over: builder ?? TreeSnapshotBuilder(repository: repository),
                events: events.sink)
            await session.close()
            return result
        } catch {
            await session.close()
            throw error
        }
    }

    @Test func everythingThatIsAskedForIsDone() async throws {
        let builder = TreeSnapshotBuilder(repository: repository)
        let result = try await drive(.backup, over: builder)
        #expect(
            result.skipped == [
                .init(
                    path: EntryPath(text: "Backup/x/lost"), reason: "The phone could not read it.")
            ])
        #expect(result.skippedCount == 1)
        let files = try await repository.files(of: try await builder.finish())
        // 2,000 small files less a removed and plus a copied folder of 125, big and after.
        #expect(files.count == 2002)
        #expect(files["/Backup/x/moved/f19"] == [UInt8](repeating: 19, count: 19))
        #expect(files["/Backup/x/copy/f1987"]?.count == 1987)
        #expect(files["/Backup/x/4/f4"] == nil)
        #expect(files["/Backup/x/after"] == [3])
        #expect(files["/Backup/x/big"]?.count == 6_000_000)
        #expect(events.notices == ["waiting_for_user"])
        #expect(events.progress.contains { $0.filesDone == 2001 && $0.bytesDone == 7 })
    }

    @Test func aJobsWordsCrossTheProcess() async throws {
        let builder = TreeSnapshotBuilder(repository: repository)
        _ = try await drive(.changePassword(from: nil, to: "né w"), over: builder)
        let files = try await repository.files(of: try await builder.finish())
        #expect(files["/Backup/x/words"].map { String(decoding: $0, as: UTF8.self) } == "- né w")
    }

    private func source(_ error: SaveError?) -> DeviceError? {
        if case .source(let error)? = error { error } else { nil }
    }

    private func failure(
        _ source: String, over builder: (any SnapshotBuilder)? = nil
    ) async -> SaveError? {
        let restore = PhoneRestore(source: source, password: nil, isMigration: false, byteCount: 0)
        do throws(SaveError) {
            _ = try await drive(.restore(restore), over: builder)
            return nil
        } catch {
            return error
        }
    }

    @Test func aWorkerThatEndsWithinAFileIsAnError() async {
        #expect(source(await failure("exits"))?.code == .workerEnded)
    }

    @Test func thePhonesErrorArrivesAsItWas() async {
        let error = source(await failure("fails"))
        #expect(
            error == DeviceError(.wrongPassword, "Not that one", nativeCode: 207, advice: "Ask."))
    }

    @Test func aRunThatIsCancelledStopsTheWorker() async throws {
        let task = Task { await failure("waits") }
        // Whether the worker has begun or not, the end is the same.
        task.cancel()
        #expect(source(await task.value)?.code == .cancelled)
    }

    @Test func aRepositoryThatFailsStopsTheWorker() async {
        let builder = FailingBuilder()
        guard case .repository(let error)? = await failure("floods", over: builder) else {
            Issue.record("no error of the repository")
            return
        }
        #expect(error.code == .noDrive)
    }
}

/// A builder whose drives are gone.
private struct FailingBuilder: SnapshotBuilder {
    private static let gone = RepositoryError(.noDrive, "no drive")

    func list(_ path: EntryPath) async throws(RepositoryError) -> [TreeNode] { throw Self.gone }
    func stat(_ path: EntryPath) async throws(RepositoryError) -> TreeNode? { throw Self.gone }
    func read(
        _ path: EntryPath
    ) async throws(RepositoryError) -> ByteSource<RepositoryError> { throw Self.gone }
    func makeDirectory(
        _ path: EntryPath, modified: Timestamp?
    ) async throws(RepositoryError) { throw Self.gone }
    func keep(_ node: TreeNode, at path: EntryPath) async throws(RepositoryError) {
        throw Self.gone
    }
    func put(
        _ source: ByteSource<DeviceError>, at path: EntryPath, modified: Timestamp
    ) async throws(SaveError) -> SavedContent {
        _ = try? await source.next()
        await source.close()
        throw .repository(Self.gone)
    }
    func copy(_ path: EntryPath, to target: EntryPath) async throws(RepositoryError) {
        throw Self.gone
    }
    func move(_ path: EntryPath, to target: EntryPath) async throws(RepositoryError) {
        throw Self.gone
    }
    func remove(_ path: EntryPath) async throws(RepositoryError) { throw Self.gone }
    func freeBytes() async -> UInt64 { 0 }
    func finish() async throws(RepositoryError) -> ContentID { throw Self.gone }
}
