internal import CPhoneSQLite

// The only file of the simulator that knows SQLite. No pointer of its leaves it.

/// What SQLite refused, in its own words.
struct SQLiteProblem: Error, CustomStringConvertible {
    /// SQLite's result code.
    let code: Int32
    let description: String
}

/// A value of a column.
enum SQLiteValue: Sendable, Equatable {
    case null
    case integer(Int64)
    case real(Double)
    case text(String)
    case blob([UInt8])
}

/// One connection to a database, used by one thread at a time.
@safe final class SQLiteDatabase {
    // Owned: opened in init, closed in deinit; the statements keep this object alive.
    private let handle: OpaquePointer

    /// Opens or creates the file at `path`; ":memory:" is a database without a file.
    init(path: String, isReadOnly: Bool = false) throws(SQLiteProblem) {
        var opened: OpaquePointer?
        let flags =
            isReadOnly ? SQLITE_OPEN_READONLY : SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE
        // Sound: SQLite writes one pointer into the local variable and copies the path.
        let code = unsafe sqlite3_open_v2(path, &opened, flags | SQLITE_OPEN_NOMUTEX, nil)
        guard let opened = unsafe opened else {
            throw SQLiteProblem(code: code, description: "out of memory")
        }
        unsafe handle = opened
        guard code == SQLITE_OK else { throw problem(code) }
    }

    deinit {
        // Sound: the statements are gone, as each keeps this object alive.
        unsafe sqlite3_close_v2(handle)
    }

    /// Runs statements that give no rows.
    func execute(_ sql: String) throws(SQLiteProblem) {
        // Sound: SQLite reads the text during the call.
        let code = unsafe sqlite3_exec(handle, sql, nil, nil, nil)
        guard code == SQLITE_OK else { throw problem(code) }
    }

    /// Runs one statement with values for its question marks.
    func run(_ sql: String, _ values: [SQLiteValue]) throws(SQLiteProblem) {
        try prepare(sql).run(values)
    }

    /// A statement that can be run many times.
    func prepare(_ sql: String) throws(SQLiteProblem) -> SQLiteStatement {
        var prepared: OpaquePointer?
        // Sound: SQLite writes one pointer into the local variable and copies the text.
        let code = unsafe sqlite3_prepare_v2(handle, sql, -1, &prepared, nil)
        guard code == SQLITE_OK, let prepared = unsafe prepared else { throw problem(code) }
        return unsafe SQLiteStatement(prepared, of: self)
    }

    /// The bytes of the database as a file would hold them.
    func serialized() -> [UInt8] {
        var count: sqlite3_int64 = 0
        // Sound: SQLite gives `count` bytes of its own memory, which is freed here after the copy.
        guard let bytes = unsafe sqlite3_serialize(handle, "main", &count, 0) else { return [] }
        defer { unsafe sqlite3_free(bytes) }
        return unsafe Array(UnsafeBufferPointer(start: bytes, count: Int(count)))
    }

    fileprivate func problem(_ code: Int32) -> SQLiteProblem {
        // Sound: the text is copied before the next call on this connection.
        let text = unsafe sqlite3_errmsg(handle).map { unsafe String(cString: $0) }
        return SQLiteProblem(code: code, description: text ?? "unknown")
    }
}

/// A prepared statement; used by the thread of its connection.
@safe final class SQLiteStatement {
    // Owned: made by `prepare`, finalized in deinit.
    private let handle: OpaquePointer
    private let database: SQLiteDatabase

    fileprivate init(_ handle: OpaquePointer, of database: SQLiteDatabase) {
        unsafe self.handle = handle
        self.database = database
    }

    deinit {
        // Sound: nobody else has the statement.
        unsafe sqlite3_finalize(handle)
    }

    /// Starts anew with these values; `next` gives the rows.
    func bind(_ values: [SQLiteValue]) throws(SQLiteProblem) {
        // Sound: the statement is owned; SQLite copies text and blobs before it returns.
        unsafe sqlite3_reset(handle)
        for (place, value) in values.enumerated() {
            let index = Int32(place + 1)
            let code: Int32
            switch value {
            case .null: code = unsafe sqlite3_bind_null(handle, index)
            case .integer(let number): code = unsafe sqlite3_bind_int64(handle, index, number)
            case .real(let number): code = unsafe sqlite3_bind_double(handle, index, number)
            case .text(let text):
                code = unsafe phone_sqlite_bind_text(handle, index, text, Int32(text.utf8.count))
            case .blob(let bytes):
                code = unsafe phone_sqlite_bind_blob(handle, index, bytes, Int32(bytes.count))
            }
            guard code == SQLITE_OK else { throw database.problem(code) }
        }
    }

    /// Whether there is another row.
    func next() throws(SQLiteProblem) -> Bool {
        // Sound: the statement is owned.
        let code = unsafe sqlite3_step(handle)
        guard code == SQLITE_ROW || code == SQLITE_DONE else { throw database.problem(code) }
        return code == SQLITE_ROW
    }

    /// Runs to the end.
    func run(_ values: [SQLiteValue]) throws(SQLiteProblem) {
        try bind(values)
        while try next() {}
    }

    /// Integer of a column of the row, 0 when it is none.
    func integer(_ column: Int) -> Int64 {
        unsafe sqlite3_column_int64(handle, Int32(column))
    }

    /// Text of a column of the row, empty when it is none.
    func text(_ column: Int) -> String {
        // Sound: the text lives until the next step and is copied here.
        unsafe sqlite3_column_text(handle, Int32(column)).map { unsafe String(cString: $0) } ?? ""
    }

    /// Bytes of a column of the row.
    func blob(_ column: Int) -> [UInt8] {
        let count = Int(unsafe sqlite3_column_bytes(handle, Int32(column)))
        // Sound: SQLite's memory has `count` bytes until the next step and is copied here.
        guard let bytes = unsafe sqlite3_column_blob(handle, Int32(column)) else { return [] }
        return unsafe Array(UnsafeRawBufferPointer(start: bytes, count: count))
    }
}
