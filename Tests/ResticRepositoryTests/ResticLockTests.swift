import BackupCore
import Foundation
import ResticFormat
import ResticRepository
import Testing

/// Locks of ours and of real restic processes respect each other.
@Suite(.enabled(if: Restic.isInstalled))
struct ResticLockTests {
    @Test func resticRespectsOurLocks() async throws {
        let folder = try TemporaryFolder()
        let restic = Restic(repository: folder.url.appendingPathComponent("repository"))
        let backend = try DirectoryBackend(restic.repository)
        let key = try await makeRepository(on: backend).masterKey
        let file = folder.url.appendingPathComponent("file")
        try Data([1, 2, 3]).write(to: file)

        let exclusive = try await acquire(backend, key, exclusive: true)
        let refused = try restic.run("backup", file.path)
        #expect(refused.status != 0)
        #expect(refused.output.contains("already locked exclusively"), "\(refused.output)")
        await exclusive.release()

        let shared = try await acquire(backend, key, exclusive: false)
        let granted = try restic.run("backup", file.path)
        #expect(granted.status == 0, "\(granted.output)")
        let prune = try restic.run("prune")
        #expect(prune.status != 0)
        #expect(prune.output.contains("already locked"), "\(prune.output)")
        await shared.release()
        let free = try restic.run("prune")
        #expect(free.status == 0, "\(free.output)")
    }

    @Test func weRespectTheLockOfARunningRestic() async throws {
        let folder = try TemporaryFolder()
        let restic = Restic(repository: folder.url.appendingPathComponent("repository"))
        let backend = try DirectoryBackend(restic.repository)
        let key = try await makeRepository(on: backend).masterKey
        // It holds a shared lock until its standard input ends.
        let running = try restic.start(["backup", "--stdin"])
        while try await backend.list(.lock).isEmpty, running.process.isRunning {
            await Task.yield()
        }
        #expect(running.process.isRunning)

        do throws(BackendError) {
            _ = try await acquire(backend, key, exclusive: true)
            Issue.record("an exclusive lock was granted beside a running backup")
        } catch {
            #expect(error.code == .locked)
            #expect(error.detail.contains("\(running.process.processIdentifier)"))
        }
        let shared = try await acquire(backend, key, exclusive: false)
        await shared.release()

        try running.input.fileHandleForWriting.write(contentsOf: Data([1]))
        try running.input.fileHandleForWriting.close()
        let output = running.output.fileHandleForReading.readDataToEndOfFile()
        running.process.waitUntilExit()
        #expect(
            running.process.terminationStatus == 0, "\(String(decoding: output, as: UTF8.self))")
        let exclusive = try await acquire(backend, key, exclusive: true)
        await exclusive.release()
        #expect(try await backend.list(.lock).isEmpty)
    }

    private func acquire(
        _ backend: DirectoryBackend, _ key: MasterKey, exclusive: Bool
    ) async throws(BackendError) -> RepositoryLock {
        let clock = RealClock()
        return try await RepositoryLock.acquire(
            on: backend, masterKey: key, exclusive: exclusive, host: .current(), clock: clock,
            memory: ProcessLockMemory(clock: clock), diary: Diary().closures)
    }
}
