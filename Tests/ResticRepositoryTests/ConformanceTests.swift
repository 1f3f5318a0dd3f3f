import BackupCore
import ResticFormat
import ResticRepository
import TestKit
import Testing

@Suite struct ConformanceTests {
    @Test func theRepositoryKeepsThePromisesOfItsPort() async throws {
        try await SnapshotRepositoryConformance.check {
            let backend = MemoryBackend(copyCount: 2)
            let key = try await makeRepository(on: backend).masterKey
            return try await openMemoryRepository(backend, key)
        }
    }
}
