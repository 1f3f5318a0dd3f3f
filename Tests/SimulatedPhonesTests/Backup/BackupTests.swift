import Foundation
import Testing

@testable import SimulatedPhones

/// Backups of the simulated iPhone, taken by a plain host; sqlite3 reads what it got.
@Suite struct BackupTests {
    @Test func aFullBackupHoldsEveryFileUnderItsHash() throws {
        let bench = try PhoneBench()
        #expect(try bench.backUp() == 0)
        try bench.agent.perform(.export(folder: bench.folder + "/data"))
        let rows = try bench.sqlite(
            bench.backup + "/Manifest.db",
            "SELECT fileID, domain, relativePath FROM Files WHERE flags = 1")
        var contents = 0
        for row in rows.split(separator: "\n") {
            let parts = row.split(separator: "|", omittingEmptySubsequences: false).map(String.init)
            let id = parts[0]
            let phoneFile = "\(bench.folder)/data/\(parts[1])/\(parts[2])"
            let expected = try #require(FileManager.default.contents(atPath: phoneFile))
            let stored = "\(bench.backup)/\(id.prefix(2))/\(id)"
            if expected.isEmpty {
                #expect(!FileManager.default.fileExists(atPath: stored))
                continue
            }
            #expect(FileManager.default.contents(atPath: stored) == expected, "\(row)")
            contents += 1
        }
        #expect(contents > 60)
        #expect(try bench.names().filter { $0.utf8.count > 40 }.count == contents)
        #expect(!FileManager.default.fileExists(atPath: bench.backup + "/Snapshot"))
    }

    @Test func theFilesHaveTheIDsThatProgramsKnow() throws {
        let bench = try PhoneBench()
        try bench.backUp()
        let known = [
            "3d0d7e5fb2ce288813306e4d4636395e047a3d28": "SELECT count(*) > 10 FROM message",
            "31bb7ba8914766d4ba40d6dfb6113c8b614be442": "SELECT count(*) > 5 FROM ABPerson",
            "2041457d5fe04d39d0ab481178355df6781e6858": "SELECT count(*) > 5 FROM CalendarItem",
            "12b144c0bd44f2b3dffd9186d3f9c05b917cee25": "SELECT count(*) > 5 FROM ZASSET",
            "4f98687d8ab0d6d1a371110e6b7300f6e465bef2": "SELECT count(*) > 5 FROM ZICNOTEDATA",
        ]
        for (id, query) in known {
            let database = "\(bench.backup)/\(id.prefix(2))/\(id)"
            #expect(try bench.sqlite(database, query) == "1", "\(query)")
            #expect(try bench.sqlite(database, "PRAGMA integrity_check") == "ok")
        }
        // Health and calls are only in encrypted backups.
        #expect(try bench.names().allSatisfy { !$0.contains("5a4935c78a5255723f707230a451d79c") })
    }

    @Test func theManifestIsWhatProgramsExpect() throws {
        let bench = try PhoneBench()
        try bench.backUp()
        let manifest = bench.backup + "/Manifest.db"
        #expect(
            try bench.sqlite(manifest, "SELECT flags, count(*) > 0 FROM Files GROUP BY flags")
                == "1|1\n2|1\n4|1")
        // Foundation's reader of property lists, which nobody here wrote, reads the record.
        let hex = try bench.sqlite(
            manifest, "SELECT hex(file) FROM Files WHERE relativePath = 'Library/SMS/sms.db'")
        let blob = Data(
            stride(from: 0, to: hex.utf8.count, by: 2).compactMap { offset in
                UInt8(hex.dropFirst(offset).prefix(2), radix: 16)
            })
        let list = try PropertyListSerialization.propertyList(from: blob, format: nil)
        let archive = try #require(list as? [String: Any])
        let objects = try #require(archive["$objects"] as? [Any])
        let file = try #require(objects[1] as? [String: Any])
        let id = "3d0d7e5fb2ce288813306e4d4636395e047a3d28"
        let stored = try Data(contentsOf: URL(filePath: "\(bench.backup)/3d/\(id)"))
        #expect(file["Size"] as? Int == stored.count)
        #expect(file["Mode"] as? Int == 0o100644)
        #expect(objects.contains { $0 as? String == "Library/SMS/sms.db" })
        let status = try PropertyList.decode(
            Array(
                try #require(FileManager.default.contents(atPath: bench.backup + "/Status.plist"))))
        #expect(status["SnapshotState"]?.text == "finished")
        #expect(status["IsFullBackup"]?.truth == true)
    }

    @Test func anIncrementalBackupSendsWhatChangedAndEndsAsAFullOne() throws {
        let bench = try PhoneBench(files: 400, bytes: 4_000_000)
        try bench.backUp()
        try bench.agent.perform(.use(share: 0.1))
        #expect(try bench.backUp() == 0)
        let counters = try bench.agent.perform(.counters).counters
        #expect(counters.incrementalBackups == 1)
        #expect(counters.filesSent > 20 && counters.filesSent < 120)
        let incremental = try contents(bench)
        let query = "SELECT fileID, domain, relativePath, flags FROM Files ORDER BY fileID"
        let rows = try bench.sqlite(bench.backup + "/Manifest.db", query)
        #expect(try bench.backUp(full: true) == 0)
        #expect(try bench.agent.perform(.counters).counters.incrementalBackups == 1)
        #expect(try contents(bench) == incremental)
        #expect(try bench.sqlite(bench.backup + "/Manifest.db", query) == rows)
    }

    /// Contents by name.
    private func contents(_ bench: PhoneBench) throws -> [String: Data] {
        var contents: [String: Data] = [:]
        for name in try bench.names() where name.utf8.count > 40 {
            contents[name] = FileManager.default.contents(atPath: bench.backup + "/" + name)
        }
        return contents
    }

    @Test func anUnchangedPhoneSendsNoFile() throws {
        let bench = try PhoneBench()
        try bench.backUp()
        try bench.backUp()
        #expect(try bench.agent.perform(.counters).counters.filesSent == 0)
    }

    @Test func theSameSpecGivesTheSameData() throws {
        let first = try PhoneBench(seed: 5)
        let second = try PhoneBench(seed: 5)
        let other = try PhoneBench(seed: 6)
        try first.agent.perform(.use(share: 0.2))
        try second.agent.perform(.use(share: 0.2))
        #expect(try first.digest() == second.digest())
        #expect(try first.digest() != other.digest())
    }

    @Test func theGeneratedFilesHaveTheBytesAskedFor() throws {
        let files = GeneratedPhoneFiles(PhoneDataSpec(fileCount: 333, byteCount: 7_654_321))
        #expect((0..<333).reduce(0) { $0 + files.item($1).content.byteCount } == 7_654_321)
    }
}
