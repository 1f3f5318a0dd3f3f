import BackupCore
import ResticFormat

/// Walks the folders of snapshots, each folder once, and finds what cannot be read.
struct TreeAudit {
    /// More lost blobs than this are only counted.
    private static let lostLimit = 1000

    /// A folder still to be visited. Names are linked, so that a wide folder does not copy its
    /// own path for each of its entries.
    private struct Pending {
        let tree: ContentID
        let path: LinkedPath
    }

    private final class LinkedPath {
        let name: EntryName?
        let parent: LinkedPath?

        init(_ name: EntryName?, in parent: LinkedPath?) {
            self.name = name
            self.parent = parent
        }

        var path: EntryPath {
            var names: [EntryName] = []
            var step: LinkedPath? = self
            while let link = step {
                if let name = link.name { names.append(name) }
                step = link.parent
            }
            return EntryPath(names.reversed())
        }
    }

    private let sealer: FileSealer
    private let index: BlobIndex
    private let unreadable: Set<Int>
    private let reader: BlobReader
    /// One bit for each entry of the index: the folders that were visited.
    private var visited: [UInt64]
    private var lost: [BlobKey: LostBlob] = [:]
    private var order: [BlobKey] = []
    private var uncounted = 0

    init(files: CopyReader, sealer: FileSealer, index: BlobIndex, unreadable: Set<Int>) {
        self.sealer = sealer
        self.index = index
        self.unreadable = unreadable
        reader = BlobReader(files: files, sealer: sealer)
        visited = Array(repeating: 0, count: index.count / 64 + 1)
    }

    /// What was lost, in the order it was met.
    var findings: [Finding] {
        var findings = order.compactMap { lost[$0] }.map { Finding.lostBlob($0) }
        if uncounted > 0 { findings.append(.note("\(uncounted) more lost blobs are not listed")) }
        return findings
    }

    /// Visits the folder `root` and all beneath it that were not visited before.
    mutating func visit(
        _ root: ContentID, _ report: inout StructureReport
    ) async throws(BackendError) {
        var pending = [Pending(tree: root, path: LinkedPath(nil, in: nil))]
        while let next = pending.popLast() {
            guard !Task.isCancelled else {
                report.isInterrupted = true
                return
            }
            guard let nodes = try await read(next, &report) else { continue }
            report.treeCount += 1
            for node in nodes {
                let path = LinkedPath(node.name, in: next.path)
                for id in node.content where !isReadable(BlobKey(.data, id)) {
                    note(BlobKey(.data, id), path)
                }
                if node.isDirectory {
                    guard let subtree = node.subtree else { continue }
                    pending.append(Pending(tree: subtree, path: path))
                }
            }
        }
    }

    /// The folder's entries; nil when it was visited or is lost.
    private mutating func read(
        _ pending: Pending, _ report: inout StructureReport
    ) async throws(BackendError) -> [TreeNode]? {
        let key = BlobKey(.tree, pending.tree)
        let entries = readableEntries(key)
        guard let first = entries.first else {
            note(key, pending.path)
            return nil
        }
        guard visited[first / 64] & (1 << UInt64(first % 64)) == 0 else { return nil }
        visited[first / 64] |= 1 << UInt64(first % 64)
        for entry in entries {
            let place = index.place(of: entry)
            do throws(RepositoryError) {
                let bytes = try await reader.read(
                    place, byteCount: index.extent(from: entry, limit: reader.readAhead(for: place))
                )
                do throws(FormatError) { return try TreeCodec.decode(bytes) } catch {
                    report.findings.append(
                        .note("folder \(pending.path.path) cannot be read: \(error.detail)"))
                }
            } catch {
                report.findings.append(
                    try StructureCheck.finding(FileName(.data, place.pack), error))
            }
        }
        note(key, pending.path)
        return nil
    }

    private func isReadable(_ key: BlobKey) -> Bool {
        // Without damaged entries the common question needs no array.
        unreadable.isEmpty ? index.holds(key) : !readableEntries(key).isEmpty
    }

    private func readableEntries(_ key: BlobKey) -> [Int] {
        index.presentMatches(key).filter { !unreadable.contains($0) }
    }

    private mutating func note(_ key: BlobKey, _ path: LinkedPath) {
        guard var known = lost[key] else {
            guard lost.count < Self.lostLimit else {
                uncounted += 1
                return
            }
            lost[key] = LostBlob(key: key, paths: [path.path], unnamedPathCount: 0)
            order.append(key)
            return
        }
        if known.paths.count < LostBlob.pathLimit {
            known.paths.append(path.path)
        } else {
            known.unnamedPathCount += 1
        }
        lost[key] = known
    }
}
