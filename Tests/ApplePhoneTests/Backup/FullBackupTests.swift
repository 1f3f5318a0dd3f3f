import BackupCore
import Synchronization
import Testing

@testable import ApplePhone

@Suite struct FullBackupTests {
    private let tree = MemoryTree()
    private static let udid = BackupScript.udid

    private static let contents = ["00/00aa": [UInt8](repeating: 5, count: 300_000), "ff/ff01": []]

    private func fill() { BackupScript.fill(tree) }

    @Test func aFullBackupIsSavedAsThePhonePutsIt() throws {
        let request = Mutex<PropertyList?>(nil)
        let phone = ScriptedBackupPhone { phone in
            let asked = try phone.begin()
            request.withLock { $0 = asked }
            try BackupScript.backUp(phone, BackupScript.files(Self.contents))
        }
        #expect(backUp(phone, tree) == nil)
        let asked = request.withLock { $0 }
        #expect(asked?["MessageName"] == .string("Backup"))
        #expect(asked?["TargetIdentifier"] == .string(Self.udid))
        #expect(asked?["Options"]?["ForceFullBackup"] == .boolean(true))
        let files = tree.contents
        #expect(
            Set(files.keys)
                == Set(
                    [
                        "00/00aa", "ff/ff01", "Manifest.db", "Manifest.plist", "Status.plist",
                        "Info.plist",
                    ].map { "\(Self.udid)/\($0)" }))
        #expect(files["\(Self.udid)/00/00aa"] == Self.contents["00/00aa"])
        #expect(tree.lastProgress?.bytesDone ?? 0 > 0)
    }

    @Test func theNextOneContinuesWhatIsThere() throws {
        fill()
        let request = Mutex<PropertyList?>(nil)
        let phone = ScriptedBackupPhone { phone in
            let asked = try phone.begin()
            request.withLock { $0 = asked }
            let (files, _, _) = try phone.download(["\(Self.udid)/Manifest.plist"])
            guard case .some(.some(let list)) = files["\(Self.udid)/Manifest.plist"],
                list == BackupScript.files([:])[1].1
            else { return try phone.end(205) }
            try BackupScript.backUp(phone, BackupScript.files(["ff/ff01": [2]]))
        }
        #expect(backUp(phone, tree) == nil)
        #expect(request.withLock { $0 }?["Options"] == nil)
        #expect(tree["\(Self.udid)/00/00aa"] == [1])
        #expect(tree["\(Self.udid)/ff/ff01"] == [2])
        #expect(phone.conversations == 1)
    }

    @Test func infoHoldsWhatRestoringToolsExpect() throws {
        let phone = ScriptedBackupPhone { phone in
            _ = try phone.begin()
            try BackupScript.backUp(phone, BackupScript.files([:]))
        }
        #expect(backUp(phone, tree) == nil)
        let info = try PropertyList.decode(tree["\(Self.udid)/Info.plist"] ?? [])
        #expect(info["Product Version"] == .string("17.5"))
        #expect(info["Unique Identifier"] == .string(Self.udid.uppercased()))
        #expect(info["Target Identifier"] == .string(Self.udid))
        #expect(info["Target Type"] == .string("Device"))
        #expect(info["Device Name"] == info["Display Name"])
        #expect(info["Phone Number"] == nil)
        #expect(info["GUID"]?.text?.count == 32)
        #expect(info["Last Backup Date"]?.date != nil)
        #expect(info["iTunes Files"]?["iTunesPrefs"] == .data([7, 7]))
        #expect(
            info["Installed Applications"]
                == .array([.string("com.example.game"), .string("com.example.free")]))
        #expect(info["Applications"]?["com.example.game"]?["ApplicationSINF"] == .data([1]))
        #expect(info["Applications"]?["com.example.free"] == nil)
    }

    @Test func theSyncLockIsTakenAndGivenBack() throws {
        let phone = ScriptedBackupPhone { phone in
            _ = try phone.begin()
            try BackupScript.backUp(phone, BackupScript.files([:]))
        }
        phone.media.refusedLocks = 3
        #expect(backUp(phone, tree) == nil)
        #expect(
            phone.notes.posted.map { $0.replacing("com.apple.itunes-mobdev.", with: "") } == [
                "syncWillStart", "syncLockRequest", "syncDidStart", "syncDidFinish",
            ])
        #expect(!phone.media.isLocked)
        #expect(Set(phone.notes.observed).contains("com.apple.LocalAuthentication.ui.presented"))
    }

    @Test func aLockThatAnotherHoldsEndsIt() {
        let phone = ScriptedBackupPhone { _ = try $0.begin() }
        phone.media.refusedLocks = .max
        #expect(backUp(phone, tree)?.code == .busy)
    }

    @Test func thePasscodePromptIsTold() throws {
        let phone = ScriptedBackupPhone { phone in
            _ = try phone.begin()
            try BackupScript.backUp(phone, BackupScript.files([:]))
        }
        phone.notes.coming.withLock { $0 = [PhoneSigns.prompt, PhoneSigns.promptGone] }
        #expect(backUp(phone, tree) == nil)
        #expect(tree.notices == ["waiting_for_user"])
    }

    @Test func cancellingOnThePhoneEndsItPolitely() throws {
        let (time, notes) = (CountedTime(), ScriptedNotices())
        let polite = Mutex(false)
        let phone = ScriptedBackupPhone(time: time, notes: notes) { phone in
            _ = try phone.begin()
            notes.coming.withLock { $0 = [PhoneSigns.cancel] }
            time.fallSilent()
            let isPolite = try phone.waitForGoodbye()
            polite.withLock { $0 = isPolite }
        }
        #expect(backUp(phone, tree)?.code == .refused)
        #expect(notes.posted.last?.hasSuffix("syncDidFinish") == true)
        let isPolite = becomesTrue(polite)
        #expect(isPolite)
    }

    // MARK: What is no success

    @Test(arguments: [
        ("uploading", false), ("moving", false), ("removing", true),
    ])
    func withoutAFinishedStateItFailed(state: String, isEncrypted: Bool) throws {
        let phone = ScriptedBackupPhone { phone in
            _ = try phone.begin()
            try BackupScript.backUp(
                phone, BackupScript.files([:], state: state, encrypted: isEncrypted))
        }
        let error = backUp(phone, tree)
        #expect(error?.code == .protocolViolation)
        #expect(error?.detail.contains(state) == true)
    }

    @Test(arguments: ["Manifest.db", "Manifest.plist", "Status.plist"])
    func withoutItsOwnFilesItFailed(name: String) throws {
        let phone = ScriptedBackupPhone { phone in
            _ = try phone.begin()
            try BackupScript.backUp(
                phone, BackupScript.files([:]).filter { !$0.0.hasSuffix(name) })
        }
        let error = backUp(phone, tree)
        #expect(error?.detail.contains(name) == true)
        #expect(error?.exitCode == .phone)
    }

    @Test func aManifestOfTheWrongLengthIsNone() throws {
        for (bytes, isGood) in [
            (BackupScript.database(), true), (Array(BackupScript.database().dropLast(4096)), false),
            (Array("not a database".utf8), false), ([], false),
        ] {
            let phone = ScriptedBackupPhone { phone in
                _ = try phone.begin()
                let files = BackupScript.files([:]).map { path, content in
                    (path, path.hasSuffix("Manifest.db") ? bytes : content)
                }
                try BackupScript.backUp(phone, files)
            }
            #expect((backUp(phone, MemoryTree()) == nil) == isGood)
        }
    }

    @Test(arguments: [
        (1, DeviceError.Code.protocolViolation, ExitCode.phone), (3, .protocolViolation, .phone),
        (100, .gone, .phone), (105, .noSpace, .driveFull), (207, .wrongPassword, .key),
        (208, .waitingForUser, .waitingRanOut), (211, .refused, .phoneRefused),
        (212, .refused, .phoneRefused), (202, .refused, .phoneRefused),
        (220, .refused, .phoneRefused), (302, .busy, .phone), (205, .protocolViolation, .phone),
        (77, .protocolViolation, .phone),
    ])
    func eachCodeOfThePhoneHasItsEnd(
        native: Int, code: DeviceError.Code, exit: ExitCode
    ) throws {
        let phone = ScriptedBackupPhone { phone in
            _ = try phone.begin()
            try phone.end(Int64(native), "inner \u{1b}[31m")
        }
        let error = backUp(phone, tree)
        #expect(error?.code == code)
        #expect(error?.nativeCode == native)
        #expect(error?.exitCode == exit)
        #expect(error?.advice?.hasSuffix(".") == true)
        #expect(error?.explanation.contains("\u{1b}") == false)
    }

    // MARK: Falling back

    @Test(arguments: [103, 104, 205])
    func anIncrementalThatCannotContinueBecomesAFullOne(code: Int) throws {
        fill()
        let request = Mutex<PropertyList?>(nil)
        let phone = ScriptedBackupPhone(
            { phone in
                _ = try phone.begin()
                try phone.upload([("\(Self.udid)/Snapshot/aa/half", [1, 2])])
                try phone.end(Int64(code))
            },
            { phone in
                let asked = try phone.begin()
                request.withLock { $0 = asked }
                try BackupScript.backUp(phone, BackupScript.files(["ff/ff01": [2]]))
            })
        #expect(backUp(phone, tree) == nil)
        #expect(tree.notices == ["backup_full"])
        #expect(request.withLock { $0 }?["Options"]?["ForceFullBackup"] == .boolean(true))
        #expect(tree["\(Self.udid)/00/00aa"] == nil)
        #expect(tree["\(Self.udid)/Snapshot/aa/half"] == nil)
        #expect(tree["\(Self.udid)/ff/ff01"] == [2])
    }

    @Test func anUnprovenIncrementalBecomesAFullOne() throws {
        fill()
        let phone = ScriptedBackupPhone(
            { phone in
                _ = try phone.begin()
                try BackupScript.backUp(phone, BackupScript.files([:], state: "moving"))
            },
            { phone in
                _ = try phone.begin()
                try BackupScript.backUp(phone, BackupScript.files(["ff/ff01": [2]]))
            })
        #expect(backUp(phone, tree) == nil)
        #expect(phone.conversations == 2)
    }

    @Test func itFallsBackOnlyOnce() throws {
        fill()
        let phone = ScriptedBackupPhone { phone in
            _ = try phone.begin()
            try phone.end(205)
        }
        #expect(backUp(phone, tree)?.nativeCode == 205)
        #expect(phone.conversations == 2)
    }

    @Test func aFullBackupThatFailsIsNotTriedAgain() throws {
        let phone = ScriptedBackupPhone { phone in
            _ = try phone.begin()
            try phone.end(205)
        }
        #expect(backUp(phone, tree)?.nativeCode == 205)
        #expect(phone.conversations == 1)
    }

    @Test func aMomentsTroubleIsTriedAgainOnce() throws {
        let phone = ScriptedBackupPhone(
            { phone in
                _ = try phone.begin()
                try phone.end(14)
            },
            { phone in
                _ = try phone.begin()
                try BackupScript.backUp(phone, BackupScript.files([:]))
            })
        #expect(backUp(phone, tree) == nil)
        #expect(tree.notices == ["backup_again"])
    }

    @Test(arguments: [0, 1])
    func aSilentPhoneIsLeftAfterSomeMinutes(files: Int) throws {
        let time = CountedTime()
        let phone = ScriptedBackupPhone(time: time) { phone in
            _ = try phone.begin()
            if files > 0 { try phone.upload([("\(Self.udid)/Snapshot/aa/one", [1])]) }
            time.fallSilent()
            _ = try phone.receive()
        }
        let error = backUp(phone, tree)
        #expect(error?.code == .timedOut)
        #expect(error?.detail.contains(files > 0 ? "15 minutes" : "5 minutes") == true)
    }

    @Test func aStallOfAnIncrementalBecomesAFullBackup() throws {
        fill()
        let time = CountedTime()
        let phone = ScriptedBackupPhone(
            time: time,
            { phone in
                _ = try phone.begin()
                time.fallSilent()
                _ = try phone.receive()
            },
            { phone in
                _ = try phone.begin()
                try BackupScript.backUp(phone, BackupScript.files([:]))
            })
        #expect(backUp(phone, tree) == nil)
        #expect(tree.notices == ["backup_full"])
    }

    @Test func stoppingTheRunEndsItPolitely() throws {
        let time = CountedTime()
        let polite = Mutex(false)
        let phone = ScriptedBackupPhone(time: time) { phone in
            _ = try phone.begin()
            try phone.upload([("\(Self.udid)/Snapshot/aa/one", [1])])
            time.fallSilent()
            let isPolite = try phone.waitForGoodbye()
            polite.withLock { $0 = isPolite }
        }
        tree.endsAtPulse = 20
        #expect(backUp(phone, tree)?.code == .cancelled)
        #expect(phone.notes.posted.last?.hasSuffix("syncDidFinish") == true)
        let isPolite = becomesTrue(polite)
        #expect(isPolite)
    }
}
