import BackupCore
import BackupEngine
import TestKit
import Testing

/// Captures that the phone drives.
@Suite struct PushedCaptureTests {
    private func world(
        ending: DeviceError? = nil,
        _ script: @escaping @Sendable (any SnapshotBuilder) async throws -> Void
    ) -> World {
        let world = World()
        world.phone.put("Internal/DCIM/a.jpg", [1])
        world.phone.setPushed(ScriptedPushedCapture(ending: ending, script: script))
        return world
    }

    private static func put(
        _ bytes: [UInt8], _ path: String, _ builder: any SnapshotBuilder
    ) async throws {
        _ = try await builder.put(
            SnapshotRepositoryConformance.source(of: bytes), at: EntryPath(text: path),
            modified: Timestamp(seconds: 1_600_000_000))
    }

    @Test func bothCapturesOfAPhoneHaveASnapshotEach() async throws {
        let world = world { try await Self.put([1, 2], "Backup/x/Manifest.db", $0) }
        let report = await world.backup()
        #expect(report.exitCode == .done)
        #expect(report.snapshots.map(\.snapshot.capture) == [.media, .backup])
        #expect(try await world.newestFiles() == ["/Backup/x/Manifest.db": [1, 2]])
        #expect(report.files.new == 2)
    }

    @Test func theNextOneStartsFromTheLastTree() async throws {
        let world = world { builder in
            try await Self.put([1], "Backup/x/one", builder)
            try await Self.put([2], "Backup/x/two", builder)
        }
        await world.backup { $0.capture = .backup }
        world.phone.setPushed(
            ScriptedPushedCapture { builder in
                let source = try await builder.read(EntryPath(text: "Backup/x/one"))
                #expect(try await source.next() == [1])
                await source.close()
                try await builder.move(
                    EntryPath(text: "Backup/x/one"), to: EntryPath(text: "Backup/x/three"))
                try await Self.put([9], "Backup/x/two", builder)
            })
        let report = await world.backup { $0.capture = .backup }
        #expect(report.exitCode == .done)
        #expect(try await world.newestFiles() == ["/Backup/x/three": [1], "/Backup/x/two": [9]])
        #expect(report.files.changed == 1)
        #expect(report.files.new == 1)
        #expect(report.files.removed == 1)
        #expect(report.bytesRead == 1)
    }

    @Test(arguments: [
        (DeviceError.Code.gone, ExitCode.partial), (.waitingForUser, .waitingRanOut),
        (.protocolViolation, .phone), (.refused, .phoneRefused), (.limitExceeded, .phoneLimit),
    ])
    func withoutThePhonesSuccessThereIsNoSnapshot(
        code: DeviceError.Code, exit: ExitCode
    ) async throws {
        let world = world(ending: DeviceError(code, "It did not work")) {
            try await Self.put([1, 2], "Backup/x/half", $0)
        }
        let report = await world.backup()
        #expect(report.exitCode == exit)
        #expect(report.snapshots.map(\.snapshot.capture) == [.media])
    }

    @Test func anUnchangedBackupKeepsItsTree() async throws {
        let world = world { try await Self.put([1, 2], "Backup/x/Manifest.db", $0) }
        let first = await world.backup { $0.capture = .backup }
        let second = await world.backup { $0.capture = .backup }
        #expect(first.snapshots.first?.snapshot.tree == second.snapshots.first?.snapshot.tree)
    }

    @Test func whatThePhoneCouldNotGiveIsNamed() async throws {
        let world = world { try await Self.put([1], "Backup/x/one", $0) }
        var capture = ScriptedPushedCapture { try await Self.put([1], "Backup/x/one", $0) }
        let path = EntryPath(text: "Backup/x/two")
        capture.result.skipped = [.init(path: path, reason: "Permission denied.")]
        capture.result.skippedCount = 3
        world.phone.setPushed(capture)
        let report = await world.backup { $0.capture = .backup }
        #expect(report.exitCode == .someUnreadable)
        #expect(report.skipped.map(\.path) == [path])
        #expect(report.files.skipped == 3)
        #expect(report.files.new == 1)
        #expect(report.snapshots.count == 1)
    }

    @Test func aRepositoryThatFailsIsNotThePhonesFault() async throws {
        let world = world { _ in }
        world.phone.setPushed(FailingCapture())
        let report = await world.backup { $0.capture = .backup }
        #expect(report.exitCode == .driveFull)
        #expect(report.snapshots.isEmpty)
    }
}

/// A capture during which the drives fill up.
private struct FailingCapture: PushedCapture {
    func perform(
        _ job: PushedJob, over builder: any SnapshotBuilder, events: @escaping RunEventSink
    ) async throws(SaveError) -> PushedResult {
        throw .repository(RepositoryError(BackendError(.full, "the drive is full")))
    }
}
