import BackupCore
import Drives
import ResticFormat
import ResticRepository

/// A store with a few snapshots as it was before anything rotted.
struct RotStore: Sendable {
    let store: TrialStore
    let model: TrialModel
    /// The bytes of every file of the repository; equal on all drives.
    let whole: [FileName: [UInt8]]
    /// The blobs of each pack.
    let blobs: [ContentID: [PackedBlob]]

    static func make(in folder: String, drives: [String], history: TrialHistory) async throws
        -> RotStore
    {
        let store = try await TrialStore.make(in: folder, drives: drives)
        var model = TrialModel()
        for step in 0..<3 {
            let run = TrialHistory.run(step)
            let tree = history.tree(step)
            let outcome = try await TrialBox(store: store).backup(tree, run: run)
            guard outcome.exitCode == .done, let snapshot = outcome.snapshot else {
                throw BackendError(.io, "no snapshot to damage: \(outcome.message)")
            }
            model.trees[run] = tree
            for drive in outcome.durable {
                model.promises.insert(.init(snapshot: snapshot, drive: drive))
            }
        }
        var whole: [FileName: [UInt8]] = [:]
        for file in store.files(on: drives[0]) {
            whole[file] = TrialFiles.read(store.path(file, on: drives[0]))
        }
        var blobs: [ContentID: [PackedBlob]] = [:]
        for (file, bytes) in whole where file.kind == .data {
            blobs[file.id] = try PackHeader.decode(pack: bytes, sealer: Sealer(store.key))
        }
        return RotStore(store: store, model: model, whole: whole, blobs: blobs)
    }

    func copied(to folder: String) -> RotStore {
        RotStore(store: store.copied(to: folder), model: model, whole: whole, blobs: blobs)
    }

    /// The parts of a pack that are good or bad by themselves: its blobs, and its end.
    func parts(of pack: ContentID) -> [Range<Int>] {
        let blobs = (self.blobs[pack] ?? []).map {
            Int($0.offset)..<Int($0.offset) + Int($0.length)
        }
        let byteCount = whole[FileName(.data, pack)]?.count ?? 0
        return blobs + [(blobs.last?.upperBound ?? 0)..<byteCount]
    }

    /// The files whose content is the blob `id`, in any snapshot, below the storage's folder.
    func paths(of id: ContentID) -> Set<EntryPath> {
        var paths: Set<EntryPath> = []
        for tree in model.trees.values {
            for (path, file) in tree.files where ContentID.sha256(of: file.bytes) == id {
                paths.insert(EntryPath([TrialPhone.storageName] + path.names))
            }
        }
        return paths
    }
}
