package import BackupCore
internal import Testing

/// What every ``RestoreTarget`` must do. `readBack` gives what stands at a path now, nil when
/// there is no file.
package enum RestoreTargetConformance {
    /// Runs all claims on empty targets that were not told to overwrite.
    package static func check(
        _ make: () async throws -> (
            target: any RestoreTarget, readBack: (EntryPath) async throws -> [UInt8]?
        )
    ) async throws {
        for count in [0, 1, 2_500_000] {
            let (target, readBack) = try await make()
            var numbers = SeededNumbers(seed: UInt64(count))
            let bytes = numbers.bytes(count)
            let path = EntryPath(["folder", "file"])
            try await target.makeDirectory(path.parent)
            try await target.makeDirectory(path.parent)
            try await write(bytes, path, target)
            try await target.finishDirectory(
                path.parent, modified: Timestamp(seconds: 1_000_000_000), mode: nil)
            #expect(try await readBack(path) == bytes)
        }
        try await whatExistsIsNotReplaced(try await make())
        try await aFailingSourceLeavesNothing(try await make())
    }

    private static func whatExistsIsNotReplaced(
        _ made: (target: any RestoreTarget, readBack: (EntryPath) async throws -> [UInt8]?)
    ) async throws {
        let path = EntryPath(["file"])
        try await write([1], path, made.target)
        do {
            try await write([2], path, made.target)
            Issue.record("an existing file was replaced")
        } catch {
            #expect((error as? RestoreError)?.code == .exists)
        }
        #expect(try await made.readBack(path) == [1])
    }

    private static func aFailingSourceLeavesNothing(
        _ made: (target: any RestoreTarget, readBack: (EntryPath) async throws -> [UInt8]?)
    ) async throws {
        let path = EntryPath(["file"])
        let rest = Rest([1, 2, 3])
        let closed = Flag()
        let source = ByteSource<RepositoryError>(
            next: { () async throws(RepositoryError) in
                guard let piece = rest.next(2) else {
                    throw RepositoryError(.damaged, "the blob is damaged")
                }
                return piece
            }, close: { closed.raise() })
        do {
            try await made.target.writeFile(
                path, byteCount: 9, modified: .zero, mode: nil, from: source)
            Issue.record("a file was written from a source that failed")
        } catch {
            #expect(error.code == .source)
        }
        #expect(closed.isRaised)
        #expect(try await made.readBack(path) == nil)
    }

    private static func write(
        _ bytes: [UInt8], _ path: EntryPath, _ target: any RestoreTarget
    ) async throws {
        let rest = Rest(bytes)
        try await target.writeFile(
            path, byteCount: UInt64(bytes.count), modified: Timestamp(seconds: 1_234_567_890),
            mode: nil,
            from: ByteSource(next: { () async throws(RepositoryError) in rest.next(1 << 20) }))
    }
}
