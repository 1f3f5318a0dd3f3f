/// What a backup's manifest says about one item: the archived MBFile in the column `file`.
struct BackupRecord: Sendable, Equatable {
    var path: String
    var mode: Int64
    /// Seconds since 1970.
    var modified: Int64
    var born: Int64
    var byteCount: UInt64
    var protectionClass: UInt32
    /// Number of the item in the phone's file system.
    var inode: Int64
    /// Target of a link.
    var target: String?
    /// The sealed key of an encrypted file.
    var encryptionKey: [UInt8]?
    /// SHA-1 of a file's content.
    var digest: [UInt8]?

    /// The record of an item whose content has not been read yet.
    init(of item: PhoneItem, id: String) {
        path = item.path
        mode = item.mode
        modified = item.modified
        born = item.born
        byteCount = item.kind == .file ? item.content.byteCount : 0
        protectionClass = item.kind == .file ? item.protectionClass : 0
        // The first digits of the name are as good as a number that a file system gave.
        inode = Int64(id.prefix(7), radix: 16) ?? 1
        if item.kind == .link, case .bytes(let bytes) = item.content {
            target = String(decoding: bytes, as: UTF8.self)
        }
    }

    /// Whether the item is still as it was, as far as dates, size and kind tell; content is not
    /// compared, as on real phones.
    func isUnchanged(_ other: BackupRecord) -> Bool {
        mode == other.mode && modified == other.modified && byteCount == other.byteCount
            && protectionClass == other.protectionClass && target == other.target
    }

    // MARK: - Archive

    /// The bytes of the column.
    func encoded() -> [UInt8] {
        var writer = Self.constants
        let pathReference = writer.add(text: path)
        var objects = [Constant.null, 0, pathReference]
        var fields: [(UInt8, UInt8)] = [
            (Constant.birth, writer.add(integer: born)),
            (Constant.flags, writer.add(integer: 0)),
            (Constant.groupID, Constant.owner), (Constant.userID, Constant.owner),
            (Constant.inode, writer.add(integer: inode)),
            (Constant.lastModified, writer.add(integer: modified)),
            (Constant.lastStatusChange, writer.add(integer: modified)),
            (Constant.mode, writer.add(integer: mode)),
            (Constant.protectionClass, writer.add(integer: Int64(protectionClass))),
            (Constant.size, writer.add(integer: Int64(clamping: byteCount))),
            (Constant.relativePath, writer.add(uid: 2)),
        ]
        func refer(_ key: UInt8, to object: UInt8) {
            fields.append((key, writer.add(uid: UInt8(objects.count))))
            objects.append(object)
        }
        if let digest { refer(Constant.digest, to: writer.add(data: digest)) }
        if let target { refer(Constant.target, to: writer.add(text: target)) }
        if let encryptionKey {
            let data = writer.add(data: encryptionKey)
            let dataClass = writer.add(uid: UInt8(objects.count + 1))
            refer(
                Constant.encryptionKey,
                to: writer.add(dictionary: [
                    (Constant.archiveClass, dataClass), (Constant.archiveData, data),
                ]))
            objects.append(Constant.mutableDataClass)
        }
        refer(Constant.archiveClass, to: Constant.fileClass)
        objects[1] = writer.add(dictionary: fields)
        let list = writer.add(array: objects)
        // Beforehand: `finish` takes the writer as it is when its arguments are worked out.
        let top = writer.add(dictionary: [
            (Constant.archiver, Constant.keyedArchiver), (Constant.objects, list),
            (Constant.top, Constant.root), (Constant.version, Constant.versionNumber),
        ])
        return writer.finish(top: top)
    }

    /// Reads the column; nil when it is no archived file.
    init?(encoded: [UInt8]) {
        // What no reader understands has no record; the caller names the row.
        guard let archive = try? PropertyList.decode(encoded),
            let objects = archive["$objects"]?.items,
            let file = Self.object(archive["$top"]?["root"], in: objects),
            let path = Self.object(file["RelativePath"], in: objects)?.text,
            let mode = file["Mode"]?.integer, let modified = file["LastModified"]?.integer
        else { return nil }
        self.path = path
        self.mode = mode
        self.modified = modified
        born = file["Birth"]?.integer ?? modified
        byteCount = file["Size"]?.unsigned ?? 0
        protectionClass = UInt32(clamping: file["ProtectionClass"]?.integer ?? 0)
        inode = file["InodeNumber"]?.integer ?? 0
        target = Self.object(file["Target"], in: objects)?.text
        digest = Self.object(file["Digest"], in: objects)?.bytes
        let key = Self.object(file["EncryptionKey"], in: objects)
        encryptionKey = key?["NS.data"]?.bytes ?? key?.bytes
    }

    private static func object(_ reference: PropertyList?, in objects: [PropertyList])
        -> PropertyList?
    {
        guard case .uid(let number) = reference, number < UInt64(objects.count) else { return nil }
        return objects[Int(number)]
    }

    /// References of what every archive has, in the order of `constants`.
    private enum Constant {
        static let archiver: UInt8 = 0
        static let keyedArchiver: UInt8 = 1
        static let objects: UInt8 = 2
        static let top: UInt8 = 3
        static let version: UInt8 = 4
        static let rootKey: UInt8 = 5
        static let null: UInt8 = 6
        static let birth: UInt8 = 7
        static let flags: UInt8 = 8
        static let groupID: UInt8 = 9
        static let inode: UInt8 = 10
        static let lastModified: UInt8 = 11
        static let lastStatusChange: UInt8 = 12
        static let mode: UInt8 = 13
        static let protectionClass: UInt8 = 14
        static let relativePath: UInt8 = 15
        static let size: UInt8 = 16
        static let userID: UInt8 = 17
        static let digest: UInt8 = 18
        static let target: UInt8 = 19
        static let encryptionKey: UInt8 = 20
        static let archiveClass: UInt8 = 21
        static let archiveData: UInt8 = 22
        static let classes: UInt8 = 23
        static let className: UInt8 = 24
        static let fileName: UInt8 = 25
        static let objectName: UInt8 = 26
        static let dataName: UInt8 = 27
        static let mutableDataName: UInt8 = 28
        static let owner: UInt8 = 29
        static let versionNumber: UInt8 = 30
        static let rootUID: UInt8 = 31
        static let root: UInt8 = 32
        static let fileClassNames: UInt8 = 33
        static let fileClass: UInt8 = 34
        static let dataClassNames: UInt8 = 35
        static let mutableDataClass: UInt8 = 36
    }

    private static let constants: ArchiveWriter = {
        var writer = ArchiveWriter()
        for text in [
            "$archiver", "NSKeyedArchiver", "$objects", "$top", "$version", "root", "$null",
            "Birth", "Flags", "GroupID", "InodeNumber", "LastModified", "LastStatusChange", "Mode",
            "ProtectionClass", "RelativePath", "Size", "UserID", "Digest", "Target",
            "EncryptionKey", "$class", "NS.data", "$classes", "$classname", "MBFile", "NSObject",
            "NSData", "NSMutableData",
        ] {
            _ = writer.add(text: text)
        }
        _ = writer.add(integer: 501)
        _ = writer.add(integer: 100_000)
        _ = writer.add(uid: 1)
        _ = writer.add(dictionary: [(Constant.rootKey, Constant.rootUID)])
        _ = writer.add(array: [Constant.fileName, Constant.objectName])
        _ = writer.add(dictionary: [
            (Constant.classes, Constant.fileClassNames), (Constant.className, Constant.fileName),
        ])
        _ = writer.add(array: [Constant.mutableDataName, Constant.dataName, Constant.objectName])
        _ = writer.add(dictionary: [
            (Constant.classes, Constant.dataClassNames),
            (Constant.className, Constant.mutableDataName),
        ])
        return writer
    }()
}
