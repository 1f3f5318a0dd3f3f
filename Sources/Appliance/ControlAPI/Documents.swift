package import BackupCore

/// One drive and how far its copy of something has come, as programs read it.
package struct CopyDocument: Hashable, Sendable {
    package let drive: DriveID
    /// `written`, `durable`, `verified` or `behind`.
    package let state: String

    /// A copy on `drive`.
    package init(drive: DriveID, state: String) {
        self.drive = drive
        self.state = state
    }

    /// The document of a receipt.
    package init(_ receipt: CopyReceipt) {
        drive = receipt.drive
        state =
            switch receipt.state {
            case .written: "written"
            case .durable: "durable"
            case .verified: "verified"
            case .behind: "behind"
            }
    }

    /// Keys `drive, state`.
    package var json: JSONValue {
        .members(["drive": .string(drive.rawValue), "state": .string(state)])
    }
}

/// One phone for `holdfast phones`. Its texts are the phone's own and hostile: escape them for
/// people, as JSON they are data.
package struct PhoneDocument: Hashable, Sendable {
    package var id: PhoneID?
    package var owner: OwnerID?
    package var family: PhoneFamily
    package var name: String?
    package var model: String?
    package var osVersion: String?
    package var bay: BayID?
    /// A word of ``BayState/Word``, or `away`.
    package var state: String
    package var message: String

    /// A phone with every field given.
    package init(
        id: PhoneID?, owner: OwnerID?, family: PhoneFamily, name: String?, model: String?,
        osVersion: String?, bay: BayID?, state: String, message: String
    ) {
        self.id = id
        self.owner = owner
        self.family = family
        self.name = name
        self.model = model
        self.osVersion = osVersion
        self.bay = bay
        self.state = state
        self.message = message
    }

    /// Keys `id, owner, family, name, model, os_version, bay, state, message`.
    package var json: JSONValue {
        .members([
            "id": .optional(id?.rawValue), "owner": .optional(owner?.rawValue),
            "family": .string(family.rawValue), "name": .optional(name),
            "model": .optional(model), "os_version": .optional(osVersion),
            "bay": .optional(bay?.rawValue), "state": .string(state),
            "message": .string(message),
        ])
    }
}

/// One snapshot for `holdfast snapshots` and for the summary of a run.
package struct SnapshotDocument: Hashable, Sendable {
    package var id: ContentID
    package var time: Timestamp
    package var utcOffsetSeconds: Int
    package var owner: OwnerID
    /// nil for a snapshot that another program made.
    package var phone: PhoneID?
    package var phoneName: String?
    package var capture: Capture?
    package var isComplete: Bool
    /// The phone's files, not ours.
    package var files: Int?
    package var bytes: UInt64?
    package var copies: [CopyDocument]

    /// A snapshot with every field given.
    package init(
        id: ContentID, time: Timestamp, utcOffsetSeconds: Int, owner: OwnerID, phone: PhoneID?,
        phoneName: String?, capture: Capture?, isComplete: Bool, files: Int?, bytes: UInt64?,
        copies: [CopyDocument]
    ) {
        self.id = id
        self.time = time
        self.utcOffsetSeconds = utcOffsetSeconds
        self.owner = owner
        self.phone = phone
        self.phoneName = phoneName
        self.capture = capture
        self.isComplete = isComplete
        self.files = files
        self.bytes = bytes
        self.copies = copies
    }

    /// Keys `id, time, owner, phone, phone_name, capture, complete, files, bytes, copies`.
    package var json: JSONValue {
        .members([
            "id": .string(id.hex),
            "time": .string(RFC3339.text(time, utcOffsetSeconds: utcOffsetSeconds)),
            "owner": .string(owner.rawValue), "phone": .optional(phone?.rawValue),
            "phone_name": .optional(phoneName), "capture": .optional(capture?.rawValue),
            "complete": .bool(isComplete),
            "files": files.map { .integer(Int64($0)) } ?? .null,
            "bytes": bytes.map(JSONValue.unsigned) ?? .null,
            "copies": .array(copies.map(\.json)),
        ])
    }
}

/// One enrolled drive for `holdfast drives`.
package struct DriveDocument: Hashable, Sendable {
    package var id: DriveID
    package var name: String
    package var path: String
    /// `ready`, `absent`, `wrong`, `damaged`, `read_only`.
    package var state: String
    package var message: String
    package var freeBytes: UInt64?
    package var totalBytes: UInt64?
    /// Of the files that were read back, when the one was that was longest ago; nil while an
    /// owner has none, or damage is known.
    package var lastVerified: Timestamp?
    /// Files that were never read back.
    package var unverifiedFiles = 0
    /// Files with known damage.
    package var damagedFiles = 0
    /// Other enrolled drives on the same block device.
    package var sameDeviceAs: [DriveID]
    /// What is to be done on it once it is there.
    package var pending: [PendingWork] = []

    /// A drive with every field given, and nothing pending.
    package init(
        id: DriveID, name: String, path: String, state: String, message: String,
        freeBytes: UInt64?, totalBytes: UInt64?, lastVerified: Timestamp?,
        sameDeviceAs: [DriveID]
    ) {
        self.id = id
        self.name = name
        self.path = path
        self.state = state
        self.message = message
        self.freeBytes = freeBytes
        self.totalBytes = totalBytes
        self.lastVerified = lastVerified
        self.sameDeviceAs = sameDeviceAs
    }

    /// Keys `id, name, path, state, free_bytes, total_bytes, last_verified, unverified_files,
    /// damaged_files`, and `message`, `same_device_as` and `pending: [{kind, owner}]`.
    package var json: JSONValue {
        .members([
            "id": .string(id.rawValue), "name": .string(name), "path": .string(path),
            "state": .string(state),
            "free_bytes": freeBytes.map(JSONValue.unsigned) ?? .null,
            "total_bytes": totalBytes.map(JSONValue.unsigned) ?? .null,
            "last_verified": lastVerified.map { .string(RFC3339.text($0)) } ?? .null,
            "unverified_files": .integer(Int64(unverifiedFiles)),
            "damaged_files": .integer(Int64(damagedFiles)),
            "message": .string(message),
            "same_device_as": .array(sameDeviceAs.map { .string($0.rawValue) }),
            "pending": .array(pending.map(\.json)),
        ])
    }
}

/// One entry of a snapshot for `holdfast ls`.
package struct EntryDocument: Hashable, Sendable {
    package let path: EntryPath
    package let node: TreeNode

    /// The entry `node` at `path`.
    package init(path: EntryPath, node: TreeNode) {
        self.path = path
        self.node = node
    }

    /// `file`, `dir`, `symlink` or restic's own word.
    package var type: String {
        switch node.kind {
        case .file: "file"
        case .directory: "dir"
        case .symbolicLink: "symlink"
        case .other(let word): word
        }
    }

    /// Keys `path, type, size, mtime`. A path that is not UTF-8 cannot stand in JSON: it is given
    /// escaped, as people see it, and `path_escaped` is true.
    package var json: JSONValue {
        let bytes = path.names.reduce(into: [UInt8]()) { $0 += [0x2F] + $1.bytes }
        let exact = String(validating: bytes, as: UTF8.self)
        var members: [JSONValue.Member] = [
            .init("path", .string(exact ?? path.description)), .init("type", .string(type)),
            .init("size", .unsigned(node.byteCount)),
            .init("mtime", .string(RFC3339.text(node.modified))),
        ]
        if exact == nil { members.append(.init("path_escaped", .bool(true))) }
        return .object(members)
    }
}
