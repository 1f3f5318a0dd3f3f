import BackupCore
import ResticFormat

/// Key files of an owner that were replaced. Their ids are kept for good: whatever brings such a
/// file back (a drive that was away, a box that lost its state) is told apart by them.
struct RetiredKeys: Hashable, Sendable {
    /// What no drive is to have any more.
    var retired: Set<ContentID> = []
    /// What a drive must have, read back, before it loses those.
    var kept: Set<ContentID> = []
    /// Drives on which it is done.
    var done: Set<DriveID> = []

    /// Whether `drive` may still have what was replaced.
    func isPending(on drive: DriveID) -> Bool { !retired.isEmpty && !done.contains(drive) }
}

/// New secrets on their way to the drives: while this is in the state folder the old ones hold.
struct KeyRotation: Sendable {
    let secrets: OwnerSecrets
    /// The key files of the new secrets.
    let keys: [(id: ContentID, bytes: [UInt8])]
    /// The key files that they replace.
    let replaced: Set<ContentID>
}

extension StateStore {
    /// The key files of an owner that were replaced. A record that cannot be read is none: what
    /// is forgotten by it is told by the drives' tombstones.
    func retiredKeys(of owner: OwnerID) throws(ApplianceError) -> RetiredKeys {
        guard let bytes = try StateFiles.read(folder(of: owner) + "/retired.json"),
            let json = try? JSONValue.read(bytes)  // as above
        else { return RetiredKeys() }
        return RetiredKeys(
            retired: Set(json.texts("retired").compactMap { ContentID(hex: $0) }),
            kept: Set(json.texts("kept").compactMap { ContentID(hex: $0) }),
            done: Set(json.texts("done").compactMap(DriveID.init(rawValue:))))
    }

    /// Remembers them durably.
    func remember(_ keys: RetiredKeys, of owner: OwnerID) throws(ApplianceError) {
        let json: JSONValue = .members([
            "retired": .hashes(keys.retired), "kept": .hashes(keys.kept),
            "done": .array(keys.done.sorted().map { .string($0.rawValue) }),
        ])
        try StateFiles.write(
            Array((json.line + "\n").utf8), to: folder(of: owner) + "/retired.json")
    }

    /// Remembers that `drives` have lost what was replaced.
    func rememberRetired(on drives: [DriveID], of owner: OwnerID) throws(ApplianceError) {
        var keys = try retiredKeys(of: owner)
        guard !keys.retired.isEmpty, !keys.done.isSuperset(of: drives) else { return }
        keys.done.formUnion(drives)
        try remember(keys, of: owner)
    }

    /// Removes key files from the state folder that were replaced.
    func removeRetiredKeys(of owner: OwnerID) throws(ApplianceError) {
        for id in try retiredKeys(of: owner).retired {
            try StateFiles.remove(folder(of: owner) + "/keys/" + id.hex)
        }
    }

    /// A rotation that was begun and not finished; nil also when it cannot be read: it never
    /// counted then.
    func rotation(of owner: OwnerID) throws(ApplianceError) -> KeyRotation? {
        guard let bytes = try StateFiles.read(folder(of: owner) + "/rotation.json"),
            let json = try? JSONValue.read(bytes),  // as above
            let password = json["password"]?.text,
            let words = json["words"]?.text.flatMap({ try? SheetWords(reading: $0) })  // as above
        else { return nil }
        let keys = json.texts("keys").map { text in
            let bytes = Array(text.utf8)
            return (id: ContentID.sha256(of: bytes), bytes: bytes)
        }
        guard !keys.isEmpty else { return nil }
        return KeyRotation(
            secrets: OwnerSecrets(password: password, words: words), keys: keys,
            replaced: Set(json.texts("replaced").compactMap { ContentID(hex: $0) }))
    }

    /// Remembers a rotation durably, as a whole.
    func remember(_ rotation: KeyRotation, of owner: OwnerID) throws(ApplianceError) {
        let json: JSONValue = .members([
            "password": .string(rotation.secrets.password),
            "words": .optional(rotation.secrets.words?.canonical),
            // A key file is a line of JSON: text.
            "keys": .array(
                rotation.keys.map { .string(String(decoding: $0.bytes, as: UTF8.self)) }),
            "replaced": .hashes(rotation.replaced),
        ])
        try StateFiles.write(
            Array((json.line + "\n").utf8), to: folder(of: owner) + "/rotation.json")
    }

    /// Forgets a rotation: it is done.
    func forgetRotation(of owner: OwnerID) throws(ApplianceError) {
        try StateFiles.remove(folder(of: owner) + "/rotation.json")
        try StateFiles.syncFolder(folder(of: owner))
    }
}

extension JSONValue {
    /// The texts of an array member; none when there is no such array.
    fileprivate func texts(_ key: String) -> [String] {
        (self[key]?.elements ?? []).compactMap(\.text)
    }

    fileprivate static func hashes(_ ids: Set<ContentID>) -> JSONValue {
        .array(ids.sorted().map { .string($0.hex) })
    }
}
