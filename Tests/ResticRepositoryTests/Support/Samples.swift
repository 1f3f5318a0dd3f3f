import BackupCore
import ResticFormat
import ResticRepository
import Synchronization

/// A reproducible source of bytes (SplitMix64).
struct SeededGenerator: RandomNumberGenerator {
    private var state: UInt64

    init(seed: UInt64) { state = seed }

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var value = state
        value = (value ^ (value >> 30)) &* 0xBF58_476D_1CE4_E5B9
        value = (value ^ (value >> 27)) &* 0x94D0_49BB_1331_11EB
        return value ^ (value >> 31)
    }

    /// Bytes that do not compress.
    mutating func bytes(_ count: Int) -> [UInt8] {
        var result: [UInt8] = []
        result.reserveCapacity(count + 8)
        while result.count < count {
            var word = next()
            for _ in 0..<8 {
                result.append(UInt8(truncatingIfNeeded: word))
                word >>= 8
            }
        }
        result.removeLast(result.count - count)
        return result
    }

    /// Bytes that do compress.
    mutating func text(_ count: Int) -> [UInt8] {
        let words = ["photo ", "message ", "Ärger ", "2026-11-21 ", "hello, world; "].map {
            Array($0.utf8)
        }
        var result: [UInt8] = []
        while result.count < count { result += words[Int(next() % 5)] }
        return Array(result.prefix(count))
    }

    /// A file that begins like a database.
    mutating func database(_ count: Int) -> [UInt8] {
        Array("SQLite format 3\0".utf8) + bytes(count - 16)
    }
}

/// A source over bytes in memory, in pieces of `pieceLength`.
func source(
    _ bytes: [UInt8], pieceLength: Int = 1 << 20, closed: Counter = Counter(),
    failure: DeviceError? = nil, failingAt: Int = .max
) -> ByteSource<DeviceError> {
    let position = Mutex(0)
    return ByteSource<DeviceError>(
        next: { () throws(DeviceError) in
            let start = position.withLock { $0 }
            if let failure, start >= failingAt { throw failure }
            guard start < bytes.count else { return nil }
            let end = min(bytes.count, start + pieceLength)
            position.withLock { $0 = end }
            return Array(bytes[start..<end])
        },
        close: { closed.add() })
}

/// Counts from any task.
final class Counter: Sendable {
    private let value = Mutex(0)
    var count: Int { value.withLock { $0 } }
    func add() { value.withLock { $0 += 1 } }
}

/// A new repository's files in `backend`, with keys that are cheap to try.
func makeRepository(
    on backend: any RepositoryBackend, passwords: [String] = ["secret"]
) async throws -> NewRepository {
    let new = NewRepository.make(
        passwords: passwords, hostname: "box", created: Timestamp(seconds: 1_800_000_000),
        cost: .forTests)
    for key in new.keys { try await backend.write(FileName(.key, key.id), key.bytes) }
    try await backend.write(.config, new.config)
    return new
}

/// A draft of `tree`.
func draft(_ tree: ContentID, seconds: Int64 = 1_800_000_000) -> SnapshotDraft {
    SnapshotDraft.of(
        phone: PhoneID(trusted: "android-0123456789abcdef"), capture: .media,
        run: RunID(trusted: "run-1"), partial: false, tree: tree, parent: nil,
        time: Timestamp(seconds: seconds, nanoseconds: 5), utcOffsetSeconds: 3600,
        hostname: "box")
}

extension ResticSnapshotRepository {
    /// The content of a file whose blobs are `content`.
    func read(_ content: [ContentID]) async throws -> [UInt8] {
        var bytes: [UInt8] = []
        for id in content { bytes += try await blob(id) }
        return bytes
    }

    /// Saves files as one folder and commits it.
    func commit(files: [(name: String, bytes: [UInt8])]) async throws -> CommittedSnapshot {
        var nodes: [TreeNode] = []
        for file in files {
            let saved = try await save(source(file.bytes))
            nodes.append(
                .file(
                    EntryName(file.name), modified: Timestamp(seconds: 1_700_000_000),
                    byteCount: saved.byteCount, content: saved.content))
        }
        return try await commit(draft(try await save(tree: nodes)))
    }
}

/// A repository in memory, opened for writing.
func openMemoryRepository(
    _ backend: MemoryBackend, _ key: MasterKey, clock: ManualClock = ManualClock(),
    _ adjust: (inout RepositoryOptions) -> Void = { _ in }
) async throws -> ResticSnapshotRepository {
    var options = RepositoryOptions(.writing, clock: clock)
    adjust(&options)
    return try await ResticSnapshotRepository.open(
        backend: backend, masterKey: key, options: options)
}
