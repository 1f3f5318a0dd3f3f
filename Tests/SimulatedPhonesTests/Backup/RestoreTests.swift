import Foundation
import SimulatedPhones
import Testing

/// Restores to another simulated iPhone.
@Suite struct RestoreTests {
    @Test(arguments: [nil, "secret"]) func everythingArrivesOnAnotherPhone(
        _ password: String?
    ) throws {
        let old = try PhoneBench(files: 300, bytes: 9_000_000) { $0.password = password }
        try old.agent.perform(.use(share: 0.1))
        try old.backUp()
        let new = try PhoneBench(files: 0, bytes: 0, udid: "PHONE-B")
        #expect(try new.restore("PHONE-A", from: old.backups, password: password) == 0)
        // Health, calls and the keychain are only in encrypted backups.
        #expect(try new.digest(plain: true) == old.digest(plain: true))
        #expect((try new.digest() == old.digest()) == (password != nil))
        #expect(new.phone.seen.forgotHosts == 1)
    }

    @Test func aRestoredPhoneCanBeBackedUp() throws {
        let old = try PhoneBench()
        try old.backUp()
        let new = try PhoneBench(files: 0, bytes: 0, udid: "PHONE-B")
        _ = try new.restore("PHONE-A", from: old.backups)
        try new.agent.perform(.use(share: 0.1))
        try new.backUp()
        let third = try PhoneBench(files: 0, bytes: 0, udid: "PHONE-C")
        #expect(try third.restore("PHONE-B", from: new.backups) == 0)
        #expect(try third.digest(plain: true) == new.digest(plain: true))
        #expect(try third.digest(plain: true) != old.digest(plain: true))
    }

    @Test func theOptionsDecideWhatComesBack() throws {
        let old = try PhoneBench()
        try old.backUp()
        func restored(_ options: [String: PropertyList]) throws -> Set<String> {
            let new = try PhoneBench(files: 0, bytes: 0, udid: "PHONE-B")
            #expect(try new.restore("PHONE-A", from: old.backups, options: options) == 0)
            let folder = new.folder + "/data"
            try new.agent.perform(.export(folder: folder))
            return Set(try FileManager.default.subpathsOfDirectory(atPath: folder))
        }
        let carrier = "WirelessDomain/Library/Preferences/com.apple.commcenter.plist"
        let settings = "HomeDomain/Library/Preferences/.GlobalPreferences.plist"
        let all = try restored([:])
        #expect(all.contains(carrier) && all.contains(settings))
        #expect(all.contains { $0.hasPrefix("AppDomain-") })
        #expect(try !restored(["RestoreSystemFiles": false]).contains(carrier))
        #expect(try !restored(["RestorePreserveSettings": true]).contains(settings))
        // Data of apps that are not there come only with everything.
        let merged = try restored(["RemoveItemsNotRestored": false])
        #expect(!merged.contains { $0.hasPrefix("AppDomain-") })
        #expect(merged.contains("HomeDomain/Library/SMS/sms.db"))
    }

    @Test func aMergeKeepsWhatTheBackupLacks() throws {
        let bench = try PhoneBench()
        bench.phone.change {
            $0.apps = ["net.whatsapp.WhatsApp", "com.spotify.client", "org.example.notes"]
        }
        try bench.backUp()
        try bench.agent.perform(.use(share: 0.5))
        let options: [String: PropertyList] = ["RemoveItemsNotRestored": false]
        #expect(try bench.restore("PHONE-A", from: bench.backups, options: options) == 0)
        let folder = bench.folder + "/data"
        try bench.agent.perform(.export(folder: folder))
        let names = try FileManager.default.subpathsOfDirectory(atPath: folder)
        #expect(names.contains { $0.contains("added-1-") || $0.contains("renamed-1-") })
    }

    @Test func damageIsNoticed() throws {
        let old = try PhoneBench()
        try old.backUp()
        let id = "3d0d7e5fb2ce288813306e4d4636395e047a3d28"
        for damage in ["flip", "cut", "gone"] {
            let new = try PhoneBench(files: 0, bytes: 0, udid: "PHONE-B")
            let empty = try new.digest()
            let options: PropertyList = ["RestoreDontCopyBackup": true]
            let code = try new.ask(
                "Restore", ["SourceIdentifier": "PHONE-A", "Options": options], in: old.backups
            ) { host in
                host.tamper = { path, bytes in
                    guard path.hasSuffix(id) else { return }
                    if damage == "flip" { bytes[100] ^= 1 } else { bytes.removeLast() }
                }
                if damage == "gone" {
                    // The test itself fails below when this did not work.
                    try? FileManager.default.removeItem(atPath: "\(old.backup)/3d/\(id)")
                }
            }["ErrorCode"]?.integer
            #expect(code == 205, "\(damage)")
            #expect(try new.digest() == empty)
        }
    }

    @Test func thePhoneSaysWhyItCannot() throws {
        let old = try PhoneBench { $0.password = "secret" }
        try old.backUp()
        let reasons: [(Int64, String, (inout BackupPhoneFacts) -> Void)] = [
            (211, "secret", { $0.hasFindMy = true }), (212, "secret", { $0.isSetUp = false }),
            (105, "secret", { $0.freeBytes = 1_000 }), (207, "wrong", { _ in }),
            (1, "secret", { $0.productVersion = "16.9" }),
        ]
        for (code, password, change) in reasons {
            let new = try PhoneBench(files: 0, bytes: 0, udid: "PHONE-B")
            new.phone.change(change)
            #expect(try new.restore("PHONE-A", from: old.backups, password: password) == code)
        }
    }

    @Test func aSecondRestoreNeedsARestart() throws {
        let old = try PhoneBench()
        try old.backUp()
        let new = try PhoneBench(files: 0, bytes: 0, udid: "PHONE-B")
        let options: [String: PropertyList] = ["RestoreShouldReboot": false]
        #expect(try new.restore("PHONE-A", from: old.backups, options: options) == 0)
        #expect(try new.restore("PHONE-A", from: old.backups) == 102)
        new.phone.change { $0.restartCount += 1 }
        #expect(try new.restore("PHONE-A", from: old.backups) == 0)
    }

    @Test func theHostKeepsACopyWhenItIsAsked() throws {
        let old = try PhoneBench()
        try old.backUp()
        let new = try PhoneBench(files: 0, bytes: 0, udid: "PHONE-B")
        let options: [String: PropertyList] = ["RestoreDontCopyBackup": false]
        #expect(try new.restore("PHONE-A", from: old.backups, options: options) == 0)
        let copy = old.backup + "-restored/Manifest.db"
        #expect(
            FileManager.default.contentsEqual(atPath: copy, andPath: old.backup + "/Manifest.db"))
    }
}
