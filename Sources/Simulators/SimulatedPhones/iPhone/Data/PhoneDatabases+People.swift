// Messages, contacts, calls and voicemail.

extension PhoneDatabases {
    /// sms.db: texts, some only in `attributedBody` as iOS 16 and later write them.
    func messages() throws -> [UInt8] {
        try database { database in
            try database.execute(Self.messageTables)
            let people = min(contactCount, 24)
            for number in 1...people {
                let person = person(number)
                let service = number % 4 == 0 ? "SMS" : "iMessage"
                try database.run(
                    "INSERT INTO handle (ROWID, id, country, service) VALUES (?, ?, 'de', ?)",
                    [.integer(Int64(number)), .text(person.phone), .text(service)])
                try database.run(
                    "INSERT INTO chat (ROWID, guid, chat_identifier, service_name, display_name)"
                        + " VALUES (?, ?, ?, ?, '')",
                    [
                        .integer(Int64(number)), .text("\(service);-;\(person.phone)"),
                        .text(person.phone), .text(service),
                    ])
                try database.run(
                    "INSERT INTO chat_handle_join VALUES (?, ?)",
                    [.integer(Int64(number)), .integer(Int64(number))])
            }
            try insertMessages(into: database, people: people)
        }
    }

    private func insertMessages(into database: SQLiteDatabase, people: Int) throws {
        let insert = try database.prepare(
            "INSERT INTO message (ROWID, guid, text, attributedBody, service, account, date,"
                + " date_read, is_from_me, is_read, is_sent, is_delivered, handle_id,"
                + " cache_has_attachments) VALUES (?, ?, ?, ?, ?, 'E:owner@example.org', ?, ?, ?,"
                + " 1, ?, 1, ?, ?)")
        let join = try database.prepare("INSERT INTO chat_message_join VALUES (?, ?, ?)")
        for number in 1...messageCount {
            let handle = Int64(number % people + 1)
            let isMine: Int64 = number % 3 == 0 ? 1 : 0
            let date = (700_000_000 + Int64(number) * 900) * 1_000_000_000
            let text = sentence(number)
            try insert.run([
                .integer(Int64(number)), .text("M-\(seed)-\(number)"),
                number % 2 == 0 ? .null : .text(text), .blob(Self.typedStream(text)),
                .text(handle % 4 == 0 ? "SMS" : "iMessage"), .integer(date),
                .integer(date + 60_000_000_000), .integer(isMine), .integer(isMine),
                .integer(isMine == 1 ? 0 : handle), .integer(number % 10 == 0 ? 1 : 0),
            ])
            try join.run([.integer(handle), .integer(Int64(number)), .integer(date)])
            if number % 10 == 0 { try attach(to: number, in: database) }
        }
    }

    private func attach(to number: Int, in database: SQLiteDatabase) throws {
        try database.run(
            "INSERT INTO attachment (guid, created_date, filename, mime_type, transfer_name,"
                + " total_bytes) VALUES (?, 700000000, ?, 'image/jpeg', ?, 12345)",
            [
                .text("A-\(seed)-\(number)"),
                .text("~/Library/SMS/Attachments/0/0000/\(padded(number, 6)).jpg"),
                .text("IMG_\(number).jpg"),
            ])
        try database.run(
            "INSERT INTO message_attachment_join VALUES (?, last_insert_rowid())",
            [.integer(Int64(number))])
    }

    private static let messageTables = """
        CREATE TABLE message (ROWID INTEGER PRIMARY KEY AUTOINCREMENT, guid TEXT UNIQUE NOT NULL,
            text TEXT, attributedBody BLOB, service TEXT, account TEXT, date INTEGER,
            date_read INTEGER, date_delivered INTEGER, is_from_me INTEGER DEFAULT 0,
            is_read INTEGER DEFAULT 0, is_sent INTEGER DEFAULT 0, is_delivered INTEGER DEFAULT 0,
            handle_id INTEGER DEFAULT 0, destination_caller_id TEXT,
            associated_message_guid TEXT, associated_message_type INTEGER DEFAULT 0,
            associated_message_emoji TEXT, reply_to_guid TEXT, thread_originator_guid TEXT,
            cache_has_attachments INTEGER DEFAULT 0);
        CREATE TABLE handle (ROWID INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL,
            country TEXT, service TEXT NOT NULL, UNIQUE (id, service));
        CREATE TABLE chat (ROWID INTEGER PRIMARY KEY AUTOINCREMENT, guid TEXT UNIQUE NOT NULL,
            chat_identifier TEXT, service_name TEXT, display_name TEXT, account_login TEXT);
        CREATE TABLE chat_message_join (chat_id INTEGER, message_id INTEGER,
            message_date INTEGER DEFAULT 0, PRIMARY KEY (chat_id, message_id));
        CREATE TABLE chat_handle_join (chat_id INTEGER, handle_id INTEGER,
            UNIQUE (chat_id, handle_id));
        CREATE TABLE attachment (ROWID INTEGER PRIMARY KEY AUTOINCREMENT, guid TEXT UNIQUE NOT NULL,
            created_date INTEGER DEFAULT 0, filename TEXT, mime_type TEXT, transfer_name TEXT,
            total_bytes INTEGER DEFAULT 0);
        CREATE TABLE message_attachment_join (message_id INTEGER, attachment_id INTEGER,
            UNIQUE (message_id, attachment_id));
        """

    /// An NSAttributedString with one run in NeXT's typedstream, as Messages stores it.
    static func typedStream(_ text: String) -> [UInt8] {
        var bytes: [UInt8] = [0x04, 0x0B] + Array("streamtyped".utf8)
        bytes += [0x81, 0xE8, 0x03, 0x84, 0x01, 0x40, 0x84, 0x84, 0x84, 0x12]
        bytes += Array("NSAttributedString".utf8) + [0x00, 0x84, 0x84, 0x08]
        bytes += Array("NSObject".utf8) + [0x00, 0x85, 0x92, 0x84, 0x84, 0x84, 0x08]
        bytes += Array("NSString".utf8) + [0x01, 0x94, 0x84, 0x01, 0x2B]
        let length = text.utf8.count
        // Lengths from 128 on are the byte 0x81 and 16 bits, least significant byte first.
        bytes +=
            length < 0x80
            ? [UInt8(length)] : [0x81, UInt8(length & 0xFF), UInt8(length >> 8 & 0xFF)]
        bytes += Array(text.utf8) + [0x86, 0x84, 0x02, 0x69, 0x49, 0x01]
        bytes += [UInt8(min(text.utf16.count, 0x7F)), 0x92, 0x84, 0x84, 0x84, 0x0C]
        return bytes + Array("NSDictionary".utf8) + [
            0x00, 0x94, 0x84, 0x01, 0x69, 0x00, 0x86, 0x86,
        ]
    }

    /// AddressBook.sqlitedb.
    func contacts() throws -> [UInt8] {
        try database { database in
            try database.execute(Self.contactTables)
            for number in 1...contactCount {
                let person = person(number)
                let row = SQLiteValue.integer(Int64(number))
                try database.run(
                    "INSERT INTO ABPerson (ROWID, First, Last, Organization, Note, Birthday,"
                        + " CreationDate, ModificationDate, StoreID, DisplayName)"
                        + " VALUES (?, ?, ?, ?, ?, ?, 600000000, 650000000, 0, NULL)",
                    [
                        row, .text(person.first), .text(person.last),
                        number % 5 == 0 ? .text("Example GmbH") : .null,
                        number % 7 == 0 ? .text("met in Rom") : .null,
                        number % 3 == 0 ? .text("\(-300_000_000 + number * 86_400)") : .null,
                    ])
                let values: [(Int64, Int64, String)] = [
                    (3, 1, person.phone), (4, 2, person.mail),
                ]
                for (property, label, value) in values {
                    try database.run(
                        "INSERT INTO ABMultiValue (record_id, property, identifier, label, value)"
                            + " VALUES (?, ?, 0, ?, ?)",
                        [row, .integer(property), .integer(label), .text(value)])
                }
                if number % 4 == 0 { try insertAddress(of: number, into: database) }
            }
            try database.execute(
                "INSERT INTO ABGroup (ROWID, Name, StoreID) VALUES (1, 'Family', 0);"
                    + " INSERT INTO ABGroupMembers (group_id, member_type, member_id)"
                    + " VALUES (1, 0, 1), (1, 0, 2)")
        }
    }

    private func insertAddress(of number: Int, into database: SQLiteDatabase) throws {
        try database.run(
            "INSERT INTO ABMultiValue (record_id, property, identifier, label, value)"
                + " VALUES (?, 5, 0, 3, NULL)", [.integer(Int64(number))])
        let parts = ["Example Street \(number)", "Berlin", "10115", "Germany", "de"]
        let parent = try database.prepare("SELECT max(UID) FROM ABMultiValue")
        try parent.bind([])
        guard try parent.next() else { return }
        let id = parent.integer(0)
        for (key, part) in parts.enumerated() {
            try database.run(
                "INSERT INTO ABMultiValueEntry VALUES (?, ?, ?)",
                [.integer(id), .integer(Int64(key + 1)), .text(part)])
        }
    }

    private static let contactTables = """
        CREATE TABLE ABPerson (ROWID INTEGER PRIMARY KEY AUTOINCREMENT, First TEXT, Last TEXT,
            Middle TEXT, FirstPhonetic TEXT, MiddlePhonetic TEXT, LastPhonetic TEXT,
            Organization TEXT, Department TEXT, Note TEXT, Kind INTEGER DEFAULT 0, Birthday TEXT,
            JobTitle TEXT, Nickname TEXT, Prefix TEXT, Suffix TEXT, CreationDate INTEGER,
            ModificationDate INTEGER, StoreID INTEGER, DisplayName TEXT);
        CREATE TABLE ABMultiValue (UID INTEGER PRIMARY KEY, record_id INTEGER, property INTEGER,
            identifier INTEGER, label INTEGER, value TEXT, guid TEXT);
        CREATE TABLE ABMultiValueLabel (ROWID INTEGER PRIMARY KEY, value TEXT UNIQUE);
        CREATE TABLE ABMultiValueEntry (parent_id INTEGER, key INTEGER, value TEXT,
            UNIQUE (parent_id, key));
        CREATE TABLE ABMultiValueEntryKey (ROWID INTEGER PRIMARY KEY, value TEXT UNIQUE);
        CREATE TABLE ABStore (ROWID INTEGER PRIMARY KEY, Name TEXT, Type INTEGER);
        CREATE TABLE ABGroup (ROWID INTEGER PRIMARY KEY, Name TEXT, StoreID INTEGER);
        CREATE TABLE ABGroupMembers (UID INTEGER PRIMARY KEY, group_id INTEGER,
            member_type INTEGER, member_id INTEGER);
        INSERT INTO ABMultiValueLabel (ROWID, value) VALUES (1, '_$!<Mobile>!$_'),
            (2, '_$!<Work>!$_'), (3, '_$!<Home>!$_');
        INSERT INTO ABMultiValueEntryKey (ROWID, value) VALUES (1, 'Street'), (2, 'City'),
            (3, 'ZIP'), (4, 'Country'), (5, 'CountryCode');
        INSERT INTO ABStore (ROWID, Name, Type) VALUES (0, NULL, 0), (1, 'iCloud', 2);
        """

    /// AddressBookImages.sqlitedb.
    func contactPictures() throws -> [UInt8] {
        try database { database in
            try database.execute(
                """
                CREATE TABLE ABFullSizeImage (ROWID INTEGER PRIMARY KEY, record_id INTEGER,
                    crop_x INTEGER, crop_y INTEGER, crop_width INTEGER, data BLOB);
                CREATE TABLE ABThumbnailImage (ROWID INTEGER PRIMARY KEY, record_id INTEGER,
                    format INTEGER, derived_from_format INTEGER, data BLOB);
                """)
            for number in 1...min(4, contactCount) {
                let picture = DeterministicBytes(
                    seed: seed &+ UInt64(number), texture: .noise, byteCount: 3_000,
                    magic: GeneratedNames.magic(of: "a.jpg"))
                var bytes = [UInt8](repeating: 0, count: 3_000)
                picture.fill(&bytes, at: 0, count: bytes.count, from: 0)
                try database.run(
                    "INSERT INTO ABThumbnailImage (record_id, format, data) VALUES (?, 0, ?)",
                    [.integer(Int64(number)), .blob(bytes)])
            }
        }
    }

    /// CallHistory.storedata.
    func calls() throws -> [UInt8] {
        try database { database in
            try database.execute(
                """
                CREATE TABLE ZCALLRECORD (Z_PK INTEGER PRIMARY KEY, Z_ENT INTEGER, Z_OPT INTEGER,
                    ZANSWERED INTEGER, ZCALLTYPE INTEGER, ZDISCONNECTED_CAUSE INTEGER,
                    ZORIGINATED INTEGER, ZREAD INTEGER, ZDATE TIMESTAMP, ZDURATION FLOAT,
                    ZFACE_TIME_DATA FLOAT, ZADDRESS VARCHAR, ZISO_COUNTRY_CODE VARCHAR,
                    ZLOCATION VARCHAR, ZNAME VARCHAR, ZSERVICE_PROVIDER VARCHAR,
                    ZUNIQUE_ID VARCHAR);
                CREATE TABLE Z_PRIMARYKEY (Z_ENT INTEGER PRIMARY KEY, Z_NAME VARCHAR,
                    Z_SUPER INTEGER, Z_MAX INTEGER);
                """)
            for number in 1...callCount {
                let isVideo = number % 6 == 0
                try database.run(
                    "INSERT INTO ZCALLRECORD VALUES (?, 2, 1, ?, ?, 0, ?, 1, ?, ?, NULL, ?, 'de',"
                        + " 'Germany', NULL, ?, ?)",
                    [
                        .integer(Int64(number)), .integer(number % 5 == 0 ? 0 : 1),
                        .integer(isVideo ? 8 : 1), .integer(Int64(number % 2)),
                        .real(700_000_000 + Double(number) * 5_000),
                        .real(Double(number * 37 % 900)),
                        .text(person(number % contactCount + 1).phone),
                        .text(isVideo ? "com.apple.FaceTime" : "com.apple.Telephony"),
                        .text("C-\(seed)-\(number)"),
                    ])
            }
            try database.run(
                "INSERT INTO Z_PRIMARYKEY VALUES (2, 'CallRecord', 0, ?)",
                [.integer(Int64(callCount))])
        }
    }

    /// voicemail.db.
    func voicemail() throws -> [UInt8] {
        try database { database in
            try database.execute(
                """
                CREATE TABLE voicemail (ROWID INTEGER PRIMARY KEY AUTOINCREMENT, remote_uid INTEGER,
                    date INTEGER, token TEXT, sender TEXT, callback_num TEXT, duration INTEGER,
                    expiration INTEGER, trashed_date INTEGER, flags INTEGER, receiver TEXT);
                """)
            let sender = person(3).phone
            try database.run(
                "INSERT INTO voicemail (date, sender, callback_num, duration, trashed_date, flags,"
                    + " receiver) VALUES (1700000000, ?, ?, 21, 0, 3, ?)",
                [.text(sender), .text(sender), .text(person(0).phone)])
        }
    }
}
