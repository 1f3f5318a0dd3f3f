package import BackupCore
import Drives
import ResticFormat

/// The files an owner's repository begins with, kept beside the keys: a drive that has no
/// repository of the owner yet is given exactly these, whichever drives are there.
package struct RepositorySeed: Sendable {
    /// The config; empty when the state folder lost it. Whoever gives it to a drive judges it
    /// first.
    package let config: [UInt8]
    package let keys: [(id: ContentID, bytes: [UInt8])]

    /// A seed of a config file and key files.
    package init(config: [UInt8], keys: [(id: ContentID, bytes: [UInt8])]) {
        self.config = config
        self.keys = keys
    }

    /// Whether the box has a good copy of a file; `judge` decides about the config.
    func has(_ file: FileName, _ judge: ConfigJudge) -> Bool {
        file == .config ? judge(config) : file.kind == .key && keys.contains { $0.id == file.id }
    }
}

extension StateStore {
    /// An owner's seed, without key files that were retired; nil when no key file of it is whole.
    package func seed(of owner: OwnerID) throws(ApplianceError) -> RepositorySeed? {
        let folder = folder(of: owner)
        let retired = try retiredKeys(of: owner).retired
        let config = try StateFiles.read(folder + "/config") ?? []
        var keys: [(id: ContentID, bytes: [UInt8])] = []
        for name in try StateFiles.names(in: folder + "/keys") {
            guard let id = ContentID(hex: name), !retired.contains(id),
                let bytes = try StateFiles.read(folder + "/keys/" + name),
                ContentID.sha256(of: bytes) == id
            else { continue }
            keys.append((id, bytes))
        }
        return keys.isEmpty ? nil : RepositorySeed(config: config, keys: keys)
    }

    /// Makes an owner's seed durable.
    package func remember(_ seed: RepositorySeed, of owner: OwnerID) throws(ApplianceError) {
        try add(keys: seed.keys, to: owner)
        try StateFiles.write(seed.config, to: folder(of: owner) + "/config")
    }

    /// Adds key files to an owner's seed, durably.
    func add(
        keys: [(id: ContentID, bytes: [UInt8])], to owner: OwnerID
    ) throws(ApplianceError) {
        let folder = folder(of: owner) + "/keys"
        try StateFiles.makeFolder(folder)
        for key in keys { try StateFiles.write(key.bytes, to: "\(folder)/\(key.id.hex)") }
    }
}
