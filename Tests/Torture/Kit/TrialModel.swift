import BackupCore
import Drives
import ResticRepository

/// What must be on the drives: which tree each run of ours saved, and where it was called done.
struct TrialModel: Sendable {
    /// A snapshot that was reported as durable on a drive.
    struct Promise: Sendable, Hashable {
        let snapshot: ContentID
        let drive: String
    }

    /// What the snapshot of a run holds, by the run.
    var trees: [RunID: TrialTree] = [:]
    var promises: Set<Promise> = []

    /// Restores every snapshot of ours from one drive alone and compares: those that are there
    /// must be exact, and those that were promised must be there. Gives what is wrong.
    func verify(_ drive: String, of store: TrialStore) async -> [String] {
        do {
            let repository = try await store.open(try await store.copy(on: drive), for: .reading)
            let snapshots = try await repository.snapshots()
            var wrong: [String] = []
            for promise in promises where promise.drive == drive {
                if !snapshots.contains(where: { $0.id == promise.snapshot }) {
                    wrong.append("\(drive): snapshot \(promise.snapshot.short) is lost")
                }
            }
            for snapshot in snapshots {
                guard let run = snapshot.run, let tree = trees[run], !snapshot.isPartial else {
                    continue
                }
                let found = try await TrialReading(repository).tree(of: snapshot)
                if let difference = tree.difference(from: found) {
                    wrong.append("\(drive): snapshot \(snapshot.id.short) of \(run): \(difference)")
                }
            }
            return wrong
        } catch {
            return ["\(drive): cannot be read: \(TrialReading.text(error))"]
        }
    }

    /// As ``verify(_:of:)``, for every drive.
    func verify(_ store: TrialStore) async -> [String] {
        var wrong: [String] = []
        for drive in store.drives { wrong += await verify(drive, of: store) }
        return wrong
    }
}

/// Reads snapshots through the repository, as a restore does.
struct TrialReading: Sendable {
    private let repository: ResticSnapshotRepository

    init(_ repository: ResticSnapshotRepository) { self.repository = repository }

    /// What a snapshot holds of the phone's storage.
    func tree(of snapshot: Snapshot) async throws -> TrialTree {
        var tree = TrialTree()
        let root = try await repository.tree(snapshot.tree)
        guard let storage = root.first(where: { $0.name == TrialPhone.storageName }),
            let subtree = storage.subtree
        else { return tree }
        try await read(subtree, at: .root, into: &tree)
        return tree
    }

    /// What lies at `path` in any snapshot, for those that restic made of a folder.
    func tree(of snapshot: Snapshot, at path: EntryPath) async throws -> TrialTree? {
        var id = snapshot.tree
        for name in path.names {
            let nodes = try await repository.tree(id)
            guard let next = nodes.first(where: { $0.name == name })?.subtree else { return nil }
            id = next
        }
        var tree = TrialTree()
        try await read(id, at: .root, into: &tree)
        return tree
    }

    private func read(
        _ id: ContentID, at path: EntryPath, into tree: inout TrialTree
    ) async throws {
        for node in try await repository.tree(id) {
            let below = path.appending(node.name)
            if let subtree = node.subtree {
                tree.folders[below] = Timestamp(seconds: node.modified.seconds)
                try await read(subtree, at: below, into: &tree)
            } else {
                var bytes: [UInt8] = []
                for blob in node.content { bytes += try await repository.blob(blob) }
                tree.files[below] = TrialTree.File(
                    bytes: bytes, modified: Timestamp(seconds: node.modified.seconds))
            }
        }
    }

    /// An error's sentence.
    static func text(_ error: any Error) -> String {
        (error as? any Explained)?.whatHappened ?? "\(error)"
    }
}
