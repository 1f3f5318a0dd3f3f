package import BackupCore
package import Drives
import Foundation
import GRDB

/// What is known of every file on every drive: when it was last read back from the medium and
/// found good, and what was found wrong with it and not repaired since.
///
/// A snapshot's copy is verified when its own file and every pack and index that lay on the drive
/// no later than it did were. Which lay there when is told by numbers of looks, not by clocks: all
/// files that one look finds new have its number.
extension Catalog {
    static let fileStatesTable = """
        CREATE TABLE files (
            drive TEXT NOT NULL, owner TEXT NOT NULL, kind TEXT NOT NULL, id BLOB NOT NULL,
            look INTEGER NOT NULL, noted INTEGER NOT NULL, verified INTEGER, problem TEXT,
            PRIMARY KEY (drive, owner, kind, id)) STRICT, WITHOUT ROWID;
        CREATE TABLE scrubs (drive TEXT PRIMARY KEY, time INTEGER NOT NULL) STRICT;
        """

    /// One owner's repository on one drive.
    package struct Copy: Hashable, Sendable {
        package let drive: DriveID
        package let owner: OwnerID

        /// The copy of `owner` on `drive`.
        package init(_ drive: DriveID, _ owner: OwnerID) {
            self.drive = drive
            self.owner = owner
        }

        fileprivate var arguments: StatementArguments { [drive.rawValue, owner.rawValue] }
    }

    /// What is known of a copy as a whole.
    package struct CopyStanding: Hashable, Sendable {
        package var fileCount = 0
        /// Files that were never read back.
        package var unverifiedCount = 0
        /// When the oldest of those was first seen.
        package var oldestUnverified: Timestamp?
        /// Of the files that were read back, when the one was that was longest ago.
        package var oldestVerified: Timestamp?
        /// Files with known damage.
        package var damagedCount = 0
    }

    /// Notes the files that a look found on a drive; ones that were not known before are new and
    /// not verified. With `isWhole` the look was at everything under a lock: what it did not find
    /// and `problems` does not name was removed on purpose. Snapshots may rest on what replaced
    /// it, so they need everything that is there now.
    package func note(
        _ found: Set<FileName>, on copy: Copy, at time: Timestamp,
        problems: [FileName: CopyFinding.Problem] = [:], isWhole: Bool = false
    ) {
        write { database in
            let known = try Set(Self.files(of: copy, in: database))
            let look = try Self.nextLook(copy, in: database)
            let insert = try database.makeStatement(
                sql: "INSERT OR IGNORE INTO files VALUES (?, ?, ?, ?, ?, ?, NULL, NULL)")
            for file in found.union(problems.keys).subtracting(known) {
                try insert.execute(
                    arguments: copy.arguments + Self.key(file) + [look, time.seconds])
            }
            let gone = known.subtracting(found).subtracting(problems.keys)
            guard !gone.isEmpty else { return }
            let sql =
                isWhole
                ? "DELETE FROM files" : "UPDATE files SET verified = NULL"
            let statement = try database.makeStatement(
                sql: sql + " WHERE drive = ? AND owner = ? AND kind = ? AND id = ?")
            for file in gone {
                try statement.execute(arguments: copy.arguments + Self.key(file))
            }
            guard isWhole, gone.contains(where: { $0.kind != .snapshot }) else { return }
            try database.execute(
                sql: "UPDATE files SET look = ? WHERE drive = ? AND owner = ? AND kind = ?",
                arguments: [look] + copy.arguments + [FileKind.snapshot.rawValue])
        }
    }

    /// Remembers what a reading back found, all at once: good files are verified and free of
    /// damage, and files with a problem are not verified any more.
    package func remember(
        good: some Collection<FileName>, problems: [FileName: CopyFinding.Problem], on copy: Copy,
        at time: Timestamp
    ) {
        guard !good.isEmpty || !problems.isEmpty else { return }
        write { database in
            let place = " WHERE drive = ? AND owner = ? AND kind = ? AND id = ?"
            let verify = try database.makeStatement(
                sql: "UPDATE files SET verified = ?, problem = NULL" + place)
            for file in good {
                try verify.execute(
                    arguments: [time.seconds] + copy.arguments + Self.key(file))
            }
            let spoil = try database.makeStatement(
                sql: "UPDATE files SET verified = NULL, problem = ?" + place)
            for (file, problem) in problems {
                try spoil.execute(
                    arguments: [problem.rawValue] + copy.arguments + Self.key(file))
            }
        }
    }

    /// Forgets problems that show without reading (a missing file, a wrong size) and that the look
    /// just made did not find again.
    package func forgetProblems(
        except still: Set<FileName>, of kinds: Set<CopyFinding.Problem>, on copy: Copy
    ) {
        write { database in
            for (file, problem) in try Self.problems(on: copy, in: database)
            where kinds.contains(problem) && !still.contains(file) {
                try database.execute(
                    sql: "UPDATE files SET problem = NULL "
                        + "WHERE drive = ? AND owner = ? AND kind = ? AND id = ?",
                    arguments: copy.arguments + Self.key(file))
            }
        }
    }

    /// Files with known damage on a copy.
    package func problems(on copy: Copy) -> [FileName: CopyFinding.Problem] {
        read { try Self.problems(on: copy, in: $0) } ?? [:]
    }

    /// The files of a copy that are known: those with known damage first, then those never read
    /// back (the newest of them first), then those read back longest ago; with when that was.
    package func filesByNeed(
        on copy: Copy
    ) -> [(file: FileName, verified: Timestamp?)] {
        read { database in
            try Row.fetchAll(
                database,
                sql: """
                    SELECT kind, id, verified FROM files WHERE drive = ? AND owner = ?
                    ORDER BY problem IS NULL, verified IS NOT NULL, verified, look DESC, kind, id
                    """, arguments: copy.arguments
            ).compactMap { row in
                Self.file(row).map { ($0, Self.time(row["verified"])) }
            }
        } ?? []
    }

    /// What is known of a copy as a whole; nil when nothing is.
    package func standing(of copy: Copy) -> CopyStanding? {
        let found: CopyStanding?? = read { database in
            try Row.fetchOne(
                database,
                sql: """
                    SELECT COUNT(*) AS files, SUM(verified IS NULL) AS unverified,
                        MIN(CASE WHEN verified IS NULL THEN noted END) AS waiting,
                        MIN(verified) AS oldest, COUNT(problem) AS damaged
                    FROM files WHERE drive = ? AND owner = ?
                    """, arguments: copy.arguments
            ).map { row in
                CopyStanding(
                    fileCount: row["files"] ?? 0, unverifiedCount: row["unverified"] ?? 0,
                    oldestUnverified: Self.time(row["waiting"]),
                    oldestVerified: Self.time(row["oldest"]),
                    damagedCount: row["damaged"] ?? 0)
            }
        }
        guard let standing = found ?? nil, standing.fileCount > 0 else { return nil }
        return standing
    }

    /// The snapshots of a copy whose own file, and everything that lay there no later, was read
    /// back and found good.
    package func verifiedSnapshots(on copy: Copy) -> Set<ContentID> {
        read { database in
            // The first look that left a pack or index not verified; before it all are.
            let first = try Int64.fetchOne(
                database,
                sql: """
                    SELECT MIN(look) FROM files
                    WHERE drive = ? AND owner = ? AND kind IN ('data', 'index')
                        AND verified IS NULL
                    """, arguments: copy.arguments)
            return try Set(
                Row.fetchAll(
                    database,
                    sql: """
                        SELECT kind, id FROM files
                        WHERE drive = ? AND owner = ? AND kind = 'snapshots'
                            AND verified IS NOT NULL AND look < ?
                        """, arguments: copy.arguments + [first ?? .max]
                ).compactMap { Self.file($0)?.id })
        } ?? []
    }

    /// When a drive was last scrubbed, as far as was due then.
    package func lastScrub(of drive: DriveID) -> Timestamp? {
        read { database in
            try Int64.fetchOne(
                database, sql: "SELECT time FROM scrubs WHERE drive = ?",
                arguments: [drive.rawValue])
        }?.flatMap(Self.time)
    }

    /// Remembers that a drive was scrubbed as far as was due.
    package func remember(scrubbed time: Timestamp, of drive: DriveID) {
        write { database in
            try database.execute(
                sql: "INSERT OR REPLACE INTO scrubs VALUES (?, ?)",
                arguments: [drive.rawValue, time.seconds])
        }
    }

    // MARK: Rows

    private static func time(_ seconds: Int64?) -> Timestamp? {
        seconds.map { Timestamp(seconds: $0) }
    }

    private static func nextLook(_ copy: Copy, in database: Database) throws -> Int64 {
        let last = try Int64.fetchOne(
            database, sql: "SELECT MAX(look) FROM files WHERE drive = ? AND owner = ?",
            arguments: copy.arguments)
        return (last ?? 0) + 1
    }

    private static func files(of copy: Copy, in database: Database) throws -> [FileName] {
        try Row.fetchAll(
            database, sql: "SELECT kind, id FROM files WHERE drive = ? AND owner = ?",
            arguments: copy.arguments
        ).compactMap(file)
    }

    private static func problems(
        on copy: Copy, in database: Database
    ) throws -> [FileName: CopyFinding.Problem] {
        var found: [FileName: CopyFinding.Problem] = [:]
        let rows = try Row.fetchAll(
            database,
            sql: """
                SELECT kind, id, problem FROM files
                WHERE drive = ? AND owner = ? AND problem IS NOT NULL
                """, arguments: copy.arguments)
        for row in rows {
            guard let file = file(row) else { continue }
            // A word of another version is damage all the same.
            found[file] =
                (row["problem"] as String?).flatMap(CopyFinding.Problem.init(rawValue:))
                ?? .unreadable
        }
        return found
    }

    private static func file(_ row: Row) -> FileName? {
        guard let kind = (row["kind"] as String?).flatMap(FileKind.init(rawValue:)),
            let id = (row["id"] as Data?).flatMap({ ContentID(bytes: $0) })
        else { return nil }
        return FileName(kind, id)
    }

    private static func key(_ file: FileName) -> StatementArguments {
        [file.kind.rawValue, Data(file.id.bytes)]
    }
}
