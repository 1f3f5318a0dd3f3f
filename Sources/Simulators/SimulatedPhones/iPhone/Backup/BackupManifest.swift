/// Manifest.db under construction, as a file of its own.
final class ManifestWriter {
    private let database: SQLiteDatabase
    private let insert: SQLiteStatement
    /// Where the file is.
    let path: String

    /// Starts a manifest at a path where nothing is. Throws what SQLite says.
    init(path: String) throws(SQLiteProblem) {
        self.path = path
        database = try SQLiteDatabase(path: path)
        // The file is made anew when anything fails, so nothing needs a journal; the cache holds
        // the index of a million rows, whose keys come in no order.
        try database.execute(
            """
            PRAGMA page_size = 4096; PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF;
            PRAGMA cache_size = -65536;
            CREATE TABLE Files (fileID TEXT PRIMARY KEY, domain TEXT, relativePath TEXT,
                flags INTEGER, file BLOB);
            CREATE TABLE Properties (key TEXT PRIMARY KEY, value BLOB);
            BEGIN
            """)
        insert = try database.prepare("INSERT OR REPLACE INTO Files VALUES (?, ?, ?, ?, ?)")
    }

    /// Adds a row.
    func add(_ item: PhoneItem, id: String, record: [UInt8]) throws(SQLiteProblem) {
        try insert.run([
            .text(id), .text(item.domain), .text(item.path), .integer(item.kind.rawValue),
            .blob(record),
        ])
    }

    /// Files of a previous manifest that this one lacks: their contents are to be removed.
    func missing(from previous: String) throws(SQLiteProblem) -> [String] {
        try database.execute("COMMIT")
        try database.run("ATTACH ? AS previous", [.text(previous)])
        let rows = try database.prepare(
            "SELECT fileID FROM previous.Files WHERE flags = 1 AND fileID NOT IN"
                + " (SELECT fileID FROM main.Files)")
        try rows.bind([])
        var missing: [String] = []
        while try rows.next() { missing.append(rows.text(0)) }
        try database.execute("BEGIN")
        return missing
    }

    /// Ends the file: indexes and properties.
    func finish() throws(SQLiteProblem) {
        try database.run(
            "INSERT INTO Properties VALUES ('salt', ?)", [.blob(randomKeyBytes(32))])
        try database.execute(
            """
            CREATE INDEX FilesDomainIdx ON Files(domain);
            CREATE INDEX FilesRelativePathIdx ON Files(relativePath);
            CREATE INDEX FilesFlagsIdx ON Files(flags);
            COMMIT
            """)
    }
}

/// A Manifest.db that the host gave back.
final class ManifestReader {
    private let database: SQLiteDatabase
    private let lookup: SQLiteStatement
    /// Where the file is.
    let path: String

    /// One row.
    struct Row {
        var id: String
        var domain: String
        var path: String
        var kind: PhoneItem.Kind
        var record: [UInt8]
    }

    /// Opens the file; throws when it is no manifest.
    init(path: String) throws(SQLiteProblem) {
        self.path = path
        database = try SQLiteDatabase(path: path, isReadOnly: true)
        lookup = try database.prepare("SELECT file FROM Files WHERE fileID = ?")
        try lookup.bind([.text("")])
        _ = try lookup.next()
    }

    /// The record of a file, as stored.
    func record(of id: String) throws(SQLiteProblem) -> [UInt8]? {
        try lookup.bind([.text(id)])
        return try lookup.next() ? lookup.blob(0) : nil
    }

    /// Gives all rows in the order of domain and path.
    func forEachRow(_ body: (Row) throws -> Void) throws {
        let rows = try database.prepare(
            "SELECT fileID, domain, relativePath, flags, file FROM Files"
                + " ORDER BY domain, relativePath")
        try rows.bind([])
        while try rows.next() {
            guard let kind = PhoneItem.Kind(rawValue: rows.integer(3)) else { continue }
            try body(
                Row(
                    id: rows.text(0), domain: rows.text(1), path: rows.text(2), kind: kind,
                    record: rows.blob(4)))
        }
    }
}
