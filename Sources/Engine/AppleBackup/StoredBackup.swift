internal import ApplePhone
package import BackupCore
internal import BackupEngine
internal import BlockingThread

/// An iPhone's own backup in a snapshot: its list of itself (Manifest.plist), and what opens it.
package struct StoredBackup: Sendable {
    private static let folder: EntryName = "Backup"
    private static let limits = PropertyList.Limits(
        bytes: 64 << 20, depth: 32, elements: 2_000_000, text: 1 << 20)

    let repository: any SnapshotRepository
    let tree: ContentID
    /// The identifier of the phone that it is of: the folder's name.
    package let udid: String
    private let manifest: PropertyList

    /// The backup in a snapshot's tree; nil when there is none, or none that can be read.
    package static func open(
        _ tree: ContentID, in repository: any SnapshotRepository
    ) async throws(RepositoryError) -> StoredBackup? {
        let root = try await TreeWalk.node(at: EntryPath([folder]), in: tree, of: repository)
        guard let subtree = root?.subtree,
            let own = try await repository.tree(subtree).first(where: \.isDirectory)
        else { return nil }
        let path = EntryPath([folder, own.name, "Manifest.plist"])
        guard let node = try await TreeWalk.node(at: path, in: tree, of: repository),
            node.byteCount <= UInt64(limits.bytes)
        else { return nil }
        var bytes: [UInt8] = []
        for id in node.content { bytes += try await repository.blob(id) }
        // A damaged list is none that can be read.
        guard let manifest = try? PropertyList.decode(bytes, limits: limits) else { return nil }
        return StoredBackup(
            repository: repository, tree: tree,
            udid: String(decoding: own.name.bytes, as: UTF8.self), manifest: manifest)
    }

    /// Whether a password is needed to read it.
    package var isEncrypted: Bool { manifest["IsEncrypted"]?.flag ?? false }

    /// Whether `password` opens it. It takes seconds.
    package func opens(with password: String) async -> Bool {
        await classKeys(password) != nil
    }

    /// The keys of the classes; nil when the password is not this backup's.
    func classKeys(_ password: String) async -> [UInt32: [UInt8]]? {
        guard let bag = manifest["BackupKeyBag"]?.bytes.flatMap(BackupKeybag.init) else {
            return nil
        }
        return await DedicatedThread(name: "backup-password").run {
            bag.classKeys(password: password)
        }
    }

    /// What Manifest.db is encrypted with: class and wrapped key.
    var manifestKey: [UInt8]? { manifest["ManifestKey"]?.bytes }

    /// The folder of the backup in the snapshot.
    var folder: EntryPath { EntryPath([Self.folder, EntryName(udid)]) }
}
