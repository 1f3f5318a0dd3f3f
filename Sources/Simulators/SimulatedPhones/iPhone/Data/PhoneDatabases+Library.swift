// Calendar, notes, photos, health and the browser.

extension PhoneDatabases {
    /// Calendar.sqlitedb.
    func calendar() throws -> [UInt8] {
        try database { database in
            try database.execute(Self.calendarTables)
            for number in 1...30 {
                let start = Double(720_000_000 + number * 86_400)
                try database.run(
                    "INSERT INTO CalendarItem (ROWID, summary, description, location_id,"
                        + " start_date, start_tz, end_date, all_day, calendar_id, organizer_id,"
                        + " has_attendees, url, creation_date, last_modified)"
                        + " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, 0, ?, NULL, 700000000, 710000000)",
                    [
                        .integer(Int64(number)), .text("Appointment \(number)"),
                        .text(sentence(number)), .integer(number % 4 == 0 ? 1 : 0), .real(start),
                        .text(number % 6 == 0 ? "_float" : "Europe/Berlin"), .real(start + 3_600),
                        .integer(number % 6 == 0 ? 1 : 0), .integer(Int64(number % 2 + 1)),
                        .integer(number % 5 == 0 ? 1 : 0),
                    ])
            }
            try database.run(
                "INSERT INTO Participant (entity_type, type, status, identity_id, owner_id, email)"
                    + " VALUES (7, 1, 2, 1, 5, ?)", [.text(person(2).mail)])
        }
    }

    private static let calendarTables = """
        CREATE TABLE Store (ROWID INTEGER PRIMARY KEY, name TEXT, type INTEGER);
        CREATE TABLE Calendar (ROWID INTEGER PRIMARY KEY, store_id INTEGER, title TEXT,
            flags INTEGER, color TEXT, owner_identity_id INTEGER, sharing_status INTEGER,
            notes TEXT);
        CREATE TABLE CalendarItem (ROWID INTEGER PRIMARY KEY, summary TEXT, location_id INTEGER,
            description TEXT, start_date REAL, start_tz TEXT, end_date REAL, end_tz TEXT,
            all_day INTEGER, calendar_id INTEGER, orig_item_id INTEGER DEFAULT 0,
            organizer_id INTEGER, has_attendees INTEGER, url TEXT, conference_url TEXT,
            conference_url_detected TEXT, creation_date REAL, last_modified REAL,
            calendar_scale TEXT);
        CREATE TABLE Location (ROWID INTEGER PRIMARY KEY, title TEXT, address TEXT, latitude REAL,
            longitude REAL);
        CREATE TABLE Participant (ROWID INTEGER PRIMARY KEY, entity_type INTEGER, type INTEGER,
            status INTEGER, identity_id INTEGER, owner_id INTEGER, email TEXT);
        CREATE TABLE Identity (ROWID INTEGER PRIMARY KEY, display_name TEXT, address TEXT);
        CREATE TABLE Recurrence (ROWID INTEGER PRIMARY KEY, frequency INTEGER, interval INTEGER,
            count INTEGER, end_date REAL, specifier TEXT, owner_id INTEGER);
        CREATE TABLE Alarm (ROWID INTEGER PRIMARY KEY, trigger_interval INTEGER, type INTEGER,
            calendaritem_owner_id INTEGER);
        CREATE TABLE ExceptionDate (ROWID INTEGER PRIMARY KEY, owner_id INTEGER, date REAL);
        INSERT INTO Store VALUES (1, 'Default', 0), (2, 'iCloud', 2);
        INSERT INTO Calendar VALUES (1, 1, 'Home', 0, '#1BADF8', 0, 0, NULL),
            (2, 2, 'Work', 0, '#FF2968', 0, 0, NULL);
        INSERT INTO Location VALUES (1, 'Caf\u{E9} Example', 'Main Street 1, Berlin', 52.5, 13.4);
        INSERT INTO Identity VALUES (1, 'Ada Example', 'mailto:ada@example.org');
        INSERT INTO Recurrence VALUES (1, 2, 1, 0, NULL, 'D=0MO', 7);
        INSERT INTO Alarm VALUES (1, -900, 1, 3);
        INSERT INTO ExceptionDate VALUES (1, 7, 721000000.0);
        """

    /// NoteStore.sqlite: bodies are compressed protocol buffers.
    func notes() throws -> [UInt8] {
        try database { database in
            try database.execute(
                """
                CREATE TABLE ZICCLOUDSYNCINGOBJECT (Z_PK INTEGER PRIMARY KEY, Z_ENT INTEGER,
                    Z_OPT INTEGER, ZISPASSWORDPROTECTED INTEGER, ZMARKEDFORDELETION INTEGER,
                    ZFOLDER INTEGER, ZNOTEDATA INTEGER, ZACCOUNT7 INTEGER,
                    ZCREATIONDATE3 TIMESTAMP, ZMODIFICATIONDATE1 TIMESTAMP, ZIDENTIFIER VARCHAR,
                    ZNAME VARCHAR, ZSNIPPET VARCHAR, ZTITLE1 VARCHAR, ZTITLE2 VARCHAR);
                CREATE TABLE ZICNOTEDATA (Z_PK INTEGER PRIMARY KEY, Z_ENT INTEGER, Z_OPT INTEGER,
                    ZNOTE INTEGER, ZDATA BLOB);
                INSERT INTO ZICCLOUDSYNCINGOBJECT (Z_PK, Z_ENT, ZNAME) VALUES (1, 14, 'On My iPhone');
                INSERT INTO ZICCLOUDSYNCINGOBJECT (Z_PK, Z_ENT, ZACCOUNT7, ZTITLE2)
                    VALUES (2, 15, 1, 'Notes');
                """)
            for number in 3...12 {
                let text = "Note \(number)\n" + sentence(number)
                try database.run(
                    "INSERT INTO ZICNOTEDATA VALUES (?, 19, 1, ?, ?)",
                    [
                        .integer(Int64(number)), .integer(Int64(number)),
                        .blob(StoredGzip.pack(Self.noteBody(text))),
                    ])
                try database.run(
                    "INSERT INTO ZICCLOUDSYNCINGOBJECT (Z_PK, Z_ENT, ZFOLDER, ZNOTEDATA, ZACCOUNT7,"
                        + " ZCREATIONDATE3, ZMODIFICATIONDATE1, ZSNIPPET, ZTITLE1)"
                        + " VALUES (?, 12, 2, ?, 1, 700000000, 710000000, ?, ?)",
                    [
                        .integer(Int64(number)), .integer(Int64(number)), .text(sentence(number)),
                        .text("Note \(number)"),
                    ])
            }
        }
    }

    /// Document (2) with a note (3) with the text (2) and one attribute run (5).
    private static func noteBody(_ text: String) -> [UInt8] {
        func field(_ number: UInt8, _ bytes: [UInt8]) -> [UInt8] {
            var length: [UInt8] = []
            var rest = bytes.count
            repeat {
                length.append(UInt8(rest & 0x7F) | (rest > 0x7F ? 0x80 : 0))
                rest >>= 7
            } while rest > 0
            return [number << 3 | 2] + length + bytes
        }
        let run = field(5, [0x08, UInt8(clamping: min(text.unicodeScalars.count, 0x7F))])
        return field(2, field(3, field(2, Array(text.utf8)) + run))
    }

    /// Photos.sqlite: the photos at their places, and one in ten more that is only in iCloud.
    func photoLibrary() throws -> [UInt8] {
        let first = (photos.last?.number ?? 0) + 1
        let remote = (first..<first + max(1, photos.count / 10)).map { number in
            PhotoAsset(number: number, kind: .heic, isLocal: false, byteCount: 2_000_000)
        }
        return try database { try PhotosDatabase.fill($0, with: photos + remote) }
    }

    /// healthdb_secure.sqlite.
    func healthSamples() throws -> [UInt8] {
        try database { database in
            try database.execute(
                """
                CREATE TABLE objects (data_id INTEGER PRIMARY KEY, uuid BLOB, provenance INTEGER,
                    type INTEGER, creation_date REAL);
                CREATE TABLE samples (data_id INTEGER PRIMARY KEY, start_date REAL, end_date REAL,
                    data_type INTEGER);
                CREATE TABLE quantity_samples (data_id INTEGER PRIMARY KEY, quantity REAL,
                    original_quantity REAL, original_unit INTEGER);
                CREATE TABLE category_samples (data_id INTEGER PRIMARY KEY, value INTEGER);
                CREATE TABLE data_provenances (ROWID INTEGER PRIMARY KEY, source_id INTEGER,
                    device_id INTEGER, source_version TEXT, tz_name TEXT,
                    origin_product_type TEXT);
                INSERT INTO data_provenances VALUES (1, 1, 1, '17.5', 'Europe/Berlin', 'iPhone14,5');
                """)
            for number in 1...200 {
                let row = SQLiteValue.integer(Int64(number))
                let start = SQLiteValue.real(Double(720_000_000 + number * 600))
                try database.run("INSERT INTO objects VALUES (?, NULL, 1, 1, ?)", [row, start])
                try database.run(
                    "INSERT INTO samples VALUES (?, ?, ?, ?)",
                    [row, start, start, .integer(number % 2 == 0 ? 7 : 5)])
                try database.run(
                    "INSERT INTO quantity_samples VALUES (?, ?, NULL, NULL)",
                    [row, .real(number % 2 == 0 ? Double(number * 13 % 700) : 1.2)])
            }
        }
    }

    /// healthdb.sqlite.
    func healthSources() throws -> [UInt8] {
        try database { database in
            try database.execute(
                """
                CREATE TABLE sources (ROWID INTEGER PRIMARY KEY, name TEXT, product_type TEXT);
                CREATE TABLE source_devices (ROWID INTEGER PRIMARY KEY, name TEXT,
                    manufacturer TEXT, model TEXT, hardware TEXT);
                INSERT INTO sources VALUES (1, 'Phone', 'iPhone14,5');
                INSERT INTO source_devices VALUES (1, 'iPhone', 'Apple Inc.', 'iPhone', 'iPhone14,5');
                """)
        }
    }

    /// Safari's Bookmarks.db.
    func bookmarks() throws -> [UInt8] {
        try database { database in
            try database.execute(
                """
                CREATE TABLE bookmarks (id INTEGER PRIMARY KEY, parent INTEGER, type INTEGER,
                    title TEXT, url TEXT, num_children INTEGER, order_index INTEGER);
                INSERT INTO bookmarks VALUES (0, NULL, 1, 'Root', NULL, 1, 0),
                    (1, 0, 0, 'Example', 'https://example.org/', 0, 0);
                """)
        }
    }

    /// Safari's History.db.
    func history() throws -> [UInt8] {
        try database { database in
            try database.execute(
                """
                CREATE TABLE history_items (id INTEGER PRIMARY KEY, url TEXT UNIQUE,
                    visit_count INTEGER);
                CREATE TABLE history_visits (id INTEGER PRIMARY KEY, history_item INTEGER,
                    visit_time REAL, title TEXT);
                INSERT INTO history_items VALUES (1, 'https://example.org/', 2);
                INSERT INTO history_visits VALUES (1, 1, 720000000.0, 'Example'),
                    (2, 1, 720003600.0, 'Example');
                """)
        }
    }
}

/// gzip without compression (RFC 1952, stored blocks of RFC 1951): enough for a body that must be
/// gzip, without another library.
enum StoredGzip {
    /// `bytes` as a gzip file; at most 65,535 of them are kept.
    static func pack(_ bytes: [UInt8]) -> [UInt8] {
        let kept = bytes.prefix(0xFFFF)
        var writer = ByteWriter()
        writer.put(raw: [0x1F, 0x8B, 8, 0, 0, 0, 0, 0, 0, 3, 1])
        writer.put(UInt16(kept.count))
        writer.put(~UInt16(kept.count))
        writer.put(raw: kept)
        writer.put(checksum(kept))
        writer.put(UInt32(kept.count))
        return writer.bytes
    }

    /// CRC-32 (ISO 3309), bit by bit.
    private static func checksum(_ bytes: ArraySlice<UInt8>) -> UInt32 {
        var value = UInt32.max
        for byte in bytes {
            value ^= UInt32(byte)
            for _ in 0..<8 { value = value >> 1 ^ (value & 1 == 1 ? 0xEDB8_8320 : 0) }
        }
        return ~value
    }
}
