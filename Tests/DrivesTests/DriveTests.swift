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
