import BackupCore

/// What must be true of a backup's files besides the phone's word that it succeeded.
enum BackupProof {
    private static let listLimit = 64 << 20
    private static let lists = PropertyList.Limits(
        bytes: listLimit, depth: 32, elements: 2_000_000, text: 1 << 20)

    /// Why the backup is not one that can be restored; nil when all is there.
    ///
    /// A manifest that is not encrypted is looked at as far as SQLite's own first page tells: that
    /// it is a database, and of the length that it says. The rest is the phone's to know: it checks
    /// the manifest against its own digest at the next backup.
    static func fault(of udid: String, in tree: any CaptureTree) throws(DeviceError) -> String? {
        guard let status = try list("Status.plist", udid, tree) else {
            return "it left no readable state (Status.plist)"
        }
        let state = status["SnapshotState"]?.text ?? "unknown"
        guard state == "finished" else {
            return "its state is \"\(HostileText.escaped(state, limit: 40))\""
        }
        guard let manifest = try list("Manifest.plist", udid, tree) else {
            return "it left no readable list of itself (Manifest.plist)"
        }
        let database = try PhonePath.file("Manifest.db", of: udid)
        let entry = try tree.demanding { tree throws(CaptureTreeError) in
            try tree.stat(database)
        }
        guard let entry, !entry.isFolder, entry.byteCount > 0 else {
            return "it left no list of its files (Manifest.db)"
        }
        if manifest["IsEncrypted"]?.flag == true { return nil }
        guard let head = try head(of: database, tree), isDatabase(head, entry.byteCount) else {
            return "its list of files (Manifest.db) is damaged"
        }
        return nil
    }

    /// A backup's property list; nil when it is missing or none.
    static func list(
        _ name: EntryName, _ udid: String, _ tree: any CaptureTree
    ) throws(DeviceError) -> PropertyList? {
        let path = try PhonePath.file(name, of: udid)
        guard let bytes = try tree.content(of: path, limit: listLimit) else { return nil }
        // A damaged list is the answer that was asked for.
        return try? PropertyList.decode(bytes, limits: lists)
    }

    private static func head(
        of path: EntryPath, _ tree: any CaptureTree
    ) throws(DeviceError) -> [UInt8]? {
        var head: [UInt8] = []
        let status = try tree.trying { tree throws(CaptureTreeError) in
            try tree.read(path) { piece throws(CaptureTreeError) in
                head += piece.prefix(100)
                return head.count < 100
            }
        }
        return status == .done ? head : nil
    }

    /// Source: "The Database Header" of SQLite's file format. The number of pages counts only when
    /// the two change counters agree, else an older writer left it behind.
    private static func isDatabase(_ head: [UInt8], _ byteCount: UInt64) -> Bool {
        guard head.count >= 100, head.starts(with: Array("SQLite format 3\0".utf8)) else {
            return false
        }
        func number(_ range: Range<Int>) -> UInt64 {
            head[range].reduce(0) { $0 << 8 | UInt64($1) }
        }
        let stored = number(16..<18)
        let page = stored == 1 ? 65_536 : stored
        guard page >= 512, page.nonzeroBitCount == 1 else { return false }
        let pages = number(28..<32)
        guard pages > 0, number(24..<28) == number(92..<96) else {
            return byteCount % page == 0
        }
        return byteCount == pages * page
    }
}
