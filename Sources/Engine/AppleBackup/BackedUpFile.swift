internal import ApplePhone
package import BackupCore

/// One entry of an iPhone's backup as the phone knows it, from a row of Manifest.db.
package struct BackedUpFile: Sendable {
    /// `HomeDomain`, then the path in it.
    package let path: EntryPath
    package let isFolder: Bool
    package let byteCount: UInt64
    package let modified: Timestamp
    /// Where its content lies in the backup's folder; nil for a folder.
    let stored: EntryPath?
    /// The class and the wrapped key, for an encrypted one.
    let key: [UInt8]?

    /// Reads a row; nil for what is neither file nor folder, or has a name that cannot be made.
    /// `record` is the keyed archive of an `MBFile`.
    init?(id: String, domain: String, path: String, flags: Int64, record: [UInt8]) {
        let names = ([domain] + path.split(separator: "/").map(String.init)).map { EntryName($0) }
        let digits = Array(id.utf8)
        guard names.allSatisfy(\.isTreeName), flags == 1 || flags == 2, digits.count == 40,
            digits.allSatisfy({ (0x30...0x39).contains($0) || (0x61...0x66).contains($0) })
        else { return nil }
        self.path = EntryPath(names)
        isFolder = flags == 2
        stored =
            isFolder
            ? nil
            : EntryPath([EntryName(bytes: digits.prefix(2)), EntryName(bytes: digits)])
        let archive = Archive(record)
        byteCount = archive?["Size"]?.unsignedNumber ?? 0
        modified = Timestamp(seconds: archive?["LastModified"]?.number ?? 0)
        let key = archive?["EncryptionKey"]
        self.key = key?.bytes ?? key?["NS.data"]?.bytes
    }

    /// The entry as a list of files shows it.
    package var node: TreeNode {
        isFolder
            ? .directory(path.last ?? "", modified: modified, subtree: nil)
            : TreeNode(
                name: path.last ?? "", kind: .file, modified: modified, mode: nil,
                byteCount: byteCount, content: [], subtree: nil)
    }

    /// The fields of a keyed archive's root object.
    private struct Archive {
        private static let limits = PropertyList.Limits(
            bytes: 256 << 10, depth: 16, elements: 4096, text: 64 << 10)
        private let objects: [PropertyList]
        private let root: PropertyList

        init?(_ bytes: [UInt8]) {
            // What is no archive tells nothing; the row is listed without size and date.
            guard let list = try? PropertyList.decode(bytes, limits: Self.limits),
                let objects = list["$objects"]?.items,
                let root = Self.object(list["$top"]?["root"], objects)
            else { return nil }
            self.objects = objects
            self.root = root
        }

        /// A field's value, a reference being followed once.
        subscript(key: String) -> PropertyList? {
            root[key].flatMap { Self.object($0, objects) }
        }

        private static func object(
            _ value: PropertyList?, _ objects: [PropertyList]
        ) -> PropertyList? {
            guard case .uid(let number)? = value else { return value }
            return number < UInt64(objects.count) ? objects[Int(number)] : nil
        }
    }
}
