import BackupCore
import TestKit
import Testing

/// The kit's own parts keep the ports' promises, so that what is tested with them holds.
@Suite struct TestKitTests {
    @Test func theMemoryRepositoryConforms() async throws {
        try await SnapshotRepositoryConformance.check { MemoryRepository() }
    }

    @Test func theMemoryBackendConforms() async throws {
        try await RepositoryBackendConformance.check(hash: testHash) {
            MemoryBackend(drives: [DriveID(trusted: "a"), DriveID(trusted: "b")])
        }
    }

    @Test func theRecordingTargetConforms() async throws {
        try await RestoreTargetConformance.check {
            let target = RecordingTarget()
            return (target, { await target.files[$0.description]?.bytes })
        }
    }

    @Test func aBackendOfWhichOneDriveFailsGoesOnAndTellsIt() async throws {
        let backend = MemoryBackend(drives: [DriveID(trusted: "a"), DriveID(trusted: "b")])
        var faults = MemoryBackend.Faults()
        faults.failAfterWrites = 1
        await backend.setFaults(faults, copy: 1)
        for byte in [UInt8(1), 2, 3] {
            try await backend.write(FileName(.data, testHash([byte])), [byte])
        }
        #expect(await backend.contents(copy: 0).count == 3)
        #expect(await backend.contents(copy: 1).count == 1)
        let states = await backend.receipts().map(\.state.isDurable)
        #expect(states == [true, false])
        #expect(try await backend.list(.data).count == 3)
    }
}
