package import BackupCore

/// `/holdfast.json` of a snapshot: what a person or a later run must know and the tree cannot
/// tell. It holds only what stays equal while nothing on the phone changes, so that an unchanged
/// phone gives the same tree.
package struct SnapshotNotes: Sendable {
    /// A name that cannot stand in a tree, or stood there twice.
    struct Renamed: Equatable {
        let path: EntryPath
        let original: EntryName
    }

    /// The file's place in a snapshot.
    package static let path = EntryPath(["holdfast.json"])
    /// Names at a snapshot's root that are ours and no phone's.
    static let ownNames: Set<EntryName> = ["holdfast.json", "holdfast-dates.ndjson"]
    /// Names named in the file; more are only counted.
    private static let renamedLimit = 10_000

    /// `android` or `iphone`.
    package var family: String
    /// The phone's own name, as it was last seen.
    package var name: String
    package var manufacturer: String
    package var model: String
    package var osVersion: String
    package var capture: String
    var storages: [StorageFacts] = []
    var renamed: [Renamed] = []
    var skipped = SkippedEntries()
    /// Photos and videos whose originals the phone keeps only in its maker's cloud.
    package var onlyInCloud: UInt64?

    /// The notes of a capture of the phone that says `attributes` of itself.
    init(_ attributes: PhoneAttributes, family: PhoneFamily, capture: Capture) {
        self.family = family.rawValue
        name = attributes.name
        manufacturer = attributes.manufacturer
        model = attributes.model
        osVersion = attributes.osVersion
        self.capture = capture.rawValue
    }

    /// Whether a phone's entry is left out of every snapshot: what it is about to delete, and
    /// what an app is still writing.
    static func isNeverSaved(_ name: EntryName) -> Bool {
        neverSaved.contains { name.bytes.starts(with: $0.utf8) }
    }

    private static let neverSaved = [".pending-", ".trashed-"]

    /// What this kind of capture can never contain, whatever the phone.
    private var neverContains: [String] {
        switch Capture(rawValue: capture) {
        case .backup: ["apps", "content that is only in the cloud"]
        default:
            [
                "apps and their data", "call log", "contacts",
                "content that is only in the cloud", "messages",
            ]
        }
    }

    /// The file's bytes: JSON, keys in a fixed order, a final line feed.
    package func encoded() -> [UInt8] {
        var json = JSONValue.members([
            "format": .integer(1),
            "phone": .members([
                "family": .string(family), "name": .string(name),
                "manufacturer": .string(manufacturer), "model": .string(model),
                "os_version": .string(osVersion),
            ]),
            "capture": .string(capture),
            "storages": .array(storages.map(Self.json)),
            "renamed": .array(
                renamed.prefix(Self.renamedLimit).map { entry in
                    .object([
                        .bytes("path", entry.path.joined),
                        .bytes("original", entry.original.bytes),
                    ])
                }),
            "renamed_count": .integer(Int64(renamed.count)),
            "skipped": .array(
                skipped.entries.map { entry in
                    .object([
                        .bytes("path", entry.path.joined),
                        .init("reason", .string(entry.reason.rawValue)),
                    ])
                }),
            "skipped_count": .integer(Int64(skipped.count)),
            "never_saved": .array(Self.neverSaved.map { .string($0 + "*") }),
            "never_contains": .array(neverContains.map { .string($0) }),
        ])
        if let onlyInCloud, case .object(let members) = json {
            json = .object(members + [.init("only_in_cloud", .unsigned(onlyInCloud))])
        }
        return Array((json.line + "\n").utf8)
    }

    private static func json(_ facts: StorageFacts) -> JSONValue {
        .object([
            .bytes("folder", facts.folder.bytes), .bytes("name", facts.name.bytes),
            .init("volume", .string(facts.volumeIdentifier)),
            .init("type", .integer(Int64(facts.type))),
            .init("total_bytes", .unsigned(facts.totalBytes)),
        ])
    }
}

extension SnapshotNotes {
    /// Reads a snapshot's notes; nil when the bytes are not such a file. What is unknown or of the
    /// wrong type in it is passed over: the notes help, and a backup does not depend on them.
    /// Lists of renamed and skipped entries are not read back.
    package init?(decoding bytes: [UInt8]) {
        // Wrong JSON is no notes; where it is wrong does not matter to anybody.
        guard let json = try? JSONValue.read(bytes), json["format"]?.int64 != nil else {
            return nil
        }
        func text(_ value: JSONValue?, _ key: String) -> String { value?[key]?.text ?? "" }
        let phone = json["phone"]
        family = text(phone, "family")
        name = text(phone, "name")
        manufacturer = text(phone, "manufacturer")
        model = text(phone, "model")
        osVersion = text(phone, "os_version")
        capture = text(json, "capture")
        onlyInCloud = json["only_in_cloud"]?.uint64
        for value in json["storages"]?.elements ?? [] {
            guard let folder = value.bytes("folder").map({ EntryName(bytes: $0) }),
                folder.isTreeName
            else { continue }
            storages.append(
                StorageFacts(
                    folder: folder, name: EntryName(bytes: value.bytes("name") ?? []),
                    volumeIdentifier: text(value, "volume"),
                    type: UInt16(clamping: value["type"]?.int64 ?? 0),
                    totalBytes: value["total_bytes"]?.uint64 ?? 0))
        }
    }

    /// The notes of a stored snapshot, nil when it has none that can be read.
    package static func of(
        tree: ContentID, in repository: any SnapshotRepository
    ) async throws(RepositoryError) -> SnapshotNotes? {
        guard let node = try await TreeWalk.node(at: path, in: tree, of: repository),
            node.kind == .file, node.byteCount <= JSONValue.byteLimit
        else { return nil }
        var bytes: [UInt8] = []
        for id in node.content {
            bytes += try await repository.blob(id)
            guard bytes.count <= JSONValue.byteLimit else { return nil }
        }
        return SnapshotNotes(decoding: bytes)
    }
}

extension EntryPath {
    /// The names' bytes with `/` before each.
    package var joined: [UInt8] { names.flatMap { [0x2F] + $0.bytes } }
}
