import BackupCore
import Foundation
import GRDB
import TestKit
import Testing

@testable import ApplePhone

/// Photos that are only in iCloud, counted in a database that SQLite wrote, and in damaged ones.
@Suite struct PhotoCountTests {
    /// A library of `photos`, every seventh of which is only in iCloud, with rows long enough for
    /// pages of their own.
    private static func library(_ photos: Int, pageSize: Int = 4096) throws -> [UInt8] {
        let path = NSTemporaryDirectory() + "holdfast-photos-\(UUID().uuidString.prefix(13))"
        // What is left in the system's temporary folder is harmless.
        defer { try? FileManager.default.removeItem(atPath: path) }
        var configuration = Configuration()
        configuration.prepareDatabase { try $0.execute(sql: "PRAGMA page_size = \(pageSize)") }
        let queue = try DatabaseQueue(path: path, configuration: configuration)
        let wide = (0..<60).map { "ZWIDE\($0) INTEGER" }.joined(separator: ", ")
        try queue.write { database in
            try database.execute(
                sql: """
                    CREATE TABLE ZOTHER (Z_PK INTEGER PRIMARY KEY, ZTEXT VARCHAR);
                    CREATE TABLE ZINTERNALRESOURCE (Z_PK INTEGER PRIMARY KEY, Z_ENT INTEGER,
                        ZDATASTORESUBTYPE INTEGER, ZLOCALAVAILABILITY INTEGER,
                        ZRESOURCETYPE INTEGER, ZASSET INTEGER, \(wide), ZFINGERPRINT VARCHAR,
                        CHECK (Z_ENT IN (0, 1)));
                    """)
            for asset in 1...photos {
                // The original, and a rendition that is here in any case.
                for (type, here) in [(1, asset % 7 == 0 ? -32_768 : 1), (3, 1)] {
                    try database.execute(
                        sql: """
                            INSERT INTO ZINTERNALRESOURCE (Z_ENT, ZDATASTORESUBTYPE,
                                ZLOCALAVAILABILITY, ZRESOURCETYPE, ZASSET, ZFINGERPRINT)
                                VALUES (1, ?, ?, ?, ?, ?)
                            """,
                        arguments: [
                            type, here, asset % 2, asset,
                            String(repeating: "x", count: asset % 50 == 0 ? 9000 : 40),
                        ])
                }
            }
        }
        return Array(try Data(contentsOf: URL(fileURLWithPath: path)))
    }

    /// A library in SQLite's WAL mode after `transactions` of 40 photos each, of which 10 are only
    /// in iCloud, none of them in the database's own file yet.
    private static func loggedLibrary(
        _ transactions: Int, pageSize: Int
    ) throws -> (database: [UInt8], log: [UInt8]) {
        let folder = NSTemporaryDirectory() + "holdfast-log-\(UUID().uuidString.prefix(13))"
        try FileManager.default.createDirectory(
            atPath: folder, withIntermediateDirectories: true)
        // What is left in the system's temporary folder is harmless.
        defer { try? FileManager.default.removeItem(atPath: folder) }
        let path = folder + "/Photos.sqlite"
        var configuration = Configuration()
        configuration.prepareDatabase { database in
            try database.execute(sql: "PRAGMA page_size = \(pageSize)")
            try database.execute(sql: "PRAGMA wal_autocheckpoint = 0")
        }
        let pool = try DatabasePool(path: path, configuration: configuration)
        try pool.write { database in
            try database.execute(
                sql: """
                    CREATE TABLE ZINTERNALRESOURCE (Z_PK INTEGER PRIMARY KEY,
                        ZDATASTORESUBTYPE INTEGER, ZLOCALAVAILABILITY INTEGER,
                        ZRESOURCETYPE INTEGER, ZASSET INTEGER, ZFINGERPRINT VARCHAR)
                    """)
        }
        try pool.writeWithoutTransaction { _ = try $0.checkpoint(.truncate) }
        for transaction in 0..<transactions {
            try pool.write { database in
                for asset in 0..<40 {
                    try database.execute(
                        sql: "INSERT INTO ZINTERNALRESOURCE VALUES (NULL, 1, ?, 0, ?, ?)",
                        arguments: [
                            asset < 10 ? -32_768 : 1, transaction * 40 + asset,
                            String(repeating: "y", count: 100),
                        ])
                }
            }
        }
        func content(_ path: String) throws -> [UInt8] {
            Array(try Data(contentsOf: URL(fileURLWithPath: path)))
        }
        return (try content(path), try content(path + "-wal"))
    }

    private static func count(
        _ bytes: [UInt8], log: [UInt8] = []
    ) throws -> (photos: UInt64?, read: Int) {
        var read = 0
        let photos = try CloudPhotos.count(
            { offset, count throws(DeviceError) in
                let start = Int(clamping: offset)
                guard start < bytes.count else { return [] }
                let piece = bytes[start..<min(bytes.count, start + count)]
                read += piece.count
                return Array(piece)
            }, log: log)
        return (photos, read)
    }

    @Test(arguments: [512, 4096, 65_536])
    func whatIsOnlyInTheLogCounts(pageSize: Int) throws {
        let (database, log) = try Self.loggedLibrary(6, pageSize: pageSize)
        #expect(!log.isEmpty)
        #expect(try Self.count(database).photos == 0)
        #expect(try Self.count(database, log: log).photos == 60)
    }

    /// A phone writes while it is read: the last transaction may be torn, or be from before.
    @Test func onlyWholeTransactionsOfTheLogCount() throws {
        let (database, log) = try Self.loggedLibrary(6, pageSize: 1024)
        var seen: Set<UInt64> = []
        for length in stride(from: 0, through: log.count, by: 500) {
            let photos = try #require(
                try Self.count(database, log: Array(log.prefix(length))).photos)
            #expect(photos % 10 == 0 && photos <= 60)
            seen.insert(photos)
        }
        #expect(seen == [0, 10, 20, 30, 40, 50])
        var numbers = SeededNumbers(seed: 77)
        for _ in 0..<100 {
            var mutant = log
            let place = Int.random(in: 0..<log.count, using: &numbers)
            mutant[place] ^= UInt8.random(in: 1...255, using: &numbers)
            let photos = try #require(try Self.count(database, log: mutant).photos)
            #expect(photos % 10 == 0 && photos <= 60, "byte \(place)")
        }
        let other = try Self.loggedLibrary(6, pageSize: 4096).log
        #expect(try Self.count(database, log: other).photos == 0)
    }

    @Test(arguments: [(7, 4096), (1000, 4096), (3000, 1024), (500, 65_536)])
    func onlyMissingOriginalsCount(photos: Int, pageSize: Int) throws {
        let bytes = try Self.library(photos, pageSize: pageSize)
        let result = try Self.count(bytes)
        #expect(result.photos == UInt64(photos / 7))
        #expect(result.read <= bytes.count + 100)
    }

    @Test func anotherFileIsNotCounted() throws {
        #expect(try Self.count([]).photos == nil)
        #expect(try Self.count([UInt8](repeating: 0x53, count: 8192)).photos == nil)
    }

    @Test func columnsAreFoundInTheStatementThatMadeThem() {
        let sql = """
            CREATE TABLE "T" ( "A" INTEGER PRIMARY KEY, b VARCHAR(10, 2) DEFAULT (1),
              [C] BLOB, PRIMARY KEY (b), UNIQUE(b, c) )
            """
        #expect(SQLiteTables.columnNames(sql) == ["A", "B", "C"])
        #expect(SQLiteTables.columnNames("CREATE") == [])
    }

    /// A row that announces the largest length there is, on a chain of pages that leads to itself.
    @Test func aRowWithoutEndIsReadSoFar() throws {
        let pageSize = 1024
        var bytes = try Self.library(1, pageSize: pageSize)
        let pages = Array(stride(from: pageSize, to: bytes.count, by: pageSize))
        let root = try #require(pages.last { bytes[$0] == 0x0D })
        // SQLite's file format, section 1.6: what of a row lies in its own page.
        let least = (pageSize - 12) * 32 / 255 - 23
        let fitting = least + (Int.max - least) % (pageSize - 4)
        let local = fitting <= pageSize - 35 ? fitting : least
        let length: [UInt8] = [0xBF] + Array(repeating: 0xFF, count: 8)
        var page = Array(repeating: UInt8(0), count: pageSize)
        page.replaceSubrange(0..<8, with: [0x0D, 0, 0, 0, 1, 0, 20, 0])
        page.replaceSubrange(8..<10, with: [0, 20])
        page.replaceSubrange(20..<30, with: length + [1])
        // Fewer than 256 pages: the last byte of a number is enough.
        let chain = UInt8(bytes.count / pageSize + 1)
        page[30 + local + 3] = chain
        bytes.replaceSubrange(root..<root + pageSize, with: page)
        bytes += [0, 0, 0, chain] + Array(repeating: 0, count: pageSize - 4)
        #expect(try Self.count(bytes).photos == 0)
    }

    @Test func damagedDatabasesNeverTrap() throws {
        let seed = UInt64.random(in: 1...UInt64.max)
        print("photo databases: seed \(seed)")
        var random = SeededNumbers(seed: seed)
        let original = try Self.library(100, pageSize: 1024)
        var different = 0
        for _ in 0..<200 {
            var mutant = original
            for _ in 0..<Int.random(in: 1...20, using: &random) {
                // Headers of pages are where numbers are trusted.
                let page = Int.random(in: 0..<(mutant.count / 1024), using: &random) * 1024
                let within = Int.random(
                    in: 0..<(Bool.random(using: &random) ? 40 : 1024), using: &random)
                mutant[page + within] = UInt8.random(in: 0...255, using: &random)
            }
            if Bool.random(using: &random) {
                mutant.removeLast(Int.random(in: 0..<mutant.count, using: &random))
            }
            if try Self.count(mutant).photos != UInt64(100 / 7) { different += 1 }
        }
        #expect(different > 0, "seed \(seed)")
    }
}
