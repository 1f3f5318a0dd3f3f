import BackupCore
import Drives
import Glibc
import ResticFormat
import Testing

@Suite struct DriveTests: ~Copyable {
    let folder = TestFolder()
    deinit { folder.remove() }

    @Test func enrolledDriveOpensAgainAsItself() async throws {
        let path = folder.folder("a")
        let drive = try await DrivePair.enrol(path)
        let again = try await Drive.open(
            path: path, expected: drive.id, options: DrivePair.options())
        #expect(again.record == drive.record)
        #expect(try await again.owners() == [])
        let names = Set(PlainFile.tree("\(path)/holdfast").keys)
        #expect(
            names == ["/README.txt", "/drive.json", "/journal", "/quarantine", "/repositories"])
    }

    @Test func absentDriveIsNeverMade() async throws {
        let empty = folder.folder("empty")
        for path in [empty, folder.path + "/missing", folder.path + "/missing\0x"] {
            await #expect(throws: BackendError.self) {
                try await Drive.open(path: path, options: DrivePair.options())
            }
        }
        #expect(PlainFile.tree(folder.path).keys.sorted() == ["/empty"])
        let error = await #expect(throws: BackendError.self) {
            try await Drive.open(path: empty, options: DrivePair.options())
        }
        #expect(error?.code == .absent)
    }

    @Test func enrolledOrFilledFolderIsNotEnrolledAgain() async throws {
        let path = folder.folder("a")
        _ = try await DrivePair.enrol(path)
        let before = PlainFile.tree(path)
        let error = await #expect(throws: BackendError.self) { try await DrivePair.enrol(path) }
        #expect(error?.code == .wrongDrive)
        #expect(PlainFile.tree(path) == before)
    }

    @Test func anotherDriveInItsPlaceIsRefused() async throws {
        let path = folder.folder("a")
        _ = try await DrivePair.enrol(path)
        let error = await #expect(throws: BackendError.self) {
            try await Drive.open(
                path: path, expected: DriveID(trusted: "drive-x"), options: DrivePair.options())
        }
        #expect(error?.code == .wrongDrive)
    }

    @Test(arguments: [
        "", "{", "{}", "{\"version\":1}", "garbage", "{\"version\":1,\"drive\":\"../x\"}",
    ])
    func garbledRecordIsRecognisedByConfigs(content: String) async throws {
        let path = folder.folder("a")
        let drive = try await DrivePair.enrol(path)
        try await DrivePair.initialise(drive.repository(DrivePair.owner))
        PlainFile.write("\(path)/holdfast/drive.json", Array(content.utf8))
        let error = await #expect(throws: BackendError.self) {
            try await Drive.open(path: path, options: DrivePair.options())
        }
        #expect(error?.code == .absent)
        let unidentified = try #require(
            try await Drive.openUnidentified(path: path, options: DrivePair.options()))
        #expect(try await unidentified.configs() == [DrivePair.owner: DrivePair.config])
        let back = try await unidentified.identify(as: drive.record.renewed())
        #expect(back.id == drive.id)
        let opened = try await Drive.open(path: path, options: DrivePair.options())
        #expect(opened.record.generation == 2)
        #expect(try await opened.owners() == [DrivePair.owner])
    }

    @Test(arguments: [false, true])
    func folderInPlaceOfTheRecordIsMovedAsideAndKept(quarantineIsFile: Bool) async throws {
        let path = folder.folder("a")
        let drive = try await DrivePair.enrol(path)
        try await DrivePair.initialise(drive.repository(DrivePair.owner))
        Shell.run("rm", "\(path)/holdfast/drive.json")
        Shell.run("mkdir", "\(path)/holdfast/drive.json")
        PlainFile.write("\(path)/holdfast/drive.json/kept", [1, 2, 3])
        if quarantineIsFile {
            Shell.run("rmdir", "\(path)/holdfast/quarantine")
            PlainFile.write("\(path)/holdfast/quarantine", [4])
        }
        let unidentified = try #require(
            try await Drive.openUnidentified(path: path, options: DrivePair.options()))
        let back = try await unidentified.identify(as: drive.record.renewed())
        #expect(back.id == drive.id)
        let opened = try await Drive.open(path: path, options: DrivePair.options())
        #expect(opened.record.generation == 2)
        #expect(PlainFile.read("\(path)/holdfast/quarantine/drive.json-1/kept") == [1, 2, 3])
        let other = PlainFile.read("\(path)/holdfast/quarantine/quarantine-1")
        #expect(other == (quarantineIsFile ? [4] : nil))
    }

    @Test func recordOfANewerLayoutIsRefused() async throws {
        let path = folder.folder("a")
        _ = try await DrivePair.enrol(path)
        PlainFile.write("\(path)/holdfast/drive.json", Array("{\"version\":2}\n".utf8))
        let error = await #expect(throws: BackendError.self) {
            try await Drive.open(path: path, options: DrivePair.options())
        }
        #expect(error?.code == .wrongDrive)
    }

    @Test func oneFolderTwiceAndClonesAreRefused() async throws {
        let path = folder.folder("a")
        let drive = try await DrivePair.enrol(path)
        unsafe symlink(path, folder.path + "/link")
        let same = try await Drive.open(
            path: folder.path + "/link", options: DrivePair.options())
        #expect(throws: BackendError.self) { try Drive.refuseDuplicates(among: [drive, same]) }
        Shell.run("cp", "-a", path, folder.path + "/clone")
        let clone = try await Drive.open(
            path: folder.path + "/clone", options: DrivePair.options())
        #expect(throws: BackendError.self) { try Drive.refuseDuplicates(among: [drive, clone]) }
        let other = try await DrivePair.enrol(folder.folder("b"))
        try Drive.refuseDuplicates(among: [drive, other])
        #expect(try drive.sharesDevice(with: other))
    }

    @Test func linksInsideTheDriveAreNotFollowed() async throws {
        let path = folder.folder("a")
        let drive = try await DrivePair.enrol(path)
        let backend = drive.repository(DrivePair.owner)
        try await DrivePair.initialise(backend)
        let outside = folder.folder("outside")
        let bytes: [UInt8] = [1, 2, 3]
        let file = DrivePair.file(.data, bytes)
        let part = "\(DrivePair.repositoryPath(path))/data/\(file.id.hex.prefix(2))"
        Shell.run("rmdir", part)
        unsafe symlink(outside, part)
        await #expect(throws: BackendError.self) { try await backend.write(file, bytes) }
        #expect(PlainFile.tree(outside).isEmpty)
    }

    @Test func renewedRecordIsWrittenDown() async throws {
        let path = folder.folder("a")
        let drive = try await DrivePair.enrol(path)
        let renewed = try await drive.renew()
        #expect(renewed.nonce != DriveRecord.new(set: DrivePair.set).nonce)
        let opened = try await Drive.open(path: path, options: DrivePair.options())
        #expect(opened.record == renewed)
    }

    @Test func leftOverOfAKilledRenewalGoesWithTheNext() async throws {
        let path = folder.folder("a")
        let drive = try await DrivePair.enrol(path)
        for number in 1...2 {
            PlainFile.write("\(path)/holdfast/drive.json-tmp-\(number)", [0x7B])
        }
        _ = try await drive.renew()
        #expect(PlainFile.tree("\(path)/holdfast").keys.allSatisfy { !$0.contains("-tmp-") })
    }

    @Test func runsThatEndAtTheSameTimeRenewTheRecordOneAfterTheOther() async throws {
        let path = folder.folder("a")
        let first = try await DrivePair.enrol(path)
        let second = try await Drive.open(path: path, options: DrivePair.options())
        let one = try await first.renew()
        let two = try await second.renew()
        #expect(two.generation == one.generation + 1)
        let generations = try await withThrowingTaskGroup(of: UInt64.self) { group in
            for number in 0..<20 {
                let drive = number % 2 == 0 ? first : second
                group.addTask { try await drive.renew().generation }
            }
            return try await group.reduce(into: Set<UInt64>()) { $0.insert($1) }
        }
        #expect(generations.count == 20, "no two runs gave the drive the same generation")
        let opened = try await Drive.open(path: path, options: DrivePair.options())
        #expect(opened.record.generation == two.generation + 20)
    }

    @Test func leftOversOutsideTheRepositoriesAreSwept() async throws {
        let path = folder.folder("a")
        let drive = try await DrivePair.enrol(path)
        let left = [
            "drive.json-tmp-3", "journal/0000000002.json-tmp-1", "quarantine/x-tmp-12",
            "repositories/y-tmp-1",
        ]
        for name in left { PlainFile.write("\(path)/holdfast/\(name)", [1]) }
        PlainFile.write("\(path)/holdfast/quarantine/notes-tmp-of-mine", [1])
        try await drive.sweep()
        let names = PlainFile.tree("\(path)/holdfast").keys.filter { $0.contains("-tmp-") }
        #expect(names == ["/quarantine/notes-tmp-of-mine"])
        PlainFile.write("\(path)/holdfast/drive.json-tmp-4", [1])
        _ = try await drive.renew()
        #expect(PlainFile.read("\(path)/holdfast/drive.json-tmp-4") == nil)
    }

    @Test func enrolmentCutShortAnywhereIsNoDriveAndCompletesLater() async throws {
        let counting = NthCall()
        _ = try await DrivePair.enrol(folder.folder("count"), fault: counting.hook)
        for failing in 1...counting.count {
            let path = folder.folder("enrol-\(failing)")
            let fault = NthCall(failing: failing, isSticky: true)
            await #expect(throws: BackendError.self) {
                try await DrivePair.enrol(path, fault: fault.hook)
            }
            // The last calls may fail after the record is durable: then it is a drive already.
            if PlainFile.read("\(path)/holdfast/drive.json") == nil {
                _ = try await DrivePair.enrol(path)
            }
            let drive = try await Drive.open(path: path, options: DrivePair.options())
            #expect(try await drive.owners() == [])
            #expect(PlainFile.tree("\(path)/holdfast").count == 5)
        }
    }

    @Test func spaceTellsWhatPacksMayUse() async throws {
        let drive = try await DrivePair.enrol(folder.folder("a"))
        let space = try await drive.space()
        #expect(space.freeBytes > 0 && space.freeBytes <= space.totalBytes)
        #expect(space.usableBytes == space.freeBytes)
        #expect(DriveOptions.defaultReserve(totalBytes: 2 << 40) == 1 << 30)
        #expect(DriveOptions.defaultReserve(totalBytes: 4 << 30) == 64 << 20)
        #expect(DriveOptions.defaultReserve(totalBytes: 32 << 20) == 2 << 20)
    }
}
