package import BackupCore
internal import Testing

/// What every ``RepositoryBackend`` must do. `hash` is the hash that names files (SHA-256 for real
/// ones).
package enum RepositoryBackendConformance {
    /// Runs all claims, each on an empty backend of its own.
    package static func check(
        hash: @Sendable ([UInt8]) -> ContentID,
        _ make: () async throws -> any RepositoryBackend
    ) async throws {
        try await filesComeBack(try await make(), hash)
        try await rangesComeBack(try await make(), hash)
        try await missingFilesAreToldApart(try await make())
        try await locksCanBeRemoved(try await make(), hash)
        try await writingTwiceIsOneFile(try await make(), hash)
    }

    private static func filesComeBack(
        _ backend: any RepositoryBackend, _ hash: ([UInt8]) -> ContentID
    ) async throws {
        var numbers = SeededNumbers(seed: 21)
        for kind in FileKind.allCases where kind != .config {
            let bytes = numbers.bytes(3000)
            let name = FileName(kind, hash(bytes))
            try await backend.write(name, bytes)
            try await backend.flush()
            let listed = try await backend.list(kind)
            #expect(listed == [StoredFile(name: name, byteCount: 3000)])
            for copy in 0..<backend.copyCount {
                #expect(try await backend.read(name, range: nil, copy: copy) == bytes)
            }
        }
        let areDurable = await backend.receipts().allSatisfy(\.state.isDurable)
        #expect(areDurable)
    }

    private static func rangesComeBack(
        _ backend: any RepositoryBackend, _ hash: ([UInt8]) -> ContentID
    ) async throws {
        var numbers = SeededNumbers(seed: 22)
        let bytes = numbers.bytes(10_000)
        let name = FileName(.data, hash(bytes))
        try await backend.write(name, bytes)
        try await backend.flush()
        for range: Range<UInt64> in [0..<1, 9_999..<10_000, 100..<5_000, 0..<10_000] {
            let part = try await backend.read(name, range: range, copy: 0)
            #expect(part == Array(bytes[Int(range.lowerBound)..<Int(range.upperBound)]))
        }
        await #expect(throws: BackendError.self) {
            try await backend.read(name, range: 9_000..<10_001, copy: 0)
        }
    }

    private static func missingFilesAreToldApart(_ backend: any RepositoryBackend) async throws {
        let name = FileName(.index, ContentID(words: (9, 9, 9, 9)))
        do {
            _ = try await backend.read(name, range: nil, copy: 0)
            Issue.record("a file that is nowhere was read")
        } catch {
            #expect(error.code == .noSuchFile)
        }
        #expect(try await backend.list(.index).isEmpty)
    }

    private static func locksCanBeRemoved(
        _ backend: any RepositoryBackend, _ hash: ([UInt8]) -> ContentID
    ) async throws {
        let bytes: [UInt8] = [1, 2, 3]
        let name = FileName(.lock, hash(bytes))
        try await backend.write(name, bytes)
        try await backend.flush()
        try await backend.remove(name)
        #expect(try await backend.list(.lock).isEmpty)
        try await backend.remove(name)
    }

    private static func writingTwiceIsOneFile(
        _ backend: any RepositoryBackend, _ hash: ([UInt8]) -> ContentID
    ) async throws {
        let bytes: [UInt8] = [4, 5, 6]
        let name = FileName(.data, hash(bytes))
        try await backend.write(name, bytes)
        try await backend.flush()
        try await backend.write(name, bytes)
        try await backend.flush()
        #expect(try await backend.list(.data).count == 1)
        #expect(try await backend.read(name, range: nil, copy: 0) == bytes)
    }
}
