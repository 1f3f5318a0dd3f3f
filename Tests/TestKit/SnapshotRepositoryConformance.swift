package import BackupCore
internal import Testing

/// What every ``SnapshotRepository`` must do. Each implementation's tests run it:
/// `try await SnapshotRepositoryConformance.check { try await makeEmptyRepository() }`.
package enum SnapshotRepositoryConformance {
    /// Runs all claims, each on an empty repository of its own.
    package static func check(
        _ make: () async throws -> any SnapshotRepository
    ) async throws {
        try await contentComesBack(try await make())
        try await knownContentIsNotStoredAgain(try await make())
        try await aFailingSourceIsClosedAndNamed(try await make())
        try await equalFoldersAreOneTree(try await make())
        try await snapshotsComeOldestFirst(try await make())
        try await whatIsMissingIsAnError(try await make())
    }

    private static func contentComesBack(_ repository: any SnapshotRepository) async throws {
        var numbers = SeededNumbers(seed: 7)
        for count in [0, 1, 100_000] {
            let bytes = numbers.bytes(count)
            let saved = try await repository.save(source(of: bytes))
            _ = try await repository.checkpoint()
            #expect(saved.byteCount == UInt64(count))
            #expect(saved.content.isEmpty == bytes.isEmpty)
            #expect(await repository.holds(saved.content))
            var back: [UInt8] = []
            for id in saved.content { back += try await repository.blob(id) }
            #expect(back == bytes)
        }
    }

    private static func knownContentIsNotStoredAgain(
        _ repository: any SnapshotRepository
    ) async throws {
        var numbers = SeededNumbers(seed: 8)
        let bytes = numbers.bytes(50_000)
        let first = try await repository.save(source(of: bytes))
        let second = try await repository.save(source(of: bytes))
        #expect(first.addedBytes == 50_000)
        #expect(second.addedBytes == 0)
        #expect(first.content == second.content)
    }

    private static func aFailingSourceIsClosedAndNamed(
        _ repository: any SnapshotRepository
    ) async throws {
        let closed = Flag()
        let failing = ByteSource<DeviceError>(
            next: { () async throws(DeviceError) in throw DeviceError(.gone, "It went away") },
            close: { closed.raise() })
        do {
            _ = try await repository.save(failing)
            Issue.record("a source that failed was saved")
        } catch SaveError.source(let error) {
            #expect(error.code == .gone)
        }
        #expect(closed.isRaised)
        let after = try await repository.save(source(of: [1, 2, 3]))
        #expect(after.byteCount == 3)
    }

    private static func equalFoldersAreOneTree(_ repository: any SnapshotRepository) async throws {
        let saved = try await repository.save(source(of: [1]))
        let date = Timestamp(seconds: 1_500_000_000, nanoseconds: 5)
        let nodes = [
            TreeNode.file("b", modified: date, byteCount: 1, content: saved.content),
            TreeNode.file("a", modified: date, byteCount: 1, content: saved.content),
        ]
        let first = try await repository.save(tree: nodes)
        let second = try await repository.save(tree: nodes.reversed())
        #expect(first == second)
        try await repository.checkpoint()
        #expect(try await repository.tree(first).map(\.name) == ["a", "b"])
        #expect(try await repository.tree(first).map(\.modified) == [date, date])
        #expect(await repository.holds(tree: first))
        let empty = try await repository.save(tree: [])
        try await repository.checkpoint()
        #expect(try await repository.tree(empty).isEmpty)
    }

    private static func snapshotsComeOldestFirst(
        _ repository: any SnapshotRepository
    ) async throws {
        let tree = try await repository.save(tree: [])
        #expect(try await repository.snapshots().isEmpty)
        for seconds in [Int64(300), 100, 200] {
            let draft = SnapshotDraft.of(
                phone: PhoneID(trusted: "android-0123456789abcdef"), capture: .media,
                run: RunID(trusted: "r\(seconds)"), partial: seconds == 100, tree: tree,
                parent: nil, time: Timestamp(seconds: 1_500_000_000 + seconds),
                utcOffsetSeconds: 3600, hostname: "box")
            let committed = try await repository.commit(draft)
            #expect(committed.snapshot.draft == draft)
        }
        let found = try await repository.snapshots()
        #expect(Set(found.compactMap(\.run?.rawValue)) == ["r100", "r200", "r300"])
        #expect(found.filter(\.isPartial).compactMap(\.run?.rawValue) == ["r100"])
    }

    private static func whatIsMissingIsAnError(_ repository: any SnapshotRepository) async throws {
        let nowhere = ContentID(words: (1, 2, 3, 4))
        #expect(await !repository.holds([nowhere]))
        #expect(await !repository.holds(tree: nowhere))
        await #expect(throws: RepositoryError.self) { try await repository.tree(nowhere) }
        await #expect(throws: RepositoryError.self) { try await repository.blob(nowhere) }
    }

    /// A source of these bytes in uneven pieces.
    package static func source(of bytes: [UInt8]) -> ByteSource<DeviceError> {
        let rest = Rest(bytes)
        return ByteSource(next: { () async throws(DeviceError) in rest.next(7_001) })
    }
}
