import Appliance
import BackupCore
import ControlAPI
import Drives
import Foundation
import ResticFormat
import Testing

@Suite struct SetupTests {
    // MARK: Refused before anything is written

    @Test(arguments: [
        ["n", "n/"], ["n", "s/../n"], ["n", "link"], ["n", "n/holdfast"], ["n/below", "n"],
        ["state"], ["state/below"], ["holder"],
    ])
    func foldersThatMeetAreRefusedBeforeAnythingIsWritten(drives: [String]) async throws {
        let lab = try SetupLab(state: drives == ["holder"] ? "holder/holdfast" : "state")
        for name in ["n/holdfast", "n/below", "s", "state/below", "holder"] {
            try lab.makeFolder(name)
        }
        try FileManager.default.createSymbolicLink(
            atPath: lab.path("link"), withDestinationPath: lab.path("n"))
        let before = lab.files
        #expect(await lab.failure(drives)?.exitCode == .usage)
        #expect(lab.files == before)
    }

    @Test func missingFolderIsNamedAndNothingIsWritten() async throws {
        let lab = try SetupLab()
        try lab.makeFolder("a")
        let before = lab.files
        let failure = await lab.failure(["a", "missing"])
        #expect(failure?.exitCode == .noDrive)
        #expect(failure?.explanation.contains(lab.path("missing")) == true)
        #expect(failure?.explanation.contains("lacks") == false)
        #expect(lab.files == before)
    }

    @Test func copyOfADriveIsRefusedBeforeAnythingIsWritten() async throws {
        let lab = try await SetupLab.with(["a"])
        try FileManager.default.copyItem(atPath: lab.path("a"), toPath: lab.path("copy"))
        try lab.makeFolder("new")
        let before = lab.files
        #expect(await lab.failure(["new", "copy"])?.exitCode == .wrongDrive)
        #expect(lab.files == before)
    }

    // MARK: A path the configuration names

    @Test func emptyMountPointOfAnEnrolledDriveIsNeverEnrolled() async throws {
        let lab = try await SetupLab.with(["a", "b"])
        let id = try #require(lab.record("b"))
        try FileManager.default.moveItem(atPath: lab.path("b"), toPath: lab.path("away"))
        try lab.makeFolder("b")
        let before = lab.files
        for drives in [["b"], ["a", "b"]] {
            let failure = await lab.failure(drives)
            #expect(failure?.exitCode == .noDrive)
            #expect(failure?.explanation.contains(id) == true)
            #expect(failure?.explanation.contains("remove its entry from") == true)
            #expect(lab.files == before)
        }
    }

    @Test func driveFoundElsewhereGetsItsNewPathInTheFile() async throws {
        let lab = try await SetupLab.with(["a", "b"])
        let text = "# my own line\n" + lab.configuration
        try lab.write(text, to: "holdfast.yaml")
        try FileManager.default.moveItem(atPath: lab.path("b"), toPath: lab.path("b2"))
        let report = try await lab.setUp(["b2"])
        #expect(report.drives.map(\.state) == ["ready", "ready"])
        #expect(report.notes.contains { $0.contains(lab.path("b2")) })
        #expect(
            lab.configuration
                == text.replacing("\"\(lab.path("b"))\"", with: "\"\(lab.path("b2"))\""))
    }

    @Test func drivesThatSwappedPlacesStayThemselves() async throws {
        let lab = try await SetupLab.with(["a", "b"])
        let ids = [lab.record("a"), lab.record("b")]
        let manager = FileManager.default
        try manager.moveItem(atPath: lab.path("a"), toPath: lab.path("c"))
        try manager.moveItem(atPath: lab.path("b"), toPath: lab.path("a"))
        try manager.moveItem(atPath: lab.path("c"), toPath: lab.path("b"))
        let report = try await lab.setUp(["a"])
        #expect(report.drives.map(\.state) == ["ready", "ready"])
        #expect(report.drives.map(\.id.rawValue) == ids.compactMap(\.self))
        #expect(report.drives.map(\.path) == [lab.path("b"), lab.path("a")])
    }

    @Test(arguments: [
        "drives:\n  - id: z\n    path: /old # here\n    name: Left\n",
        "drives: [{id: y, path: /other}, {id: z, path: /old, name: \"/old\"}]\n",
        "drives:\n  - path: '/old'\n    id: z\nstate: /old\n",
        "# path: /old\ndrives:\n  - id: z\n    path: \"/old\"\n",
    ])
    func onlyThePathOfTheMovedDriveChanges(text: String) throws {
        let bare = Surroundings(
            variables: [:], isRoot: true, workingFolder: "/", hostname: "h")
        let drive = try #require(DriveID(rawValue: "z"))
        let result = try #require(
            Configuration.moving(drive, to: "/a \"new\" one", in: text, file: "/f", bare))
        var expected = try Configuration.read(text, file: "/f", in: bare)
        expected.drives = expected.drives.map {
            $0.id == drive ? .init(id: $0.id, name: $0.name, path: "/a \"new\" one") : $0
        }
        #expect(try Configuration.read(result, file: "/f", in: bare) == expected)
        #expect(result.contains("# ") == text.contains("# "))
    }

    // MARK: Garbled records

    @Test(arguments: [["a"], ["b"], ["a", "b"]])
    func garbledRecordsGetTheirOwnIdsBack(garbled: [String]) async throws {
        let lab = try await SetupLab.with(["a", "b"])
        try lab.giveAnOwner(on: ["a", "b"])
        let ids = [lab.record("a"), lab.record("b")]
        for name in garbled { try lab.write("x", to: "\(name)/holdfast/drive.json") }
        for drives in [["a", "b"], ["b", "a"]] {
            let report = try await lab.setUp(drives)
            #expect(report.drives.map(\.state) == ["ready", "ready"])
            #expect([lab.record("a"), lab.record("b")] == ids)
        }
    }

    @Test func garbledDriveAtAnotherPathTakesTheIdThatNobodyCarries() async throws {
        let lab = try await SetupLab.with(["a", "b"])
        try lab.giveAnOwner(on: ["a", "b"])
        let ids = [lab.record("a"), lab.record("b")]
        try FileManager.default.moveItem(atPath: lab.path("b"), toPath: lab.path("b2"))
        try lab.write("x", to: "b2/holdfast/drive.json")
        let report = try await lab.setUp(["b2"])
        #expect([lab.record("a"), lab.record("b2")] == ids)
        #expect(report.drives.map(\.state) == ["ready", "ready"])
    }

    @Test func garbledDriveThatSwappedPlacesIsNotTakenForTheOther() async throws {
        let lab = try await SetupLab.with(["a", "b"])
        try lab.giveAnOwner(on: ["a", "b"])
        let ids = [lab.record("a"), lab.record("b")]
        let manager = FileManager.default
        try manager.moveItem(atPath: lab.path("a"), toPath: lab.path("c"))
        try manager.moveItem(atPath: lab.path("b"), toPath: lab.path("a"))
        try manager.moveItem(atPath: lab.path("c"), toPath: lab.path("b"))
        try lab.write("x", to: "a/holdfast/drive.json")
        _ = try await lab.setUp([])
        #expect(lab.record("a") == nil && lab.record("b") == ids[0])
        let report = try await lab.setUp(["a", "b"])
        #expect([lab.record("b"), lab.record("a")] == ids)
        #expect(report.drives.map(\.state) == ["ready", "ready"])
    }

    @Test func twoEntriesWithOnePathAreNoClone() async throws {
        let lab = try await SetupLab.with(["a", "b"])
        let text = lab.configuration.replacing(lab.path("b"), with: lab.path("a"))
        try lab.write(text, to: "holdfast.yaml")
        #expect(try await lab.setUp([]).drives.map(\.state) == ["ready", "wrong"])
        #expect(try await lab.setUp(["b"]).drives.map(\.state) == ["ready", "ready"])
    }

    @Test func driveWhoseRecordWasDeletedIsRecognisedByItsRepositories() async throws {
        let lab = try await SetupLab.with(["a", "b"])
        try lab.giveAnOwner(on: ["a", "b"])
        let ids = [lab.record("a"), lab.record("b")]
        try FileManager.default.removeItem(atPath: lab.path("b/holdfast/drive.json"))
        let report = try await lab.setUp(["a", "b"])
        #expect([lab.record("a"), lab.record("b")] == ids)
        #expect(report.enrolled.isEmpty && report.drives.map(\.state) == ["ready", "ready"])
    }

    @Test func strangersRepositoriesWithoutARecordAreLeftAsTheyAre() async throws {
        let lab = try await SetupLab.with(["a"])
        try lab.makeFolder("s/holdfast/repositories/owner-9")
        try lab.write("x", to: "s/holdfast/repositories/owner-9/config")
        #expect(await lab.failure(["s"])?.exitCode == .wrongDrive)
        #expect(!lab.files.keys.contains("s/holdfast/drive.json"))
    }

    @Test func garbledDriveNeverTakesAnIdThatAnAbsentDriveMayCarry() async throws {
        let lab = try await SetupLab.with(["a", "b", "c"])
        try lab.giveAnOwner(on: ["c"])
        let ids = try ["a", "b", "c"].map { try #require(lab.record($0)) }
        for name in ["b", "c"] {
            try FileManager.default.moveItem(
                atPath: lab.path(name), toPath: lab.path("away-" + name))
        }
        try lab.write("x", to: "away-c/holdfast/drive.json")
        _ = try await lab.setUp(["away-c"])
        #expect(!ids.contains(try #require(lab.record("away-c"))))
    }

    @Test func strangersGarbledDriveIsLeftAsItIs() async throws {
        let lab = try await SetupLab.with(["a"])
        try lab.makeFolder("s/holdfast/repositories")
        try lab.makeFolder("new")
        try lab.write("x", to: "s/holdfast/drive.json")
        func drives() -> [String: String] { lab.files.filter { !$0.key.hasPrefix("state") } }
        let before = drives()
        #expect(await lab.failure(["new", "s"])?.exitCode == .wrongDrive)
        #expect(drives() == before)
    }

    // MARK: Words

    @Test func everyLineIsTriedForEveryOwner() async throws {
        let lab = try await SetupLab.with(["a"])
        var words: [String] = []
        for _ in 0..<7 { words.append(try lab.giveAnOwner(on: ["a"])) }
        try FileManager.default.removeItem(atPath: lab.path("state"))
        try FileManager.default.removeItem(atPath: lab.path("holdfast.yaml"))
        let report = try await lab.setUp(["a"], words: ListedWords(words.reversed()))
        #expect(report.adopted.count == 7)
    }

    @Test func secretsThatDoNotOpenAreAskedForAgain() async throws {
        let lab = try await SetupLab.with(["a"])
        let words = try lab.giveAnOwner(on: ["a"])
        let folder = "state/owners/" + lab.owners[0].rawValue
        try FileManager.default.removeItem(atPath: lab.path(folder + "/words"))
        try lab.write("0000\n", to: folder + "/password")
        let report = try await lab.setUp(["a"], words: ListedWords([words]))
        #expect(report.adopted == lab.owners)
        #expect(try await lab.setUp(["a"]).adopted.isEmpty)
    }
}
