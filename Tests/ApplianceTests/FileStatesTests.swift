import Appliance
import BackupCore
import Drives
import Foundation
import Testing

@Suite struct FileStatesTests {
    private let copy = Catalog.Copy(DriveID(trusted: "a"), OwnerID(trusted: "o"))
    private let other = Catalog.Copy(DriveID(trusted: "b"), OwnerID(trusted: "o"))

    private func catalog() throws -> Catalog {
        // A path that cannot be is a catalog in memory.
        try #require(Catalog.open(path: "/proc/none/catalog.sqlite"))
    }

    private func file(_ kind: FileKind, _ number: UInt64) -> FileName {
        FileName(kind, ContentID(words: (number, 0, 0, 1)))
    }

    /// What run `number` writes: a pack, an index, a snapshot.
    private func run(_ number: UInt64) -> Set<FileName> {
        [file(.data, number), file(.index, number), file(.snapshot, number)]
    }

    private let time = Timestamp(seconds: 1_800_000_000)

    @Test func aSnapshotIsVerifiedOnceAllThatLayThereWithItWasReadBack() throws {
        let catalog = try catalog()
        catalog.note(run(1), on: copy, at: time)
        catalog.note(run(1), on: other, at: time)
        #expect(catalog.verifiedSnapshots(on: copy) == [])
        for file in run(1).sorted() {
            #expect(catalog.verifiedSnapshots(on: copy) == [])
            catalog.remember(good: [file], problems: [:], on: copy, at: time)
        }
        #expect(catalog.verifiedSnapshots(on: copy) == [file(.snapshot, 1).id])
        #expect(catalog.verifiedSnapshots(on: other) == [])
    }

    @Test func laterFilesDoNotUnverifyAnEarlierSnapshotButItsOwnDo() throws {
        let catalog = try catalog()
        catalog.note(run(1), on: copy, at: time)
        catalog.remember(good: run(1), problems: [:], on: copy, at: time)
        catalog.note(run(1).union(run(2)), on: copy, at: time)
        #expect(catalog.verifiedSnapshots(on: copy) == [file(.snapshot, 1).id])
        catalog.remember(
            good: [], problems: [file(.data, 1): .wrongHash], on: copy, at: time)
        #expect(catalog.verifiedSnapshots(on: copy) == [])
        #expect(catalog.problems(on: copy) == [file(.data, 1): .wrongHash])
        catalog.remember(good: run(1).union(run(2)), problems: [:], on: copy, at: time)
        #expect(catalog.verifiedSnapshots(on: copy).count == 2)
        #expect(catalog.problems(on: copy) == [:])
    }

    @Test func aLaterSnapshotNeedsTheEarlierFilesToo() throws {
        let catalog = try catalog()
        catalog.note(run(1), on: copy, at: time)
        catalog.note(run(1).union(run(2)), on: copy, at: time)
        catalog.remember(good: run(2), problems: [:], on: copy, at: time)
        #expect(catalog.verifiedSnapshots(on: copy) == [])
    }

    @Test func whatReplacedARemovedPackIsNeededByEarlierSnapshots() throws {
        let catalog = try catalog()
        catalog.note(run(1), on: copy, at: time)
        catalog.remember(good: run(1), problems: [:], on: copy, at: time)
        let packed: Set = [file(.data, 9), file(.index, 9), file(.snapshot, 1)]
        catalog.note(packed, on: copy, at: time, isWhole: true)
        #expect(catalog.verifiedSnapshots(on: copy) == [])
        catalog.remember(good: packed, problems: [:], on: copy, at: time)
        #expect(catalog.verifiedSnapshots(on: copy) == [file(.snapshot, 1).id])
        #expect(catalog.standing(of: copy)?.fileCount == 3)
    }

    @Test func aFileThatIsNotFoundIsNotVerifiedAnyMore() throws {
        let catalog = try catalog()
        catalog.note(run(1), on: copy, at: time)
        catalog.remember(good: run(1), problems: [:], on: copy, at: time)
        catalog.note(run(1).subtracting([file(.data, 1)]), on: copy, at: time)
        #expect(catalog.verifiedSnapshots(on: copy) == [])
        catalog.note(
            run(1).subtracting([file(.data, 1)]), on: copy, at: time,
            problems: [file(.data, 1): .missing], isWhole: true)
        catalog.remember(good: [], problems: [file(.data, 1): .missing], on: copy, at: time)
        #expect(catalog.standing(of: copy)?.damagedCount == 1)
        #expect(catalog.verifiedSnapshots(on: copy) == [])
    }

    @Test func damagedThenNewThenOldFilesAreNeededFirst() throws {
        let catalog = try catalog()
        let files = (0..<6).map { file(.data, $0) }
        catalog.note(Set(files[0..<4]), on: copy, at: time)
        for (number, seconds) in [(0, 50), (1, 20), (2, 40)] as [(Int, Int64)] {
            catalog.remember(
                good: [files[number]], problems: [:], on: copy, at: Timestamp(seconds: seconds))
        }
        catalog.note(Set(files), on: copy, at: time)
        catalog.remember(good: [], problems: [files[2]: .unreadable], on: copy, at: time)
        let order = catalog.filesByNeed(on: copy).map(\.file)
        #expect(order == [files[2], files[4], files[5], files[3], files[1], files[0]])
        let standing = try #require(catalog.standing(of: copy))
        #expect(standing.oldestVerified == Timestamp(seconds: 20))
        #expect(standing.unverifiedCount == 4 && standing.oldestUnverified == time)
    }

    @Test func aHundredThousandFilesAreKeptAndFound() throws {
        let folder = try TemporaryFolder()
        let catalog = try #require(Catalog.open(path: folder.path + "/catalog.sqlite"))
        var files = Set((0..<100_000 as Range<UInt64>).map { file(.data, $0) })
        files.insert(file(.snapshot, 1))
        catalog.note(files, on: copy, at: time)
        catalog.remember(good: files, problems: [:], on: copy, at: time)
        #expect(catalog.verifiedSnapshots(on: copy) == [file(.snapshot, 1).id])
        #expect(catalog.standing(of: copy)?.fileCount == 100_001)
    }
}
