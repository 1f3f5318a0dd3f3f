import Foundation
import SimulatedPhones
import Testing

/// Two phones, the second freshly erased, at one usbmuxd that is paired with both.
private final class BackupRunBench {
    let run: IPhoneRun

    init(password: String? = nil) throws {
        run = try IPhoneRun(
            .with {
                $0.backup.data = PhoneDataSpec(fileCount: 200, byteCount: 8_000_000)
                $0.backup.keyBagCost = KeyBagCost(first: 1_000, second: 100)
                $0.backup.password = password
            },
            .with {
                $0.udid = "00008110-00000000000000B2"
                $0.backup.data = PhoneDataSpec(fileCount: 0, byteCount: 0)
            })
        for phone in run.phones {
            _ = try run.run("idevicepair", "-u", phone.options.udid, "pair")
        }
    }

    var old: SimulatediPhone { run.phones[0] }
    var new: SimulatediPhone { run.phones[1] }
    /// Where idevicebackup2 keeps backups.
    var folder: String { run.folder }
    var backup: String { folder + "/" + old.options.udid }

    /// Runs idevicebackup2 for the old phone.
    func backUp(_ arguments: String...) throws -> String {
        try tool(["-u", old.options.udid] + arguments)
    }

    /// Restores everything to the new phone.
    func restore(password: String? = nil) throws -> String {
        let secret = password.map { ["--password", $0] } ?? []
        return try tool(
            ["-u", new.options.udid, "-s", old.options.udid, "restore", "--system", "--remove"]
                + ["--settings"] + secret + [folder])
    }

    private func tool(_ arguments: [String]) throws -> String {
        try ProgramResult.run(
            "idevicebackup2", arguments, environment: run.mux.environment, outputIn: folder
        ).output
    }

    func digest(_ phone: SimulatediPhone, plain: Bool = false) throws -> String? {
        try phone.backup.perform(.digest(plain: plain)).digest
    }
}

/// Debian's idevicebackup2, which knows nothing of simulators, backs phones up and restores them.
@Suite(.serialized) struct UnmodifiedBackupTests {
    @Test func itTakesAFullAndAnIncrementalBackup() throws {
        let bench = try BackupRunBench()
        let full = try bench.backUp("backup", bench.folder)
        #expect(full.contains("Backup Successful."), "\(full)")
        try bench.old.backup.perform(.use(share: 0.2))
        let incremental = try bench.backUp("backup", bench.folder)
        #expect(incremental.contains("Incremental backup mode."))
        #expect(incremental.contains("Backup Successful."), "\(incremental)")
        let counters = try bench.old.backup.perform(.counters).counters
        #expect(counters.backups == 2 && counters.incrementalBackups == 1)
        #expect(counters.filesSent > 10 && counters.filesSent < 100)
        let check = try bench.run.run(
            "sqlite3", bench.backup + "/Manifest.db", "PRAGMA integrity_check")
        #expect(check.output == "ok\n")
    }

    @Test(arguments: [nil, "secret"]) func itRestoresToAnotherPhoneBitForBit(
        _ password: String?
    ) throws {
        let bench = try BackupRunBench(password: password)
        _ = try bench.backUp("backup", bench.folder)
        try bench.old.backup.perform(.use(share: 0.2))
        _ = try bench.backUp("backup", bench.folder)
        let result = try bench.restore(password: password)
        #expect(result.contains("Restore Successful."), "\(result)")
        #expect(try bench.digest(bench.new, plain: true) == bench.digest(bench.old, plain: true))
        let isWhole = try bench.digest(bench.new) == bench.digest(bench.old)
        #expect(isWhole == (password != nil))
    }

    @Test func itSetsChangesAndRemovesThePassword() throws {
        let bench = try BackupRunBench()
        let words = { (result: String, text: String) in
            #expect(result.contains(text), "\(result)")
        }
        words(try bench.backUp("encryption", "on", "first"), "enabled successfully")
        words(try bench.backUp("backup", bench.folder), "Backup will be encrypted.")
        words(try bench.backUp("changepw", "wrong", "second"), "ErrorCode 207")
        words(try bench.backUp("changepw", "first", "second"), "changed successfully")
        words(try bench.backUp("backup", bench.folder), "Backup Successful.")
        words(try bench.restore(password: "first"), "ErrorCode 207")
        words(try bench.restore(password: "second"), "Restore Successful.")
        words(try bench.backUp("encryption", "off", "second"), "disabled successfully")
        words(try bench.backUp("backup", bench.folder), "Backup will be unencrypted.")
    }

    @Test func itReportsThePhonesErrors() throws {
        let bench = try BackupRunBench()
        for code: Int64 in [3, 100, 105, 205, 208] {
            try bench.old.backup.perform(.fault(.error(code: code, at: .upload)))
            let result = try bench.backUp("backup", "--full", bench.folder)
            #expect(result.contains("ErrorCode \(code):"), "\(result)")
            #expect(result.contains("Backup Failed"))
        }
        let info = try bench.backUp("info", bench.folder)
        #expect(info.contains("ErrorCode 1:"), "\(info)")
    }
}
