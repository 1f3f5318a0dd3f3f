import BackupCore

/// A phone whose one storage holds a ``TrialTree``.
final class TrialPhone: DeviceSession, MediaSource {
    /// The storage's name, and so the folder in snapshots.
    static let storageName: EntryName = "Internal shared storage"

    private let tree: TrialTree
    /// Every path but the root; an entry's handle is its place here plus one.
    private let paths: [EntryPath]
    private let children: [EntryPath: [Int]]
    private let pieceByteCount: Int
    /// What each piece takes to come.
    private let pause: Duration

    /// A phone with `tree`, read in pieces of `pieceByteCount` that take `pause` each.
    init(_ tree: TrialTree, pieceByteCount: Int = 16 << 10, pause: Duration = .zero) {
        self.tree = tree
        let paths = (Array(tree.files.keys) + tree.folders.keys).sorted()
        self.paths = paths
        children = Dictionary(grouping: paths.indices) { paths[$0].parent }
        self.pieceByteCount = pieceByteCount
        self.pause = pause
    }

    let captures: [Capture] = [.media]

    func attributes() async throws(DeviceError) -> PhoneAttributes {
        PhoneAttributes(
            identity: "trial\nphone", name: "Trial", manufacturer: "", model: "trial",
            osVersion: "", batteryPercent: nil, notes: [])
    }

    func source(of capture: Capture) -> CaptureSource? {
        capture == .media ? .pulled(self) : nil
    }

    func close() async {}

    func storages() async throws(DeviceError) -> [PhoneStorage] {
        [
            PhoneStorage(
                handle: 1, name: Self.storageName, volumeIdentifier: "", type: 3, totalBytes: 0,
                freeBytes: 0)
        ]
    }

    func list(_ folder: FolderReference) async throws(DeviceError) -> FolderListing {
        let path = folder.object.map { paths[Int($0) - 1] } ?? .root
        return FolderListing(
            (children[path] ?? []).map { place in
                let path = paths[place]
                let file = tree.files[path]
                return PhoneEntry(
                    storage: 1, object: UInt64(place + 1), name: path.last ?? "",
                    isFolder: file == nil, byteCount: file.map { UInt64($0.bytes.count) },
                    modified: file?.modified ?? tree.folders[path] ?? .zero)
            })
    }

    func read(_ entry: PhoneEntry) async throws(DeviceError) -> ByteSource<DeviceError> {
        guard let file = tree.files[paths[Int(entry.object) - 1]] else {
            throw DeviceError(.unreadable, "no such file")
        }
        let pieces = TrialPieces(file.bytes, pieceByteCount: pieceByteCount)
        let pause = pause
        return ByteSource(next: { () throws(DeviceError) in
            if pause > .zero {
                // A run that is cancelled meanwhile asks for no more.
                try? await Task.sleep(for: pause)
            }
            return pieces.next()
        })
    }
}
