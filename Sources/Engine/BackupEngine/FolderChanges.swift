internal import BackupCore

/// What has changed in one open folder, by name.
///
/// A phone's first backup has all its files here, a million of them, until it moves their folders
/// into place. So a file or a removal is one array of bytes, its name among them; as a name and a
/// node of their own it would take more than twice as much.
struct FolderChanges {
    private var packed: Set<PackedChange> = []
    /// What is not packed: open folders and whatever else is rare. No name is in both.
    private var others: [EntryName: BuilderFolder.Change] = [:]

    var isEmpty: Bool { packed.isEmpty && others.isEmpty }

    /// What stands under `name`, nil when nothing has changed there.
    subscript(name: EntryName) -> BuilderFolder.Change? {
        get {
            if let other = others[name] { return other }
            guard let probe = PackedChange(finding: name),
                let index = packed.firstIndex(of: probe)
            else { return nil }
            return packed[index].change
        }
        set {
            if let newValue, let change = PackedChange(newValue, named: name) {
                others[name] = nil
                packed.update(with: change)
            } else {
                if others[name] == nil, let probe = PackedChange(finding: name) {
                    packed.remove(probe)
                }
                others[name] = newValue
            }
        }
    }

    /// Whether anything has changed under `name`.
    func contains(_ name: EntryName) -> Bool {
        others[name] != nil || PackedChange(finding: name).map { packed.contains($0) } ?? false
    }

    /// The folders that are open, in the order of their names.
    var openFolders: [(name: EntryName, folder: BuilderFolder)] {
        others.compactMap { name, change in
            if case .open(let folder) = change { (name, folder) } else { nil }
        }.sorted { $0.name < $1.name }
    }

    /// All entries that are there, in no order; `subtree` of an open folder is nil.
    var nodes: [TreeNode] {
        var nodes: [TreeNode] = []
        nodes.reserveCapacity(packed.count + others.count)
        for change in packed { append(change.name, change.change, to: &nodes) }
        for (name, change) in others { append(name, change, to: &nodes) }
        return nodes
    }

    private func append(
        _ name: EntryName, _ change: BuilderFolder.Change, to nodes: inout [TreeNode]
    ) {
        switch change {
        case .removed: break
        case .node(let node): nodes.append(node)
        case .open(let folder): nodes.append(folder.node(name, subtree: nil))
        }
    }
}

/// A plain file or a removal as bytes: the name's length and the name, then the kind, then a file's
/// fields and blobs. Equal to another by its name alone.
private struct PackedChange: Hashable {
    private static let removal: UInt8 = 0
    private static let file: UInt8 = 1
    private static let fileByteCount = 1 + 8 + 4 + 8

    private let bytes: [UInt8]

    /// Something equal to the change under `name`, to find it with; nil when none can be packed.
    init?(finding name: EntryName) {
        guard let bytes = Self.begin(name, room: 0) else { return nil }
        self.bytes = bytes
    }

    /// nil for what is not packed.
    init?(_ change: BuilderFolder.Change, named name: EntryName) {
        switch change {
        case .removed:
            guard var bytes = Self.begin(name, room: 1) else { return nil }
            bytes.append(Self.removal)
            self.bytes = bytes
        case .node(let node)
        where node.kind == .file && node.mode == nil && node.subtree == nil && node.name == name:
            let room = Self.fileByteCount + ContentID.byteCount * node.content.count
            guard var bytes = Self.begin(name, room: room) else { return nil }
            bytes.append(Self.file)
            Self.put(node.modified.seconds, into: &bytes)
            Self.put(node.modified.nanoseconds, into: &bytes)
            Self.put(node.byteCount, into: &bytes)
            for id in node.content {
                let words = id.words
                Self.put(words.0, into: &bytes)
                Self.put(words.1, into: &bytes)
                Self.put(words.2, into: &bytes)
                Self.put(words.3, into: &bytes)
            }
            self.bytes = bytes
        default: return nil
        }
    }

    var name: EntryName { EntryName(bytes: bytes[1..<nameEnd]) }

    var change: BuilderFolder.Change {
        guard bytes[nameEnd] == Self.file else { return .removed }
        var place = nameEnd + 1
        let modified = Timestamp(seconds: take(&place), nanoseconds: take(&place))
        let byteCount: UInt64 = take(&place)
        var content: [ContentID] = []
        content.reserveCapacity((bytes.count - place) / ContentID.byteCount)
        while place < bytes.count {
            content.append(
                ContentID(words: (take(&place), take(&place), take(&place), take(&place))))
        }
        return .node(.file(name, modified: modified, byteCount: byteCount, content: content))
    }

    static func == (left: PackedChange, right: PackedChange) -> Bool {
        left.bytes[..<left.nameEnd] == right.bytes[..<right.nameEnd]
    }

    func hash(into hasher: inout Hasher) {
        // Sound: the array lends its bytes for the call, and `nameEnd` is within them.
        unsafe bytes.withUnsafeBytes {
            unsafe hasher.combine(bytes: UnsafeRawBufferPointer(rebasing: $0[..<nameEnd]))
        }
    }

    private var nameEnd: Int { 1 + Int(bytes[0]) }

    /// A name and room for what follows; nil when it is too long for any tree.
    private static func begin(_ name: EntryName, room: Int) -> [UInt8]? {
        guard let count = UInt8(exactly: name.bytes.count) else { return nil }
        var bytes: [UInt8] = []
        bytes.reserveCapacity(1 + name.bytes.count + room)
        bytes.append(count)
        bytes += name.bytes
        return bytes
    }

    private static func put(_ value: some FixedWidthInteger, into bytes: inout [UInt8]) {
        for shift in stride(from: 0, to: value.bitWidth, by: 8) {
            bytes.append(UInt8(truncatingIfNeeded: value >> shift))
        }
    }

    private func take<Value: FixedWidthInteger>(_ place: inout Int) -> Value {
        var value: Value = 0
        for shift in stride(from: 0, to: Value.bitWidth, by: 8) {
            value |= Value(truncatingIfNeeded: bytes[place]) << shift
            place += 1
        }
        return value
    }
}
