package import BackupCore
package import ControlAPI
import Glibc
import GRDB

/// What is known of snapshots, copies, runs and drives, in SQLite beside the keys.
///
/// It is a cache: every row can be had back from the drives (snapshots and journal), so a catalog
/// that is missing, garbled or of another version is made anew and never an error. Numbers of
/// SQLite are signed; counts here stay below 2^63.
package struct Catalog: Sendable {
    /// The number of the tables' shape; another one in a file means it is made anew.
    private static let shape = 2
    /// The number of tables that were made and not filled yet.
    private static let unfilled = -1

    private let database: DatabaseQueue
    /// Whether it was made anew and was not filled from the drives yet; this outlives the process
    /// that made it, which may not have looked at a drive.
    package private(set) var isNew = false

    private init(database: DatabaseQueue) { self.database = database }

    /// Opens the catalog at `path`, or makes it anew when it cannot be used as it is. When even
    /// that fails (a full or read-only disk) it lives in memory for this run.
    package static func open(path: String) -> Catalog? {
        if let catalog = try? attempt(path) { return catalog }  // else it is garbled: made anew
        for suffix in ["", "-wal", "-shm", "-journal"] {
            // A file that cannot be removed makes the next attempt fail, which is handled.
            try? StateFiles.remove(path + suffix)
        }
        if let catalog = try? attempt(path) { return catalog }  // else see above: in memory
        guard let database = try? DatabaseQueue() else { return nil }
        var catalog = Catalog(database: database)
        try? catalog.makeTables()  // a cache that cannot be made is only slower
        return catalog
    }

    private static func attempt(_ path: String) throws -> Catalog {
        var configuration = GRDB.Configuration()
        configuration.busyMode = .timeout(10)
        try makePrivate(path)
        var catalog = Catalog(
            database: try DatabaseQueue(path: path, configuration: configuration))
        try catalog.makeTables()
        return catalog
    }

    /// Makes the file for its owner only, before anything is in it; names of phones will be.
    private static func makePrivate(_ path: String) throws(ApplianceError) {
        if !StateFiles.exists(path) { try StateFiles.write([], to: path) }
        // Sound: the path is lent NUL-terminated for the call. A file of another user, which
        // cannot be changed, cannot be written either.
        _ = unsafe chmod(path, 0o600)
    }

    private mutating func makeTables() throws {
        isNew = try database.write { database in
            let found = try Int.fetchOne(database, sql: "PRAGMA user_version") ?? 0
            let check = try String.fetchOne(database, sql: "PRAGMA quick_check(1)")
            guard check == "ok" else { throw DatabaseError(resultCode: .SQLITE_CORRUPT) }
            if found == Self.shape { return false }
            if found == Self.unfilled { return true }
            for table in [
                "snapshots", "copies", "runs", "verified", "phones", "files", "scrubs",
            ] {
                try database.execute(sql: "DROP TABLE IF EXISTS \(table)")
            }
            try database.execute(sql: Self.tables + Self.fileStatesTable)
            try database.execute(sql: "PRAGMA user_version = \(Self.unfilled)")
            return true
        }
    }

    /// Notes that what the drives tell was put in.
    package func markFilled() {
        write { try $0.execute(sql: "PRAGMA user_version = \(Self.shape)") }
    }

    private static let tables = """
        CREATE TABLE snapshots (
            id TEXT PRIMARY KEY, complete INTEGER NOT NULL, files INTEGER NOT NULL,
            bytes INTEGER NOT NULL) STRICT;
        CREATE TABLE copies (
            snapshot TEXT NOT NULL, drive TEXT NOT NULL, state TEXT NOT NULL,
            PRIMARY KEY (snapshot, drive)) STRICT;
        CREATE TABLE runs (
            id TEXT PRIMARY KEY, kind TEXT NOT NULL, owner TEXT, phone TEXT,
            started TEXT NOT NULL, seconds REAL NOT NULL, exit_code INTEGER NOT NULL) STRICT;
        CREATE TABLE phones (
            id TEXT PRIMARY KEY, name TEXT NOT NULL, model TEXT NOT NULL,
            os_version TEXT NOT NULL) STRICT;
        """

    /// What is known of one snapshot beyond its own file.
    package struct SnapshotFacts: Hashable, Sendable {
        package var isComplete: Bool
        /// The phone's files and their bytes.
        package var files: Int
        package var bytes: UInt64

        /// Facts with every field given.
        package init(isComplete: Bool, files: Int, bytes: UInt64) {
            self.isComplete = isComplete
            self.files = files
            self.bytes = bytes
        }
    }

    /// One run, as the journal and `status` tell it.
    package struct RunFacts: Hashable, Sendable {
        package var id: RunID
        /// `backup`, `restore`, `check`, `heal` or `scrub`.
        package var kind: String
        package var owner: OwnerID?
        package var phone: PhoneID?
        package var started: Timestamp
        package var seconds: Double
        package var exitCode: ExitCode

        /// A run with every field given.
        package init(
            id: RunID, kind: String, owner: OwnerID?, phone: PhoneID?, started: Timestamp,
            seconds: Double, exitCode: ExitCode
        ) {
            self.id = id
            self.kind = kind
            self.owner = owner
            self.phone = phone
            self.started = started
            self.seconds = seconds
            self.exitCode = exitCode
        }
    }

    /// The facts of `id`, nil when not known.
    package func facts(of id: ContentID) -> SnapshotFacts? {
        read { database in
            try Row.fetchOne(
                database, sql: "SELECT complete, files, bytes FROM snapshots WHERE id = ?",
                arguments: [id.hex]
            ).flatMap { row -> SnapshotFacts? in
                guard let complete = row["complete"] as Bool?, let files = row["files"] as Int?,
                    let bytes = row["bytes"] as Int64?, bytes >= 0
                else { return nil }
                return SnapshotFacts(isComplete: complete, files: files, bytes: UInt64(bytes))
            }
        } ?? nil
    }

    /// Remembers the facts of a snapshot.
    package func remember(_ facts: SnapshotFacts, of id: ContentID) {
        write { database in
            try database.execute(
                sql: "INSERT OR REPLACE INTO snapshots VALUES (?, ?, ?, ?)",
                arguments: [
                    id.hex, facts.isComplete, facts.files, Int64(clamping: facts.bytes),
                ])
        }
    }

    /// The copies of a snapshot as last seen.
    package func copies(of id: ContentID) -> [CopyDocument] {
        read { database in
            try Row.fetchAll(
                database, sql: "SELECT drive, state FROM copies WHERE snapshot = ? ORDER BY drive",
                arguments: [id.hex]
            ).compactMap { row in
                (row["drive"] as String?).flatMap(DriveID.init(rawValue:)).map {
                    CopyDocument(drive: $0, state: row["state"] ?? "behind")
                }
            }
        } ?? []
    }

    /// Remembers how far copies of a snapshot have come.
    package func remember(_ copies: [CopyDocument], of id: ContentID) {
        write { database in
            for copy in copies {
                try database.execute(
                    sql: "INSERT OR REPLACE INTO copies VALUES (?, ?, ?)",
                    arguments: [id.hex, copy.drive.rawValue, copy.state])
            }
        }
    }

    /// A phone's own words, as its newest snapshot has them.
    package func phoneNames(_ phone: PhoneID) -> (name: String, model: String, os: String)? {
        read { database in
            try Row.fetchOne(
                database, sql: "SELECT name, model, os_version FROM phones WHERE id = ?",
                arguments: [phone.rawValue]
            ).map { ($0["name"] ?? "", $0["model"] ?? "", $0["os_version"] ?? "") }
        } ?? nil
    }

    /// Remembers a phone's own words.
    package func remember(name: String, model: String, os: String, of phone: PhoneID) {
        write { database in
            try database.execute(
                sql: "INSERT OR REPLACE INTO phones VALUES (?, ?, ?, ?)",
                arguments: [phone.rawValue, name, model, os])
        }
    }

    /// Remembers a run.
    package func remember(_ run: RunFacts) {
        write { database in
            try database.execute(
                sql: "INSERT OR REPLACE INTO runs VALUES (?, ?, ?, ?, ?, ?, ?)",
                arguments: [
                    run.id.rawValue, run.kind, run.owner?.rawValue, run.phone?.rawValue,
                    RFC3339.text(run.started), run.seconds, run.exitCode.rawValue,
                ])
        }
    }

    /// The last `limit` runs, newest first; of one phone when it is given.
    package func runs(limit: Int, of phone: PhoneID? = nil) -> [RunFacts] {
        read { database in
            try Row.fetchAll(
                database,
                sql: "SELECT * FROM runs WHERE ?1 IS NULL OR phone = ?1 "
                    + "ORDER BY started DESC, id DESC LIMIT ?2",
                arguments: [phone?.rawValue, limit]
            ).compactMap { row -> RunFacts? in
                guard let id = (row["id"] as String?).flatMap(RunID.init(rawValue:)),
                    let kind = row["kind"] as String?,
                    let started = (row["started"] as String?).flatMap(RFC3339.time),
                    let code = (row["exit_code"] as Int32?).flatMap(ExitCode.init(rawValue:))
                else { return nil }
                return RunFacts(
                    id: id, kind: kind,
                    owner: (row["owner"] as String?).flatMap(OwnerID.init(rawValue:)),
                    phone: (row["phone"] as String?).flatMap(PhoneID.init(rawValue:)),
                    started: started, seconds: row["seconds"] ?? 0, exitCode: code)
            }
        } ?? []
    }

    /// Forgets what is known of an owner: counts, copies, names. Runs stay, which are ids and
    /// numbers. What was in the file is overwritten.
    func forget(_ owner: OwnerID, phones: [PhoneID], snapshots: [ContentID]) {
        write { database in
            try database.execute(sql: "PRAGMA secure_delete = ON")
            try database.execute(
                sql: "DELETE FROM files WHERE owner = ?", arguments: [owner.rawValue])
            for phone in phones {
                try database.execute(
                    sql: "DELETE FROM phones WHERE id = ?", arguments: [phone.rawValue])
            }
            for snapshot in snapshots {
                for (table, column) in [("snapshots", "id"), ("copies", "snapshot")] {
                    try database.execute(
                        sql: "DELETE FROM \(table) WHERE \(column) = ?",
                        arguments: [snapshot.hex])
                }
            }
        }
    }

    /// What `body` reads; nil when it cannot be had.
    func read<Value>(_ body: (Database) throws -> Value) -> Value? {
        try? database.read(body)  // a cache that fails is a cache that knows nothing
    }

    /// Writes all of `body` or nothing.
    func write(_ body: (Database) throws -> Void) {
        try? database.write(body)  // as above; the drives hold the truth
    }
}
