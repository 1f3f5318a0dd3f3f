package import BackupCore
internal import BackupEngine
internal import Foundation
internal import GRDB
internal import Glibc
internal import ResticFormat

/// What an iPhone's backup holds, by domain and path: its Manifest.db, decrypted when it must be.
///
/// The database is the phone's and hostile: it is opened for reading only, nothing in its schema
/// is trusted, and every name is checked before it becomes a path.
package struct BackupContents: Sendable {
    private let database: DatabaseQueue
    private let backup: StoredBackup
    private let classKeys: [UInt32: [UInt8]]?

    /// Copies the database out of the repository to read it. `file` is a path for the copy, which
    /// is gone again as soon as it is open. A backup that is encrypted needs its password:
    /// `wrongPassword` without. `notFound` when the list cannot be read.
    package static func open(
        _ backup: StoredBackup, password: String?, copy file: String
    ) async throws(RepositoryError) -> BackupContents {
        var classKeys: [UInt32: [UInt8]]?
        var databaseKey: [UInt8]?
        if backup.isEncrypted {
            guard let password, let keys = await backup.classKeys(password) else {
                throw RepositoryError(.wrongPassword, "The backup's password is not known here")
            }
            classKeys = keys
            databaseKey = backup.manifestKey.flatMap { BackupKeybag.fileKey($0, keys) }
            guard databaseKey != nil else { throw Self.unreadable }
        }
        // Sound: the path is lent NUL-terminated for the call.
        defer { _ = unsafe unlink(file) }
        try await copyDatabase(backup, key: databaseKey, to: file)
        do {
            var configuration = GRDB.Configuration()
            configuration.readonly = true
            configuration.prepareDatabase { database in
                try database.execute(sql: "PRAGMA trusted_schema = OFF")
                try database.execute(sql: "PRAGMA cell_size_check = ON")
            }
            let database = try DatabaseQueue(path: file, configuration: configuration)
            guard try await database.read(hasRows) else { throw Self.unreadable }
            return BackupContents(database: database, backup: backup, classKeys: classKeys)
        } catch {
            throw Self.unreadable
        }
    }

    fileprivate static var unreadable: RepositoryError {
        RepositoryError(.notFound, "The list of files in this backup cannot be read")
    }

    /// Whether Files is a table whose rows can be had by their numbers. A column of that name would
    /// hide the numbers, and make each row a search through all of them.
    private static func hasRows(_ database: Database) throws -> Bool {
        let type = try String.fetchOne(
            database, sql: "SELECT type FROM sqlite_master WHERE name = 'Files'")
        let names = try String.fetchAll(
            database, sql: "SELECT lower(name) FROM pragma_table_info('Files')")
        guard type == "table", !names.contains("_rowid_") else { return false }
        _ = try Int64.fetchOne(database, sql: "SELECT _rowid_ FROM Files LIMIT 1")
        return true
    }

    private static func copyDatabase(
        _ backup: StoredBackup, key: [UInt8]?, to path: String
    ) async throws(RepositoryError) {
        let source = try await Self.source(
            backup.folder.appending("Manifest.db"), backup, key: key, byteCount: nil)
        // Sound: the path is lent NUL-terminated for the call.
        let descriptor = unsafe creat(path, 0o600)
        guard descriptor >= 0 else {
            await source.close()
            throw RepositoryError(.notFound, "A working copy of the list of files cannot be made")
        }
        defer { Glibc.close(descriptor) }
        var isFirst = true
        do throws(RepositoryError) {
            while var piece = try await source.next() {
                // A database left in WAL mode wants a second file when it is opened.
                if isFirst, piece.count >= 20 { piece.replaceSubrange(18..<20, with: [1, 1]) }
                isFirst = false
                try write(piece, to: descriptor)
            }
        } catch {
            await source.close()
            throw error
        }
        await source.close()
    }

    private static func write(_ bytes: [UInt8], to descriptor: Int32) throws(RepositoryError) {
        var written = 0
        while written < bytes.count {
            // Sound: the array lends its bytes for the call; `written` stays below their count.
            let count = unsafe bytes.withUnsafeBytes {
                unsafe Glibc.write(
                    descriptor, $0.baseAddress?.advanced(by: written), $0.count - written)
            }
            if count < 0, errno == EINTR { continue }
            guard count > 0 else {
                throw RepositoryError(
                    .notFound, "A working copy of the list of files cannot be written")
            }
            written += count
        }
    }

    /// A file of the backup's folder, decrypted with `key`; `byteCount` is its plain size, which
    /// leaves the padding out.
    private static func source(
        _ path: EntryPath, _ backup: StoredBackup, key: [UInt8]?, byteCount: UInt64?
    ) async throws(RepositoryError) -> ByteSource<RepositoryError> {
        let builder = TreeSnapshotBuilder(repository: backup.repository, parent: backup.tree)
        let stored = try await builder.read(path)
        guard let key else { return stored }
        let plain = DecryptedPieces(key: key, byteCount: byteCount)
        return ByteSource(
            next: { () async throws(RepositoryError) in
                while let piece = try await stored.next() {
                    let bytes = await plain.decrypt(piece)
                    if !bytes.isEmpty { return bytes }
                }
                return nil
            }, close: { await stored.close() })
    }

    // MARK: Questions

    /// The entries at and beneath `path` (a domain and a path in it; the root is everything), in
    /// the order of their paths. Only their row numbers are held: 8 bytes for each.
    package func entries(beneath path: EntryPath) async throws(RepositoryError) -> Entries {
        let names = path.names.map { String(decoding: $0.bytes, as: UTF8.self) }
        let inner = names.dropFirst().joined(separator: "/")
        do {
            let rows = try await database.read { database in
                var sql = "SELECT _rowid_ FROM Files"
                var arguments: StatementArguments = []
                if let domain = names.first {
                    sql += " WHERE domain = ?"
                    arguments += [domain]
                    if !inner.isEmpty {
                        sql += " AND (relativePath = ? OR substr(relativePath, 1, ?) = ?)"
                        arguments += [inner, inner.unicodeScalars.count + 1, inner + "/"]
                    }
                }
                sql += " ORDER BY domain, relativePath"
                var rows: [Int64] = []
                let cursor = try Row.fetchCursor(database, sql: sql, arguments: arguments)
                while let row = try cursor.next() {
                    // What has no number of its own is no row of a table.
                    if let number = Int64.fromDatabaseValue(row[0]) { rows.append(number) }
                }
                return rows
            }
            return Entries(database: database, rows: rows[...])
        } catch {
            throw Self.unreadable
        }
    }

    /// The entries that were asked for, read a page at a time.
    package struct Entries: Sendable {
        private static let pageLength = 512

        fileprivate let database: DatabaseQueue
        /// Those that are still to come.
        fileprivate var rows: ArraySlice<Int64>

        /// Whether none is left.
        package var isEmpty: Bool { rows.isEmpty }

        /// The next ones, nil when there are no more. Rows that are neither file nor folder, or
        /// have names that cannot be made, are left out: a page may be empty.
        package mutating func next() async throws(RepositoryError) -> [BackedUpFile]? {
            guard !rows.isEmpty else { return nil }
            let page = rows.prefix(Self.pageLength)
            rows = rows.dropFirst(Self.pageLength)
            do {
                return try await database.read { database in
                    let statement = try database.cachedStatement(
                        sql: """
                            SELECT fileID, domain, relativePath, flags, file FROM Files
                            WHERE _rowid_ = ?
                            """)
                    return try page.compactMap { number in
                        try Row.fetchOne(statement, arguments: [number]).flatMap(file)
                    }
                }
            } catch {
                throw unreadable
            }
        }
    }

    fileprivate static func file(_ row: Row) -> BackedUpFile? {
        guard let id = String.fromDatabaseValue(row["fileID"]),
            let domain = String.fromDatabaseValue(row["domain"]),
            let path = String.fromDatabaseValue(row["relativePath"]),
            let flags = Int64.fromDatabaseValue(row["flags"])
        else { return nil }
        let record = Data.fromDatabaseValue(row["file"]).map { [UInt8]($0) } ?? []
        return BackedUpFile(id: id, domain: domain, path: path, flags: flags, record: record)
    }

    /// A file's plain content.
    package func content(
        of file: BackedUpFile
    ) async throws(RepositoryError) -> ByteSource<RepositoryError> {
        guard let stored = file.stored else {
            throw RepositoryError(.notFound, "\(file.path) is a folder")
        }
        // A phone sends no content for an empty file.
        guard file.byteCount > 0 else {
            return ByteSource(next: { () async throws(RepositoryError) in nil })
        }
        var key: [UInt8]?
        if let classKeys {
            key = file.key.flatMap { BackupKeybag.fileKey($0, classKeys) }
            guard key != nil else {
                throw RepositoryError(.damaged, "the key of \(file.path) cannot be had")
            }
        }
        return try await Self.source(
            EntryPath(backup.folder.names + stored.names), backup, key: key,
            byteCount: key == nil ? nil : file.byteCount)
    }
}

/// Decrypts pieces in their order and cuts the padding off.
private actor DecryptedPieces {
    private var cipher: CBCDecryption
    private var left: UInt64?

    init(key: [UInt8], byteCount: UInt64?) {
        cipher = CBCDecryption(key: key)
        left = byteCount
    }

    func decrypt(_ piece: [UInt8]) -> [UInt8] {
        let plain = cipher.decrypt(piece)
        guard let left else { return plain }
        let kept = plain.prefix(Int(min(UInt64(plain.count), left)))
        self.left = left - UInt64(kept.count)
        return Array(kept)
    }
}
