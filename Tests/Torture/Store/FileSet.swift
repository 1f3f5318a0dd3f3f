import BackupCore
import ResticFormat
import ResticRepository
import Synchronization
import TestKit

/// What a phone holds at one time, small enough to be stored thousands of times.
struct FileSet: Sendable {
    struct File: Sendable {
        var bytes: [UInt8]
        var modified: Timestamp
    }

    /// By folder and name.
    private(set) var folders: [String: [String: File]] = [:]

    /// A new phone: files from empty to several hundred kilobytes in three folders.
    static func random(_ numbers: inout SeededNumbers) -> FileSet {
        var set = FileSet()
        for number in 0..<24 { set.put("file-\(number)", &numbers) }
        return set
    }

    /// The phone a day later: files changed, came and went.
    func edited(_ numbers: inout SeededNumbers) -> FileSet {
        var set = self
        for number in 0..<8 { set.put("file-\(number * 3)", &numbers) }
        for folder in set.folders.keys.sorted() {
            guard let name = set.folders[folder]?.keys.min() else { continue }
            set.folders[folder]?[name] = nil
        }
        return set
    }

    private mutating func put(_ name: String, _ numbers: inout SeededNumbers) {
        let folder = ["DCIM", "Documents", "Music"][Int(numbers.next() % 3)]
        let size =
            switch numbers.next() % 8 {
            case 0: 0
            case 1: Int(numbers.next() % 300_000)
            default: Int(numbers.next() % 40_000)
            }
        folders[folder, default: [:]][name] = File(
            bytes: numbers.words(size),
            modified: Timestamp(
                seconds: 1_700_000_000 + Int64(numbers.next() % 1_000_000),
                nanoseconds: UInt32(numbers.next() % 1_000_000_000)))
    }

    // MARK: In a repository

    /// Saves everything; gives the root folder's tree.
    func save(to repository: ResticSnapshotRepository) async throws -> ContentID {
        var nodes: [TreeNode] = []
        for (folder, files) in folders.sorted(by: { $0.key < $1.key }) {
            var inner: [TreeNode] = []
            for (name, file) in files.sorted(by: { $0.key < $1.key }) {
                let saved = try await repository.save(Self.source(file.bytes))
                inner.append(
                    .file(
                        EntryName(name), modified: file.modified, byteCount: saved.byteCount,
                        content: saved.content))
            }
            nodes.append(
                .directory(
                    EntryName(folder), modified: .zero,
                    subtree: try await repository.save(tree: inner)
                ))
        }
        return try await repository.save(tree: nodes)
    }

    private static func source(_ bytes: [UInt8]) -> ByteSource<DeviceError> {
        let rest = Mutex(bytes[...])
        return ByteSource(next: { () throws(DeviceError) in
            rest.withLock { rest in
                let piece = Array(rest.prefix(100_000))
                rest = rest.dropFirst(piece.count)
                return piece.isEmpty ? nil : piece
            }
        })
    }

    /// How what a snapshot holds differs from this; nil when it is the same, byte for byte.
    func difference(
        in repository: ResticSnapshotRepository, tree: ContentID
    ) async throws -> String? {
        let roots = try await repository.tree(tree)
        guard roots.map(\.name) == folders.keys.sorted().map({ EntryName($0) }) else {
            return "it has other folders"
        }
        for root in roots {
            let files = folders[root.name.description] ?? [:]
            let nodes = try await repository.tree(root.subtree ?? tree)
            guard nodes.map(\.name) == files.keys.sorted().map({ EntryName($0) }) else {
                return "\(root.name) has other files"
            }
            for node in nodes {
                let file = files[node.name.description]
                guard file?.modified == node.modified else {
                    return "\(node.name) has another date"
                }
                var bytes: [UInt8] = []
                for id in node.content { bytes += try await repository.blob(id) }
                guard bytes == file?.bytes else { return "\(node.name) has other bytes" }
            }
        }
        return nil
    }
}

extension SeededNumbers {
    /// Random bytes that do not compress, eight at a time.
    mutating func words(_ count: Int) -> [UInt8] {
        var words: [UInt64] = []
        words.reserveCapacity(count / 8 + 1)
        for _ in 0..<(count + 7) / 8 { words.append(next()) }
        return words.withUnsafeBytes { Array($0.prefix(count)) }
    }

    /// The numbers of one trial of a programme, which depend on nothing else.
    static func of(trial: Int, seed: UInt64) -> SeededNumbers {
        var numbers = SeededNumbers(seed: seed &* 1_000_003 &+ UInt64(trial))
        return SeededNumbers(seed: numbers.next())
    }
}
