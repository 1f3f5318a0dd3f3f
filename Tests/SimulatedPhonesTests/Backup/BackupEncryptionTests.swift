import Foundation
import SimulatedPhones
import Testing

/// Encrypted backups. The judge is Python with Debian's package cryptography: another plist
/// reader, another SQLite binding, another PBKDF2 and key unwrapping.
@Suite struct BackupEncryptionTests {
    /// Decrypts a backup into a folder, each file under domain/path; the last line of its output
    /// is how many there were. Arguments: backup, password, folder.
    private static let reader = """
        import hashlib, os, plistlib, sqlite3, struct, sys
        from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
        from cryptography.hazmat.primitives.keywrap import aes_key_unwrap
        backup, password, out = sys.argv[1:]
        manifest = plistlib.load(open(backup + "/Manifest.plist", "rb"))
        assert manifest["IsEncrypted"]
        def tags(blob):
            while blob:
                name, size = struct.unpack(">4sL", blob[:8])
                yield name.decode(), blob[8:8 + size]
                blob = blob[8 + size:]
        facts, classes = {}, []
        for name, value in tags(manifest["BackupKeyBag"]):
            if name == "UUID" and "UUID" in facts: classes.append({})
            (classes[-1] if classes else facts)[name] = value
        number = lambda value: struct.unpack(">L", value)[0]
        key = hashlib.pbkdf2_hmac("sha256", password.encode(), facts["DPSL"],
                                  number(facts["DPIC"]), 32)
        key = hashlib.pbkdf2_hmac("sha1", key, facts["SALT"], number(facts["ITER"]), 32)
        keys = {number(c["CLAS"]): aes_key_unwrap(key, c["WPKY"])
                for c in classes if number(c["WRAP"]) & 2}
        def open_sealed(sealed):
            return aes_key_unwrap(keys[struct.unpack("<L", sealed[:4])[0]], sealed[4:])
        def decrypt(data, key):
            decryptor = Cipher(algorithms.AES(key), modes.CBC(bytes(16))).decryptor()
            plain = decryptor.update(data) + decryptor.finalize()
            assert 1 <= plain[-1] <= 16 and plain.endswith(bytes([plain[-1]]) * plain[-1])
            return plain[:-plain[-1]]
        database = decrypt(open(backup + "/Manifest.db", "rb").read(),
                           open_sealed(manifest["ManifestKey"]))
        os.makedirs(out)
        open(out + "/Manifest.db", "wb").write(database)
        count = 0
        for row in sqlite3.connect(out + "/Manifest.db").execute(
                "SELECT fileID, domain, relativePath, file FROM Files WHERE flags = 1"):
            assert row[0] == hashlib.sha1((row[1] + "-" + row[2]).encode()).hexdigest()
            objects = plistlib.loads(row[3])["$objects"]
            facts = objects[1]
            data = b""
            if facts["Size"]:
                sealed = objects[facts["EncryptionKey"].data]["NS.data"]
                assert struct.unpack("<L", sealed[:4])[0] == facts["ProtectionClass"]
                data = decrypt(open(f"{backup}/{row[0][:2]}/{row[0]}", "rb").read(),
                               open_sealed(sealed))
                assert hashlib.sha1(data).digest() == objects[facts["Digest"].data]
            assert len(data) == facts["Size"]
            os.makedirs(os.path.dirname(f"{out}/data/{row[1]}/{row[2]}"), exist_ok=True)
            open(f"{out}/data/{row[1]}/{row[2]}", "wb").write(data)
            count += 1
        print(count)
        """

    private func decrypt(
        _ bench: PhoneBench, password: String, to name: String
    ) throws -> ProgramResult {
        let script = bench.folder + "/reader.py"
        try Self.reader.write(toFile: script, atomically: true, encoding: .utf8)
        return try ProgramResult.run(
            "/usr/bin/python3", [script, bench.backup, password, bench.folder + "/" + name],
            environment: [:], outputIn: bench.folder)
    }

    private func filesDiffer(
        _ bench: PhoneBench, _ first: String, _ second: String
    ) throws -> String {
        try ProgramResult.run(
            "/usr/bin/diff", ["-r", "--no-dereference", first, second], environment: [:],
            outputIn: bench.folder
        ).output
    }

    @Test func anotherReaderDecryptsEverything() throws {
        let bench = try PhoneBench { $0.password = "correct horse" }
        #expect(try bench.backUp() == 0)
        let result = try decrypt(bench, password: "correct horse", to: "plain")
        #expect(result.exitCode == 0, "\(result.output)")
        try bench.agent.perform(.export(folder: bench.folder + "/data"))
        let difference = try filesDiffer(
            bench, bench.folder + "/data", bench.folder + "/plain/data")
        // Folders and the link are no files of the backup.
        let others = difference.split(separator: "\n").filter { line in
            !line.hasSuffix(": Mail") && !line.hasSuffix(": Caches")
        }
        #expect(others == [])
        #expect(
            FileManager.default.fileExists(
                atPath: bench.folder + "/plain/data/HealthDomain/Health/healthdb_secure.sqlite"))
    }

    @Test func theWrongPasswordOpensNothing() throws {
        let bench = try PhoneBench { $0.password = "correct horse" }
        try bench.backUp()
        let result = try decrypt(bench, password: "battery staple", to: "plain")
        #expect(result.exitCode == 1)
        #expect(result.output.contains("InvalidUnwrap"))
    }

    @Test func aChangedPasswordOpensTheNextBackup() throws {
        let bench = try PhoneBench { $0.password = "old" }
        try bench.backUp()
        func change(_ old: String?, _ new: String?) throws -> Int64? {
            var entries: [String: PropertyList] = [:]
            if let old { entries["OldPassword"] = .string(old) }
            if let new { entries["NewPassword"] = .string(new) }
            return try bench.ask("ChangePassword", entries)["ErrorCode"]?.integer
        }
        #expect(try change("wrong", "new") == 207)
        #expect(try change(nil, "new") == 207)
        #expect(try change("old", "new") == 0)
        try bench.agent.perform(.use(share: 0.2))
        #expect(try bench.backUp() == 0)
        // The keys stayed, so the backup could be incremental; both kinds of files open.
        #expect(try bench.agent.perform(.counters).counters.incrementalBackups == 1)
        #expect(try decrypt(bench, password: "old", to: "a").exitCode == 1)
        let result = try decrypt(bench, password: "new", to: "b")
        #expect(result.exitCode == 0, "\(result.output)")
        #expect(try change("new", nil) == 0)
        #expect(try change("new", nil) == 207)
        #expect(bench.phone.seen.willEncrypt == [true, false])
        #expect(!bench.agent.willEncrypt)
    }

    @Test func turningEncryptionOnOrOffMakesTheNextBackupFull() throws {
        let bench = try PhoneBench()
        try bench.backUp()
        _ = try bench.ask("ChangePassword", ["NewPassword": "secret"])
        try bench.backUp()
        #expect(try decrypt(bench, password: "secret", to: "a").exitCode == 0)
        _ = try bench.ask("ChangePassword", ["OldPassword": "secret"])
        try bench.backUp()
        #expect(
            try bench.sqlite(bench.backup + "/Manifest.db", "SELECT count(*) > 60 FROM Files")
                == "1")
        #expect(try bench.agent.perform(.counters).counters.incrementalBackups == 0)
    }
}
