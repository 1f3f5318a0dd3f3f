import Foundation
import SimulatedPhones
import Testing

/// What goes wrong on purpose goes wrong as real phones do it.
@Suite struct BackupFaultTests {
    @Test(
        arguments: BackupStage.allCases.filter { ![.hello, .copy, .download, .apply].contains($0) })
    func anErrorEndsTheBackupAtItsStage(_ stage: BackupStage) throws {
        let bench = try PhoneBench()
        try bench.agent.perform(.fault(.error(code: 14, at: stage)))
        #expect(try bench.backUp() == 14)
        #expect(try bench.backUp(full: true) == 0)
    }

    @Test func aBrokenLineLeavesThePreviousBackupUntilFilesMove() throws {
        for stage in BackupStage.allCases {
            let bench = try PhoneBench()
            try bench.backUp()
            try bench.agent.perform(.use(share: 0.5))
            bench.phone.set { $0.brokenStage = "backup.\(stage.rawValue)" }
            let isReached = ![.copy, .download, .apply].contains(stage)
            if isReached {
                #expect(throws: StreamEnd.self) { try bench.backUp() }
            }
            let status = try PropertyList.decode(
                Array(try Data(contentsOf: URL(filePath: bench.backup + "/Status.plist"))))
            let isMixed = [.remove, .finish].contains(stage)
            #expect((status["SnapshotState"]?.text == "finished") == !isMixed, "\(stage)")
            bench.phone.set { $0.brokenStage = nil }
            #expect(try bench.backUp(full: true) == 0)
        }
    }

    @Test func aLeftOverSnapshotBreaksTheNextIncremental() throws {
        let bench = try PhoneBench()
        try bench.agent.perform(.fault(.keepSnapshot))
        try bench.backUp()
        #expect(FileManager.default.fileExists(atPath: bench.backup + "/Snapshot"))
        #expect(try bench.backUp() == 205)
        #expect(try bench.backUp(full: true) == 0)
        #expect(try bench.backUp() == 0)
    }

    @Test func damagedFilesOfTheHostHaveTheirCodes() throws {
        let damage: [(String, [UInt8], Int64)] = [
            ("Manifest.plist", [], 205), ("Manifest.plist", [1, 2, 3], 205),
            ("Status.plist", [], 103), ("Status.plist", Array("<plist><dict/></plist>".utf8), 103),
            ("Manifest.db", [1, 2, 3], 104),
        ]
        for (name, bytes, code) in damage {
            let bench = try PhoneBench()
            try bench.backUp()
            try Data(bytes).write(to: URL(filePath: bench.backup + "/" + name))
            #expect(try bench.backUp() == code, "\(name)")
        }
    }

    @Test func thePhoneEndsWith105WhenTheHostHasNoRoom() throws {
        let bench = try PhoneBench(files: 60, bytes: 3_000_000)
        var messages: [String] = []
        let response = try bench.ask("Backup") { host in
            host.freeBytes = 130 << 20
        } after: {
            messages = $0.messages
        }
        #expect(response["ErrorCode"]?.integer == 105)
        #expect(response["ErrorDescription"]?.text?.contains("MBErrorDomain/105") == true)
        #expect(messages.contains("DLMessagePurgeDiskSpace"))
        #expect(!messages.contains("DLMessageUploadFiles"))
        // Room for the files and 128 MiB is enough.
        #expect(try bench.backUp { $0.freeBytes = 160 << 20 } == 0)
    }

    @Test func aFileThatCannotBeReadIsLeftOut() throws {
        let bench = try PhoneBench()
        try bench.agent.perform(.fault(.fileError(block: 0x0B, path: "sms.db")))
        try bench.backUp()
        let count = "SELECT count(*) FROM Files WHERE relativePath LIKE '%sms.db'"
        #expect(try bench.sqlite(bench.backup + "/Manifest.db", count) == "0")
        try bench.backUp()
        #expect(try bench.sqlite(bench.backup + "/Manifest.db", count) == "1")
    }

    @Test func thePasscodeIsAskedForFromIOS16Dot1On() throws {
        let bench = try PhoneBench()
        bench.phone.change { $0.hasPasscode = true }
        bench.phone.change { $0.productVersion = "16.0.3" }
        #expect(try bench.backUp() == 0)
        #expect(bench.phone.seen.prompts == 0)
        bench.phone.change { $0.productVersion = "16.1" }
        #expect(try bench.backUp() == 0)
        bench.phone.set { $0.entersPasscode = false }
        #expect(try bench.backUp() == 208)
        #expect(bench.phone.seen.prompts == 2)
    }

    @Test func aHostThatVanishedLeavesASnapshotUntilTheRestart() throws {
        let bench = try PhoneBench { $0.keepsSnapshotOfDeadHost = true }
        #expect(throws: StreamEnd.self) {
            try bench.backUp { $0.vanishesAt = "DLMessageMoveItems" }
        }
        #expect(try bench.backUp() == 3)
        bench.phone.change { $0.restartCount += 1 }
        #expect(try bench.backUp(full: true) == 0)
    }

    @Test func oldRequestsAreRefused() throws {
        let bench = try PhoneBench()
        for name in ["Info", "List", "Unback", "Extract", "EraseDevice"] {
            #expect(try bench.ask(name)["ErrorCode"]?.integer == 1)
        }
        #expect(try bench.ask("Backup", ["TargetIdentifier": "other"])["ErrorCode"]?.integer == 1)
    }

    @Test func everyFaultHasWords() {
        #expect(BackupCommand(words: ["use", "1"]) == .use(share: 0.01))
        #expect(
            BackupCommand(words: ["fault", "error", "105", "upload"])
                == .fault(.error(code: 105, at: .upload)))
        #expect(
            BackupCommand(words: ["fault", "hostile", "move-to-parent", "prepare"])
                == .fault(.hostile(.moveToParent, at: .prepare)))
        #expect(
            BackupCommand(words: ["fault", "file-error", "0b", "sms.db"])
                == .fault(.fileError(block: 0x0B, path: "sms.db")))
        #expect(BackupCommand(words: ["fault", "error", "105", "nowhere"]) == nil)
        #expect(BackupCommand(words: ["use", "101"]) == nil)
    }
}
