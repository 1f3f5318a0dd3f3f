import Appliance
import BackupCore
import ControlAPI
import Foundation
import Testing

@Suite struct CatalogTests {
    private let id = ContentID(words: (1, 2, 3, 4))

    @Test func factsSurviveReopening() throws {
        let folder = try TemporaryFolder()
        let path = folder.path + "/catalog.sqlite"
        let facts = Catalog.SnapshotFacts(isComplete: true, files: 3, bytes: 1 << 40)
        let drive = try #require(DriveID(rawValue: "a"))
        let run = Catalog.RunFacts(
            id: try #require(RunID(rawValue: "r1")), kind: "backup", owner: nil, phone: nil,
            started: Timestamp(seconds: 100), seconds: 1.5, exitCode: .notEveryDrive)
        do {
            let catalog = try #require(Catalog.open(path: path))
            catalog.remember(facts, of: id)
            catalog.remember([CopyDocument(drive: drive, state: "behind")], of: id)
            catalog.remember([CopyDocument(drive: drive, state: "durable")], of: id)
            catalog.remember(run)
        }
        let catalog = try #require(Catalog.open(path: path))
        #expect(catalog.facts(of: id) == facts)
        #expect(catalog.copies(of: id) == [CopyDocument(drive: drive, state: "durable")])
        #expect(catalog.runs(limit: 5) == [run])
    }

    @Test func severalProgramsWriteAtTheSameTimeAndNothingIsLost() async throws {
        let folder = try TemporaryFolder()
        let path = folder.path + "/catalog.sqlite"
        let catalogs = try (0..<3).map { _ in try #require(Catalog.open(path: path)) }
        let drive = try #require(DriveID(rawValue: "a"))
        await withTaskGroup(of: Void.self) { group in
            for (number, catalog) in catalogs.enumerated() {
                group.addTask {
                    for index in 0..<40 {
                        let id = ContentID(words: (UInt64(number), UInt64(index), 0, 0))
                        catalog.remember([CopyDocument(drive: drive, state: "durable")], of: id)
                    }
                }
            }
        }
        let again = try #require(Catalog.open(path: path))
        for number in 0..<3 {
            for index in 0..<40 {
                let id = ContentID(words: (UInt64(number), UInt64(index), 0, 0))
                #expect(again.copies(of: id).count == 1, "\(number) \(index)")
            }
        }
    }

    @Test(arguments: ["garbage", "", "SQLite format 3\0 and nothing more"])
    func aGarbledCatalogIsMadeAnew(text: String) throws {
        let folder = try TemporaryFolder()
        let path = folder.path + "/catalog.sqlite"
        try Data(text.utf8).write(to: URL(fileURLWithPath: path))
        let catalog = try #require(Catalog.open(path: path))
        #expect(catalog.facts(of: id) == nil)
        let facts = Catalog.SnapshotFacts(isComplete: false, files: 1, bytes: 2)
        catalog.remember(facts, of: id)
        #expect(try #require(Catalog.open(path: path)).facts(of: id) == facts)
    }

    @Test func aCatalogOverwrittenInTheMiddleIsMadeAnew() throws {
        let folder = try TemporaryFolder()
        let path = folder.path + "/catalog.sqlite"
        do {
            let catalog = try #require(Catalog.open(path: path))
            for number in 0..<500 {
                catalog.remember(
                    .init(isComplete: true, files: number, bytes: 1),
                    of: ContentID(words: (UInt64(number), 0, 0, 0)))
            }
        }
        var bytes = try Data(contentsOf: URL(fileURLWithPath: path))
        for position in 4096..<bytes.count { bytes[position] = UInt8(position % 251) }
        try bytes.write(to: URL(fileURLWithPath: path))
        let catalog = try #require(Catalog.open(path: path))
        catalog.remember(.init(isComplete: true, files: 7, bytes: 1), of: id)
        #expect(catalog.facts(of: id)?.files == 7)
    }

    @Test func theCatalogIsForItsOwnerOnlyAsPhonesNamesAreInIt() throws {
        let folder = try TemporaryFolder()
        let path = folder.path + "/catalog.sqlite"
        for _ in 0..<2 {
            let catalog = try #require(Catalog.open(path: path))
            catalog.remember(.init(isComplete: true, files: 7, bytes: 1), of: id)
            let attributes = try FileManager.default.attributesOfItem(atPath: path)
            #expect(attributes[.posixPermissions] as? Int == 0o600)
            try FileManager.default.setAttributes(
                [.posixPermissions: 0o644], ofItemAtPath: path)
        }
    }

    @Test func withoutAPlaceTheCatalogLivesInMemory() throws {
        let catalog = try #require(Catalog.open(path: "/proc/none/catalog.sqlite"))
        catalog.remember(.init(isComplete: true, files: 7, bytes: 1), of: id)
        #expect(catalog.facts(of: id)?.files == 7)
    }
}
