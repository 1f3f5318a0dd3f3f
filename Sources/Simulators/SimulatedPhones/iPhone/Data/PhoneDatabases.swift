/// The databases of messages, contacts, calls and the like, as true SQLite files at their true
/// paths, with the tables and columns that programs read. Their names and texts are invented.
struct PhoneDatabases: Sendable {
    /// Chooses the people and texts.
    let seed: UInt64
    /// Rows follow it: about as many messages as the phone has files, within bounds.
    let scale: Int
    /// How often the phone was used since: each time brings new messages and calls.
    let revision: UInt64
    /// The phone's photos, which its library lists.
    let photos: [PhotoAsset]

    /// Seconds from 1970 to 2001, where Apple's dates begin.
    static let appleEpoch: Int64 = 978_307_200
    /// When the databases were last changed, seconds since 1970.
    private var moment: Int64 { 1_764_000_000 + Int64(revision) * 3_600 }

    var messageCount: Int { min(max(scale, 40), 5_000) + Int(revision) * 7 }
    var contactCount: Int { min(max(scale / 8, 12), 400) }
    var callCount: Int { min(max(scale / 10, 10), 500) + Int(revision) * 2 }

    /// All of them, and the few property lists that go with them.
    func items() throws -> [PhoneItem] {
        let notesDomain = "AppDomainGroup-group.com.apple.notes"
        let items = [
            item("HomeDomain", "Library/SMS/sms.db", try messages()),
            item("HomeDomain", "Library/AddressBook/AddressBook.sqlitedb", try contacts()),
            item(
                "HomeDomain", "Library/AddressBook/AddressBookImages.sqlitedb",
                try contactPictures()),
            item("HomeDomain", "Library/CallHistoryDB/CallHistory.storedata", try calls()),
            item("HomeDomain", "Library/Calendar/Calendar.sqlitedb", try calendar()),
            item("HomeDomain", "Library/Voicemail/voicemail.db", try voicemail()),
            item("HomeDomain", "Library/Safari/Bookmarks.db", try bookmarks()),
            item("HomeDomain", "Library/Safari/History.db", try history()),
            item(notesDomain, "NoteStore.sqlite", try notes()),
            item("CameraRollDomain", "Media/PhotoData/Photos.sqlite", try photoLibrary()),
            item("HealthDomain", "Health/healthdb_secure.sqlite", try healthSamples()),
            item("HealthDomain", "Health/healthdb.sqlite", try healthSources()),
        ]
        return items + propertyLists() + corners()
    }

    private func item(_ domain: String, _ path: String, _ bytes: [UInt8]) -> PhoneItem {
        PhoneItem(
            domain: domain, path: path, modified: moment, born: 1_577_836_800,
            content: .bytes(bytes))
    }

    private func propertyLists() -> [PhoneItem] {
        let carrier: PropertyList = [
            "PhoneNumber": .string(person(0).phone), "SIMPhoneNumber": .string(person(0).phone),
        ]
        let secrets = DeterministicBytes(seed: seed &+ 77, texture: .noise, byteCount: 64)
        var sealed = [UInt8](repeating: 0, count: 64)
        secrets.fill(&sealed, at: 0, count: 64, from: 0)
        let keychain: PropertyList = [
            "genp": [["v_Data": .data(sealed), "acct": "home"]],
            "inet": [["v_Data": .data(sealed), "srvr": "mail.example.org"]],
            "cert": [], "keys": [],
        ]
        let language: PropertyList = ["AppleLocale": "de_DE"]
        let network: PropertyList = ["KnownNetworks": ["Home"]]
        return [
            item(
                "WirelessDomain", "Library/Preferences/com.apple.commcenter.plist",
                carrier.encodeBinary()),
            item("KeychainDomain", "keychain-backup.plist", keychain.encodeBinary()),
            item(
                "HomeDomain", "Library/Preferences/.GlobalPreferences.plist",
                language.encodeBinary()),
            item(
                "SystemPreferencesDomain", "com.apple.wifi.known-networks.plist",
                network.encodeXML()),
        ]
    }

    /// Shapes that backups have besides plain files: an empty file, a link, an empty folder.
    private func corners() -> [PhoneItem] {
        var link = item("RootDomain", "Library/Caches/latest", Array("../Preferences".utf8))
        link.kind = .link
        link.permissions = 0o755
        return [
            item("HomeDomain", "Library/Cookies/empty.binarycookies", []), link,
            .folder("HomeDomain", "Library/Mail/Empty", at: moment),
            item("RootDomain", "Library/Preferences/com.apple.osupdate.plist", Array("{}".utf8)),
        ]
    }

    /// A database made in memory.
    func database(_ fill: (SQLiteDatabase) throws -> Void) throws -> [UInt8] {
        let database = try SQLiteDatabase(path: ":memory:")
        try database.execute("PRAGMA page_size = 4096; BEGIN")
        try fill(database)
        try database.execute("COMMIT")
        return database.serialized()
    }

    /// An invented person.
    struct Person {
        var first: String
        var last: String
        var phone: String
        var mail: String
    }

    /// The person of a number; 0 is the owner.
    func person(_ number: Int) -> Person {
        let firsts = ["Ada", "Ben", "Chlo\u{E9}", "J\u{FC}rgen", "Mei", "Omar", "Zo\u{EB}", "Yuki"]
        let lasts = ["Abel", "Becker", "O'Neil", "Garc\u{ED}a", "\u{5C71}\u{7530}", "Weber", "Ng"]
        let pick = SeededGenerator.mixed(seed &+ UInt64(number) &* 31)
        let first = firsts[Int(pick % UInt64(firsts.count))]
        let last = lasts[Int(pick / 8 % UInt64(lasts.count))]
        return Person(
            first: first, last: last, phone: "+49151" + padded(Int(pick / 64 % 10_000_000), 8),
            mail: "person\(number)@example.org")
    }

    /// A sentence of a number.
    func sentence(_ number: Int) -> String {
        let texts = [
            "See you at eight", "Danke, bis sp\u{E4}ter! \u{1F44D}", "Did you call the dentist?",
            "\u{660E}\u{65E5}\u{898B}", "The keys are under the mat", "https://example.org/a?b=c&d",
        ]
        let pick = SeededGenerator.mixed(seed &+ UInt64(number) &* 7)
        return texts[Int(pick % UInt64(texts.count))] + " (\(number))"
    }
}
