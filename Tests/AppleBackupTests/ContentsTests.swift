import ApplePhone
import BackupCore
import Foundation
import GRDB
import TestKit
import Testing

@testable import AppleBackup

@Suite struct ContentsTests {
    private static let udid = "00008101-0000000000000001"
    private let repository = MemoryRepository()

    private func save(_ name: String, _ bytes: [UInt8]) async throws -> TreeNode {
        let saved = try await repository.save(
            SnapshotRepositoryConformance.source(of: bytes))
        return .file(
            EntryName(name), modified: Timestamp(seconds: 0), byteCount: saved.byteCount,
            content: saved.content)
    }

    /// The backup whose Manifest.db `fill` makes, opened.
    private func contents(
        _ fill: @Sendable @escaping (Database) throws -> Void
    ) async throws -> BackupContents {
        let file = NSTemporaryDirectory() + "contents-\(UUID().uuidString).sqlite"
        defer { unlink(file) }
        let queue = try DatabaseQueue(path: file)
        try await queue.write(fill)
        try queue.close()
        let database = try #require(FileManager.default.contents(atPath: file))
        let manifest = PropertyList.dictionary(["IsEncrypted": .boolean(false)]).encodeBinary()
        let inner = try await repository.save(tree: [
            try await save("Manifest.db", Array(database)),
            try await save("Manifest.plist", manifest),
        ])
        let outer = try await repository.save(tree: [
            .directory(EntryName(Self.udid), modified: Timestamp(seconds: 0), subtree: inner)
        ])
        let root = try await repository.save(tree: [
            .directory("Backup", modified: Timestamp(seconds: 0), subtree: outer)
        ])
        let stored = try #require(try await StoredBackup.open(root, in: repository))
        return try await BackupContents.open(stored, password: nil, copy: file)
    }

    private func paths(
        beneath path: String, in contents: BackupContents
    ) async throws -> [String] {
        var entries = try await contents.entries(beneath: EntryPath(text: path))
        var found: [String] = []
        while let page = try await entries.next() { found += page.map(\.path.description) }
        return found
    }

    /// A row that a phone would write; the record is none, so that size and date are not told.
    private static func insert(
        _ number: Int, _ domain: String, _ path: String, flags: Int = 1, into database: Database
    ) throws {
        let digits = String(number, radix: 16)
        try database.execute(
            sql: "INSERT INTO Files VALUES (?, ?, ?, ?, ?)",
            arguments: [
                String(repeating: "0", count: 40 - digits.count) + digits, domain, path, flags,
                Data(),
            ])
    }

    private static let table = """
        CREATE TABLE Files (fileID TEXT PRIMARY KEY, domain TEXT, relativePath TEXT,
            flags INTEGER, file BLOB)
        """

    @Test func everyEntryOfManyPagesComesOnceInTheOrderOfItsPath() async throws {
        let domains = ["CameraRollDomain", "HomeDomain", "MediaDomain"]
        var expected: [String] = []
        for domain in domains { for number in 0..<700 { expected.append("/\(domain)/f\(number)") } }
        var shuffled = expected
        var numbers = SeededNumbers(seed: 41)
        shuffled.shuffle(using: &numbers)
        let rows = shuffled
        let contents = try await contents { database in
            try database.execute(sql: Self.table)
            for (number, row) in rows.enumerated() {
                let parts = row.split(separator: "/")
                try Self.insert(number, String(parts[0]), String(parts[1]), into: database)
            }
        }
        #expect(try await paths(beneath: "", in: contents) == expected.sorted())
        #expect(
            try await paths(beneath: "HomeDomain", in: contents)
                == expected.filter { $0.hasPrefix("/HomeDomain/") }.sorted())
        #expect(try await paths(beneath: "HomeDomain/f69", in: contents) == ["/HomeDomain/f69"])
        #expect(try await paths(beneath: "NoDomain", in: contents).isEmpty)
    }

    @Test func hostileRowsAreLeftOutAndTheOthersListed() async throws {
        let contents = try await contents { database in
            try database.execute(sql: Self.table)
            let hostile = ["a/../../b", "..", "a//../c", String(repeating: "n", count: 10_000)]
            for (number, path) in hostile.enumerated() {
                try Self.insert(number, "HomeDomain", path, into: database)
            }
            try Self.insert(90, "..", "x", into: database)
            try Self.insert(91, "HomeDomain", "good", into: database)
            try Self.insert(92, "HomeDomain", "link", flags: 4, into: database)
            try database.execute(
                sql: "INSERT INTO Files VALUES (?, ?, ?, ?, ?)",
                arguments: ["short", "HomeDomain", "bad-id", 1, Data()])
            try database.execute(
                sql: "INSERT INTO Files VALUES (?, ?, ?, ?, ?)",
                arguments: [Data([1]), Data([2]), Data([3]), "text", 5])
        }
        #expect(try await paths(beneath: "", in: contents) == ["/HomeDomain/good"])
    }

    /// What is no table of rows is told as a list that cannot be read.
    @Test func anotherSchemaIsAnError() async throws {
        for schema in [
            "CREATE TABLE Other (a)",
            "CREATE VIEW Files AS SELECT '0' AS fileID, 'D' AS domain, 'p' AS relativePath, "
                + "1 AS flags, x'' AS file, 7 AS _rowid_",
            "CREATE TABLE Files (fileID TEXT, domain TEXT, relativePath TEXT, flags INTEGER, "
                + "file BLOB, _ROWID_ INTEGER)",
            Self.table + " WITHOUT ROWID",
        ] {
            await #expect(throws: RepositoryError.self, "\(schema)") {
                let contents = try await contents { try $0.execute(sql: schema) }
                _ = try await paths(beneath: "", in: contents)
            }
        }
    }
}
