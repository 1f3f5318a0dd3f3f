import Foundation
import SimulatedPhones
import Testing

extension EndToEndTests {
    /// An iPhone's own full backup, written by the phone into the repository.
    @Suite struct IPhoneBackupTests {
        private static let content = ["--backup-files", "60", "--backup-bytes", "3000000"]
        private static let rounds = ["--backup-rounds", "20"]
        private static let password = "né word 1"

        private func ready(_ options: [String] = []) throws -> (lab: Lab, phone: IPhone) {
            let lab = try Lab()
            let phone = try lab.plugInIPhone(
                Self.content + Self.rounds + ["--passcode", "enter"] + options)
            try lab.setUp()
            return (lab, phone)
        }

        private func backUp(_ lab: Lab, wait: Int = 60) throws -> Finished {
            try lab.startBackup(["--capture", "backup"], wait: wait).finish()
        }

        private func phoneID(_ lab: Lab) throws -> String {
            let phones = try lab.expect(0, lab.holdfast("phones", "--json")).json.elements
            return try #require(phones.first?["id"].text)
        }

        /// The newest backup in a folder, as Apple's own tools have it.
        private func restoreToFolder(_ lab: Lab) throws -> String {
            let target = lab.folder + "/out/restored-" + UUID().uuidString
            try lab.expect(
                0, lab.holdfast("restore", "latest", "--capture", "backup", "--to", target))
            return target + "/Backup"
        }

        private func idevicebackup2(_ lab: Lab, _ arguments: String...) throws -> Finished {
            try Child(
                ["/usr/bin/idevicebackup2"] + arguments, variables: lab.variables,
                outputIn: lab.folder + "/out"
            ).finish()
        }

        /// A folder's files but for what the host writes.
        private func phonesFiles(_ folder: String) -> [String: String] {
            contents(of: folder).filter { !$0.key.hasSuffix("/Info.plist") }
        }

        // MARK: Full and incremental

        @Test func aFullBackupIsWhatThePhoneHas() throws {
            let (lab, _) = try ready()
            let summary = try lab.expect(0, backUp(lab)).summary
            #expect(summary["verdict"].text == "safe")
            #expect(summary["snapshots"][0]["complete"].flag == true)
            try lab.expectWholeAndAlike()
            let folder = try restoreToFolder(lab)
            let other = lab.folder + "/out/plain"
            try FileManager.default.createDirectory(
                atPath: other, withIntermediateDirectories: true)
            let plain = try idevicebackup2(lab, "-u", IPhone.udid, "backup", "--full", other)
            #expect(plain.exitCode == 0, "\(plain.story)")
            // Both began from nothing, so that the phone sent the same files; its records of the
            // two backups differ (their times and identifiers).
            let records = ["Status.plist", "Manifest.plist", "Manifest.db"]
            func data(_ folder: String) -> [String: String] {
                phonesFiles(folder).filter { file in
                    !records.contains { file.key.hasSuffix("/" + $0) }
                }
            }
            #expect(differences(data(folder), data(other)) == [])
            #expect(Set(phonesFiles(folder).keys) == Set(phonesFiles(other).keys))
        }

        @Test func theNextOneTakesOnlyWhatChanged() throws {
            let (lab, phone) = try ready()
            let first = try lab.expect(0, backUp(lab)).summary
            try phone.control("backup", "use", "5")
            let second = try lab.expect(0, backUp(lab)).summary
            let read = try #require(second["bytes"]["read"].number)
            #expect(read < (first["bytes"]["read"].number ?? 0) / 2)
            let counters = try JSON(text: phone.control("backup", "status"))["counters"]
            #expect(counters["incrementalBackups"].number == 1)
            try lab.expectWholeAndAlike()
        }

        // MARK: Onto another phone

        private static let second = "00008110-000A1B2C3D4E802E"

        /// A phone with data and an erased one; the first is backed up.
        private func backedUpWithAnErasedOne(
            password: String?, _ second: String = ""
        ) throws -> (lab: Lab, phone: IPhone) {
            let lab = try Lab()
            let old =
                "udid=\(IPhone.udid),name=Old,backup-files=60,backup-bytes=3000000"
                + (password.map { ",backup-password=\($0)" } ?? "")
            let new = "udid=\(Self.second),name=New,backup-files=0,backup-bytes=0" + second
            let phone = try lab.plugInIPhone(
                Self.rounds + ["--passcode", "enter", "--phone", old, "--phone", new])
            try lab.setUp()
            let run = ["--capture", "backup", "--phone", try id(lab, "Old")]
            try lab.expect(0, lab.startBackup(run, wait: 60).finish())
            try phone.control("backup", "use", "10")
            try lab.expect(0, lab.startBackup(run, wait: 60).finish())
            return (lab, phone)
        }

        private func id(_ lab: Lab, _ name: String) throws -> String {
            let phones = try lab.expect(0, lab.holdfast("phones", "--json")).json.elements
            return try #require(phones.first { $0["name"].text == name }?["id"].text)
        }

        /// SHA-256 over all data of both phones; equal means equal bit for bit.
        private func digests(_ phone: IPhone, isEncrypted: Bool) throws -> (String?, String?) {
            func digest(_ bay: Int) throws -> String? {
                let answer =
                    isEncrypted
                    ? try phone.control(bay: bay, "backup", "digest")
                    : try phone.control(bay: bay, "backup", "digest", "plain")
                return try JSON(text: answer)["digest"].text
            }
            return (try digest(1), try digest(2))
        }

        @Test(arguments: [nil, "secret1"])
        func idevicebackup2RestoresOurFolderBitForBit(password: String?) throws {
            let (lab, phone) = try backedUpWithAnErasedOne(password: password)
            let folder = try restoreToFolder(lab)
            let secret = password.map { ["--password", $0] } ?? []
            let restored = try Child(
                [
                    "/usr/bin/idevicebackup2", "-u", Self.second, "-s", IPhone.udid, "restore",
                    "--system", "--remove", "--settings",
                ] + secret + [folder], variables: lab.variables, outputIn: lab.folder + "/out"
            ).finish()
            #expect(restored.output.contains("Restore Successful."), "\(restored.story)")
            let (old, new) = try digests(phone, isEncrypted: password != nil)
            #expect(old != nil && old == new)
        }

        @Test(arguments: [nil, "secret1"])
        func aPhoneTakesTheBackupOfAnotherBitForBit(password: String?) throws {
            let (lab, phone) = try backedUpWithAnErasedOne(password: password)
            let new = try id(lab, "New")
            let words = ["restore", "latest", "--capture", "backup", "--to-phone", new]
            if let password {
                try lab.expect(41, lab.start(words + ["--yes", "New"]).finish())
                try lab.expect(
                    0,
                    lab.holdfast(
                        "key", "phone", "--phone", id(lab, "Old"), "--known",
                        input: password + "\n"))
            }
            let other = try lab.start(words + ["--yes", "Nes"]).finish()
            #expect(other.exitCode == 64)
            let restored = try lab.expect(0, lab.start(words + ["--yes", "New"]).finish())
            #expect(restored.errors.contains("It has restarted"), "\(restored.story)")
            let digests = try digests(phone, isEncrypted: password != nil)
            #expect(digests.0 != nil && digests.0 == digests.1)
        }

        @Test func aMergeBringsTheBackupAndKeepsTheRest() throws {
            let (lab, phone) = try backedUpWithAnErasedOne(
                password: nil, ",backup-files=40,backup-bytes=1000000,backup-seed=7")
            func export(_ bay: Int, _ name: String) throws -> [String: String] {
                let folder = lab.folder + "/out/" + name
                try phone.control(bay: bay, "backup", "export", folder)
                return contents(of: folder)
            }
            let old = try export(1, "old")
            let before = try export(2, "before")
            let own = before.filter { old[$0.key] == nil }
            try #require(!own.isEmpty)
            try lab.expect(
                0,
                lab.start([
                    "restore", "latest", "--capture", "backup", "--to-phone", id(lab, "New"),
                    "--merge", "--yes", "New",
                ]).finish())
            let after = try export(2, "after")
            #expect(own.allSatisfy { after[$0.key] == $0.value }, "what only it had stays")
            let photos = old.filter { $0.key.hasPrefix("/CameraRollDomain/") }
            try #require(!photos.isEmpty)
            #expect(photos.allSatisfy { after[$0.key] == $0.value })
            let messages = "/HomeDomain/Library/SMS/sms.db"
            #expect(after[messages] == old[messages] && after[messages] != before[messages])
            // Its own settings are not those of the other one.
            let settings = before.filter {
                $0.key.hasPrefix("/HomeDomain/Library/Preferences/")
            }
            try #require(!settings.isEmpty)
            #expect(settings.allSatisfy { after[$0.key] == $0.value })
        }

        @Test func aPhoneTooFullForABackupIsNamed() throws {
            let (lab, phone) = try backedUpWithAnErasedOne(password: nil)
            try phone.control(bay: 2, "backup", "fault", "error", "105", "space")
            let full = try lab.start([
                "restore", "latest", "--capture", "backup", "--to-phone", id(lab, "New"), "--yes",
                "New",
            ]).finish()
            #expect(full.exitCode == 52, "\(full.story)")
            #expect(full.errors.contains("too little room"))
        }

        @Test func whatIsMissingForARestoreIsNamedAtOnce() throws {
            let (lab, _) = try backedUpWithAnErasedOne(
                password: nil, ",find-my=true,battery=5,ios=15.1")
            let refused = try lab.start([
                "restore", "latest", "--capture", "backup", "--to-phone", id(lab, "New"), "--yes",
                "New",
            ]).finish()
            #expect(refused.exitCode == 52, "\(refused.story)")
            for word in ["Find My", "battery", "iOS 15.1"] {
                #expect(refused.errors.contains(word), "\(refused.story)")
            }
        }

        // MARK: What goes wrong

        @Test(arguments: [
            ("208", 23), ("211", 52), ("105", 31), ("207", 41), ("1", 50), ("302", 50),
        ])
        func anErrorOfThePhoneIsNoBackup(code: String, exit: Int32) throws {
            let (lab, phone) = try ready()
            try phone.control("backup", "fault", "error", code, "upload")
            let failed = try lab.expect(exit, backUp(lab))
            #expect(failed.errors.contains("[\(code)]"))
            let snapshots = try lab.holdfast("snapshots", "--json").json.elements
            #expect(snapshots.isEmpty)
            try lab.expect(0, backUp(lab))
            try lab.expectWholeAndAlike()
        }

        /// Everything a malicious phone may send in the middle of a backup, one after the other.
        @Test func hostileMessagesEndTheCaptureAndNothingElse() throws {
            let (lab, phone) = try ready()
            // An endless list is tried where its limit can be lower.
            let kinds = HostileMessage.allCases.filter {
                $0 != .uploadEndless && $0 != .unknownMessage
            }
            for kind in kinds {
                try phone.control("backup", "fault", "hostile", kind.rawValue, "upload")
                let run = try backUp(lab)
                #expect([50, 51].contains(run.exitCode), "\(kind): \(run.story)")
                #expect(!run.errors.contains("\u{1B}") && !run.errors.contains("\0"))
                let snapshots = try lab.holdfast("snapshots", "--json").json.elements
                #expect(snapshots.isEmpty, "\(kind)")
            }
            let all = contents(of: lab.folder).keys + files(in: NSTemporaryDirectory())
            #expect(!all.contains { $0.contains("holdfast-escape") })
            try phone.control("backup", "fault", "clear")
            try lab.expect(0, backUp(lab))
            try lab.expectWholeAndAlike()
        }

        @Test(arguments: ["103", "205"])
        func aBrokenIncrementalBecomesAFullOne(code: String) throws {
            let (lab, phone) = try ready()
            let first = try lab.expect(0, backUp(lab)).summary
            try phone.control("backup", "fault", "error", code, "manifest")
            let second = try lab.expect(0, backUp(lab))
            #expect(second.errors.contains("full backup"))
            let stored = try #require(try second.summary["bytes"]["stored"].number)
            #expect(stored < (first["bytes"]["stored"].number ?? 0) / 2, "content is known")
        }

        @Test(arguments: ["request", "manifest", "upload", "move", "finish"])
        func aLineLostLeavesThePreviousOneAsItWas(stage: String) throws {
            let (lab, phone) = try ready()
            try lab.expect(0, backUp(lab))
            let before = try restoreToFolder(lab)
            try phone.control("backup", "use", "10")
            try phone.control("unplug-at", "backup." + stage)
            let lost = try backUp(lab, wait: 2)
            #expect([21, 50].contains(lost.exitCode), "\(lost.story)")
            #expect(try lab.holdfast("snapshots", "--json").json.elements.count == 1)
            let after = try restoreToFolder(lab)
            #expect(differences(contents(of: before), contents(of: after)) == [])
            try phone.control("replug")
            try lab.expect(0, backUp(lab))
            try lab.expectWholeAndAlike()
        }

        @Test func aPasscodePromptIsAnnounced() throws {
            let (lab, phone) = try ready(["--passcode", "ask"])
            let run = try lab.startBackup(["--capture", "backup"], wait: 60)
            try #require(
                eventually { run.outputSoFar.contains("Enter the passcode") },
                "\(run.outputSoFar)\(run.errorsSoFar)")
            try phone.control("enter-passcode")
            try lab.expect(0, run.finish())
        }

        // MARK: Passwords

        @Test func anUnknownPasswordIsSaidAndATypedOneProved() throws {
            let (lab, _) = try ready(["--backup-password", Self.password])
            try lab.expect(0, backUp(lab))
            let phone = try phoneID(lab)
            try lab.expect(41, lab.holdfast("key", "phone", "--phone", phone))
            try lab.expect(
                41, lab.holdfast("key", "phone", "--phone", phone, "--known", input: "wrong\n"))
            try lab.expect(
                0,
                lab.holdfast(
                    "key", "phone", "--phone", phone, "--known", input: Self.password + "\n"))
            try lab.expect(0, lab.holdfast("key", "phone", "--phone", phone))
            let sheet = try lab.expect(0, lab.holdfast("key", "sheet", "--owner", lab.owner()))
            #expect(sheet.output.contains(Self.password))
        }

        /// A change that was cut short leaves two passwords, of which the phone has the later one.
        @Test func theSheetHasThePasswordThatOpensTheNewestBackup() throws {
            let (lab, _) = try ready(["--backup-password", Self.password])
            try lab.expect(0, backUp(lab))
            let owner = try lab.owner()
            let folder = lab.state + "/owners/\(owner)/backup"
            try FileManager.default.createDirectory(
                atPath: folder, withIntermediateDirectories: true)
            try Data("never-taken\n\(Self.password)\n".utf8).write(
                to: URL(fileURLWithPath: folder + "/" + phoneID(lab)))
            try lab.expect(0, backUp(lab))
            let sheet = try lab.expect(0, lab.holdfast("key", "sheet", "--owner", owner))
            #expect(sheet.output.contains(Self.password))
            #expect(!sheet.output.contains("never-taken"))
        }

        @Test func aPasswordSetHereIsKeptAndOpensTheNextBackup() throws {
            let (lab, _) = try ready()
            try lab.expect(0, backUp(lab))
            let phone = try phoneID(lab)
            let set = try lab.expect(
                0, lab.holdfast("key", "phone", "--phone", phone, "--set", "--generate"))
            #expect(set.output.split(separator: "-").count == 5)
            try lab.expect(0, backUp(lab))
            let state = try lab.expect(
                0, lab.holdfast("key", "phone", "--phone", phone, "--json")
            ).json
            #expect(state["state"].text == "opens")
            try lab.expect(0, lab.holdfast("key", "phone", "--phone", phone, "--off"))
            try lab.expect(0, backUp(lab))
            #expect(
                try lab.holdfast("key", "phone", "--phone", phone, "--json").json["state"].text
                    == "none")
        }

        /// How a phone's newest backup is encrypted.
        private func encryption(_ lab: Lab) throws -> String? {
            try lab.holdfast("key", "phone", "--phone", phoneID(lab), "--json").json["state"].text
        }

        @Test func theFirstBackupIsEncryptedWhenItsOwnerWantsIt() throws {
            let (lab, _) = try ready()
            let run = try lab.expect(
                0, lab.startBackup(["--capture", "backup", "--encrypt"], wait: 60).finish())
            #expect(run.output.contains("backup_encryption_on"))
            #expect(!run.output.contains("backup_not_encrypted"))
            #expect(try encryption(lab) == "opens")
            let sheet = try lab.expect(0, lab.holdfast("key", "sheet", "--owner", lab.owner()))
            let file = lab.state + "/owners/\(try lab.owner())/backup/\(try phoneID(lab))"
            let kept = Child.text(file)
            let password = try #require(kept.split(separator: "\n").first)
            #expect(sheet.output.contains(password))
            // The secret itself stands in nothing that a log may keep.
            #expect(!run.output.contains(password) && !run.errors.contains(password))
            // Once is enough.
            let next = try lab.expect(
                0, lab.startBackup(["--capture", "backup", "--encrypt"], wait: 60).finish())
            #expect(!next.output.contains("backup_encryption_on"))
            #expect(Child.text(file) == kept)
            try lab.expectWholeAndAlike()
        }

        @Test(arguments: [("y\n", "opens"), ("\n", "none")])
        func itsOwnerIsAskedOnATerminal(answer: String, state: String) throws {
            let (lab, _) = try ready()
            let typed = lab.folder + "/out/typed"
            try Data(answer.utf8).write(to: URL(fileURLWithPath: typed))
            let run = try Child(
                [
                    "/usr/bin/script", "--quiet", "--return", "--command",
                    "\(Programs.holdfast) backup --capture backup --wait 60", "/dev/null",
                ], variables: lab.variables, input: typed, outputIn: lab.folder + "/out"
            ).finish()
            #expect(run.exitCode == 0, "\(run.story)")
            #expect(run.output.contains("[y/N]"), "\(run.story)")
            #expect(try encryption(lab) == state)
        }

        @Test func nobodyIsAskedWhereNobodyIs() throws {
            let (lab, _) = try ready()
            let run = try lab.expect(0, backUp(lab))
            #expect(run.output.contains("backup_not_encrypted"))
            #expect(try encryption(lab) == "none")
        }

        @Test func aPhoneThatMayNotEncryptSaysSoAndCanBeSavedWithout() throws {
            let (lab, phone) = try ready()
            try phone.control("backup", "fault", "error", "22", "request")
            let run = try lab.startBackup(["--capture", "backup", "--encrypt"], wait: 60).finish()
            #expect(run.exitCode != 0)
            #expect(run.errors.contains("--no-encrypt"), "\(run.story)")
            #expect(try lab.holdfast("snapshots", "--json").json.elements.isEmpty)
            try phone.control("backup", "fault", "clear")
            try lab.expect(
                0, lab.startBackup(["--capture", "backup", "--no-encrypt"], wait: 60).finish())
            #expect(try encryption(lab) == "none")
        }

        // MARK: By domain and path

        @Test(arguments: [false, true])
        func messagesComeOutByTheirPath(isEncrypted: Bool) throws {
            let (lab, phone) = try ready(
                isEncrypted ? ["--backup-password", Self.password] : [])
            try lab.expect(0, backUp(lab))
            if isEncrypted {
                try lab.expect(
                    0,
                    lab.holdfast(
                        "key", "phone", "--phone", phoneID(lab), "--known",
                        input: Self.password + "\n"))
            }
            let listed = try lab.expect(
                0, lab.holdfast("ls", "latest", "--capture", "backup", "--contents"))
            #expect(listed.output.contains("/HomeDomain/Library/SMS/sms.db"))
            let target = lab.folder + "/out/messages"
            try lab.expect(
                0,
                lab.holdfast(
                    "restore", "latest", "--capture", "backup", "--path",
                    "HomeDomain/Library/SMS/sms.db", "--to", target))
            let exported = lab.folder + "/out/exported"
            try phone.control("backup", "export", exported)
            let path = "/HomeDomain/Library/SMS/sms.db"
            #expect(
                FileManager.default.contents(atPath: target + path)
                    == FileManager.default.contents(atPath: exported + path))
            #expect(files(in: lab.state).allSatisfy { !$0.hasPrefix("manifest-") })
        }
    }
}
