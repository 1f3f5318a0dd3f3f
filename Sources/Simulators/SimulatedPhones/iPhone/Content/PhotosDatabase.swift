/// Writes PhotoData/Photos.sqlite as iOS 14 and later have it, as far as programs ask it which
/// photos there are and which of them are in iCloud only.
enum PhotosDatabase {
    private static let schema = """
        CREATE TABLE ZASSET (Z_PK INTEGER PRIMARY KEY, Z_ENT INTEGER, Z_OPT INTEGER,
          ZKIND INTEGER, ZKINDSUBTYPE INTEGER, ZSAVEDASSETTYPE INTEGER, ZFAVORITE INTEGER,
          ZHIDDEN INTEGER, ZTRASHEDSTATE INTEGER, ZCLOUDLOCALSTATE INTEGER, ZCOMPLETE INTEGER,
          ZADDITIONALATTRIBUTES INTEGER, ZWIDTH INTEGER, ZHEIGHT INTEGER,
          ZDATECREATED TIMESTAMP, ZADDEDDATE TIMESTAMP, ZMODIFICATIONDATE TIMESTAMP,
          ZTRASHEDDATE TIMESTAMP, ZLATITUDE FLOAT, ZLONGITUDE FLOAT, ZDIRECTORY VARCHAR,
          ZFILENAME VARCHAR, ZUNIFORMTYPEIDENTIFIER VARCHAR, ZUUID VARCHAR);
        CREATE TABLE ZADDITIONALASSETATTRIBUTES (Z_PK INTEGER PRIMARY KEY, Z_ENT INTEGER,
          Z_OPT INTEGER, ZASSET INTEGER, ZORIGINALFILESIZE INTEGER, ZORIGINALFILENAME VARCHAR,
          ZEXIFTIMESTAMPSTRING VARCHAR, ZCREATORBUNDLEID VARCHAR);
        CREATE TABLE ZINTERNALRESOURCE (Z_PK INTEGER PRIMARY KEY, Z_ENT INTEGER, Z_OPT INTEGER,
          ZASSET INTEGER, ZRESOURCETYPE INTEGER, ZVERSION INTEGER, ZLOCALAVAILABILITY INTEGER,
          ZREMOTEAVAILABILITY INTEGER, ZDATASTORESUBTYPE INTEGER, ZDATALENGTH INTEGER);
        CREATE TABLE ZGENERICALBUM (Z_PK INTEGER PRIMARY KEY, Z_ENT INTEGER, Z_OPT INTEGER,
          ZKIND INTEGER, ZTRASHEDSTATE INTEGER, ZPARENTFOLDER INTEGER, ZTITLE VARCHAR,
          ZUUID VARCHAR);
        CREATE TABLE Z_28ASSETS (Z_28ALBUMS INTEGER, Z_3ASSETS INTEGER, Z_FOK_3ASSETS INTEGER,
          PRIMARY KEY (Z_28ALBUMS, Z_3ASSETS));
        """

    static func write(_ assets: [PhotoAsset], to path: String) throws {
        let database = try SQLiteDatabase(path: path)
        try database.execute("PRAGMA page_size = 4096; BEGIN")
        try fill(database, with: assets)
        try database.execute("COMMIT")
    }

    /// Makes the tables and their rows in an empty database.
    static func fill(_ database: SQLiteDatabase, with assets: [PhotoAsset]) throws {
        try database.execute(schema)
        let asset = try database.prepare(
            """
            INSERT INTO ZASSET VALUES
              (?1, 3, 1, ?2, ?3, 3, ?4, 0, 0, 1, 1, ?1, 4032, 3024, ?5, ?5, ?5, NULL, ?6, ?7,
              ?8, ?9, ?10, ?11)
            """)
        let attributes = try database.prepare(
            """
            INSERT INTO ZADDITIONALASSETATTRIBUTES VALUES
              (?1, 1, 1, ?1, ?2, ?3, ?4, 'com.apple.camera')
            """)
        let resource = try database.prepare(
            "INSERT INTO ZINTERNALRESOURCE VALUES (?1, 50, 1, ?1, ?2, 0, ?3, 1, 1, ?4)")
        for each in assets {
            try asset.run(row(of: each))
            try attributes.run([
                .integer(Int64(each.number)), .integer(Int64(each.byteCount)), .text(each.name),
                .text(PTPDate.text(unixSeconds: each.taken, zone: 0)),
            ])
            try resource.run([
                .integer(Int64(each.number)), .integer(each.kind == .video ? 1 : 0),
                .integer(each.isLocal ? 1 : -1), .integer(Int64(each.byteCount)),
            ])
        }
        try writeAlbum(of: assets, to: database)
    }

    private static func row(of asset: PhotoAsset) -> [SQLiteValue] {
        let type =
            switch asset.kind {
            case .heic, .live: "public.heic"
            case .jpeg, .edited: "public.jpeg"
            case .video: "com.apple.quicktime-movie"
            }
        return [
            .integer(Int64(asset.number)), .integer(asset.kind == .video ? 1 : 0),
            .integer(asset.kind == .live ? 2 : 0), .integer(asset.number % 10 == 1 ? 1 : 0),
            .real(Double(asset.taken - PropertyList.epochOffset)),
            .real(52.5 + Double(asset.number % 100) / 1000), .real(13.4),
            .text(asset.folder), .text(asset.name), .text(type), .text(uuid(asset.number)),
        ]
    }

    private static func writeAlbum(
        of assets: [PhotoAsset], to database: SQLiteDatabase
    ) throws {
        try database.run(
            "INSERT INTO ZGENERICALBUM VALUES (1, 28, 1, 2, 0, NULL, ?1, ?2)",
            [.text("Holidays"), .text(uuid(1_000_000))])
        let member = try database.prepare("INSERT INTO Z_28ASSETS VALUES (1, ?1, ?2)")
        for asset in assets where asset.number % 3 == 0 {
            try member.run([.integer(Int64(asset.number)), .integer(Int64(asset.number) * 1024)])
        }
    }

    private static func uuid(_ number: Int) -> String {
        let noise = [UInt64(number) &* 2, UInt64(number) &* 2 &+ 1].map(SeededGenerator.mixed)
        let digits = noise.map { word in
            let text = String(word, radix: 16, uppercase: true)
            return String(repeating: "0", count: 16 - text.count) + text
        }.joined()
        var result = ""
        for (index, digit) in digits.enumerated() {
            if [8, 12, 16, 20].contains(index) { result += "-" }
            result.append(digit)
        }
        return result
    }
}
