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
        var json = JSONWriter()
        json.object { json in
            json.field("format") { $0.number(1) }
            json.field("phone") { $0.object(phone) }
            json.field("capture") { $0.string(capture) }
            json.field("storages") { $0.array(storages, Self.write) }
            json.field("renamed") { json in
                json.array(renamed.prefix(Self.renamedLimit)) { json, entry in
                    json.object { json in
                        json.name("path", entry.path.joined)
                        json.name("original", entry.original.bytes)
                    }
                }
            }
            json.field("renamed_count") { $0.number(UInt64(renamed.count)) }
            json.field("skipped") { json in
                json.array(skipped.entries) { json, entry in
                    json.object { json in
                        json.name("path", entry.path.joined)
                        json.field("reason") { $0.string(entry.reason.rawValue) }
                    }
                }
            }
            json.field("skipped_count") { $0.number(UInt64(skipped.count)) }
            json.field("never_saved") { json in
                json.array(Self.neverSaved) { $0.string($1 + "*") }
            }
            json.field("never_contains") { json in
                json.array(neverContains) { $0.string($1) }
            }
        }
        return json.bytes + [0x0A]
    }

    private func phone(_ json: inout JSONWriter) {
        json.field("family") { $0.string(family) }
        json.field("name") { $0.string(name) }
        json.field("manufacturer") { $0.string(manufacturer) }
        json.field("model") { $0.string(model) }
        json.field("os_version") { $0.string(osVersion) }
    }

    private static func write(_ json: inout JSONWriter, _ facts: StorageFacts) {
        json.object { json in
            json.name("folder", facts.folder.bytes)
            json.name("name", facts.name.bytes)
            json.field("volume") { $0.string(facts.volumeIdentifier) }
            json.field("type") { $0.number(UInt64(facts.type)) }
            json.field("total_bytes") { $0.number(facts.totalBytes) }
        }
    }
}

extension SnapshotNotes {
    /// Reads a snapshot's notes; nil when the bytes are not such a file. What is unknown or of the
    /// wrong type in it is passed over: the notes help, and a backup does not depend on them.
    /// Lists of renamed and skipped entries are not read back.
    package init?(decoding bytes: [UInt8]) {
        guard let json = JSONReader.read(bytes), json["format"]?.number != nil else { return nil }
        let phone = json["phone"]
        func text(_ value: JSONValue?) -> String {
            value?.string.map { String(decoding: $0, as: UTF8.self) } ?? ""
        }
        family = text(phone?["family"])
        name = text(phone?["name"])
        manufacturer = text(phone?["manufacturer"])
        model = text(phone?["model"])
        osVersion = text(phone?["os_version"])
        capture = text(json["capture"])
        for value in json["storages"]?.array ?? [] {
            guard let folder = value.name("folder"), folder.isTreeName else { continue }
            storages.append(
                StorageFacts(
                    folder: folder, name: value.name("name") ?? "",
                    volumeIdentifier: text(value["volume"]),
                    type: UInt16(clamping: value["type"]?.number ?? 0),
                    totalBytes: value["total_bytes"]?.number ?? 0))
        }
    }

    /// The notes of a stored snapshot, nil when it has none that can be read.
    package static func of(
        tree: ContentID, in repository: any SnapshotRepository
    ) async throws(RepositoryError) -> SnapshotNotes? {
        guard let node = try await TreeWalk.node(at: path, in: tree, of: repository),
            node.kind == .file, node.byteCount <= JSONReader.byteLimit
        else { return nil }
        var bytes: [UInt8] = []
        for id in node.content {
            bytes += try await repository.blob(id)
            guard bytes.count <= JSONReader.byteLimit else { return nil }
        }
        return SnapshotNotes(decoding: bytes)
    }
}

extension EntryPath {
    /// The names' bytes with `/` before each.
    var joined: [UInt8] { names.flatMap { [0x2F] + $0.bytes } }
}
