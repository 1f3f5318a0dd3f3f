package import BackupCore

/// How dear it is to try one password.
///
/// scrypt's parameters (RFC 7914): memory is `128 * r * n` bytes, time grows with `n * r * p`.
package struct ScryptCost: Hashable, Sendable {
    let n: UInt64
    let r: UInt64
    let p: UInt64

    /// What new key files get: 1 MiB and a few milliseconds. All that opens them is random (256
    /// bits of the box, 128 bits of the recovery sheet), so stretching would add nothing, and take
    /// a fifth of a second and 32 MiB of every command.
    package static let standard = ScryptCost(trustedN: 1024, r: 8, p: 1)
    /// 16 KiB and well below a millisecond: for tests, which make many keys.
    package static let forTests = ScryptCost(trustedN: 16, r: 8, p: 1)

    /// Hostile key files must not take all memory (1 GiB) or minutes (64 times what restic's take).
    private static var memoryLimit: UInt64 { 1 << 30 }
    private static var workLimit: UInt64 { 64 * 32_768 * 8 * 2 }

    private init(trustedN n: UInt64, r: UInt64, p: UInt64) {
        self.n = n
        self.r = r
        self.p = p
    }

    /// Parameters from a file; nil when scrypt does not allow them or they pass our limits.
    init?(n: UInt64, r: UInt64, p: UInt64) {
        guard n >= 2, n & (n - 1) == 0, n <= Self.memoryLimit, (1...1 << 20).contains(r),
            (1...1 << 20).contains(p), 128 * r * (n + p) <= Self.memoryLimit, r * p < 1 << 30
        else { return nil }
        let (work, overflow) = (n * r).multipliedReportingOverflow(by: p)
        guard !overflow, work <= Self.workLimit else { return nil }
        self.init(trustedN: n, r: r, p: p)
    }
}

/// A key file: the master key, sealed under a key that scrypt makes of a password.
///
/// A repository has any number of them. One that is malformed makes restic 0.14 refuse the whole
/// repository, so they are written with care. Source: restic's design document, "Keys, Encryption
/// and MAC".
package enum KeyFile {
    /// The count that restic's reader insists on.
    private static var saltCount: Int { 64 }
    /// No key file of restic or rustic comes near this.
    private static var maximumByteCount: Int { 64 << 10 }

    /// A new key file's name and bytes, opened by the UTF-8 bytes of `password`.
    ///
    /// It ends the process when scrypt's memory cannot be had.
    package static func make(
        password: String, masterKey: MasterKey, hostname: String, username: String,
        created: Timestamp, cost: ScryptCost = .standard
    ) -> (id: ContentID, bytes: [UInt8]) {
        let salt = secureRandomBytes(saltCount)
        guard let sealer = sealer(password: password, salt: salt, cost: cost) else {
            fatalError("scrypt: no memory")
        }
        var writer = JSONWriter()
        writer.object { writer in
            writer.key("created")
            writer.time(created)
            writer.key("username")
            writer.string(username)
            writer.key("hostname")
            writer.string(hostname)
            writer.key("kdf")
            writer.string("scrypt")
            writer.key("N")
            writer.number(cost.n)
            writer.key("r")
            writer.number(cost.r)
            writer.key("p")
            writer.number(cost.p)
            writer.key("salt")
            writer.string(Base64.encode(salt))
            writer.key("data")
            writer.string(Base64.encode(sealer.seal(encode(masterKey))))
        }
        return (.sha256(of: writer.bytes), writer.bytes)
    }

    /// The master key in a key file, nil when it has another password. `malformed`,
    /// `unsupported` or `limitExceeded` when no password could open it.
    package static func open(
        _ file: [UInt8], password: String
    ) throws(FormatError) -> MasterKey? {
        let members = try readMembers(file)
        guard members.kdf == "scrypt" else {
            throw FormatError(.unsupported, "a key file's password is not hardened by scrypt")
        }
        guard let cost = ScryptCost(n: members.n, r: members.r, p: members.p) else {
            throw FormatError(.limitExceeded, "a key file's scrypt parameters pass the limits")
        }
        guard let salt = Base64.decode(members.salt), salt.count == saltCount,
            let data = Base64.decode(members.data)
        else { throw .malformed("a key file's salt or data is not as it must be") }
        guard let sealer = sealer(password: password, salt: salt, cost: cost) else {
            throw FormatError(.limitExceeded, "there is no memory for a key file's scrypt")
        }
        do {
            return try decode(sealer.open(data))
        } catch  where error.code == .notAuthentic {
            return nil
        }
    }

    private static func sealer(password: String, salt: [UInt8], cost: ScryptCost) -> Sealer? {
        scrypt(
            password: Array(password.utf8), salt: salt, n: cost.n, r: cost.r, p: cost.p,
            byteCount: MasterKey.byteCount
        ).flatMap(MasterKey.init(bytes:)).map(Sealer.init)
    }

    private struct Members {
        var kdf = ""
        var n: UInt64 = 0
        var r: UInt64 = 0
        var p: UInt64 = 0
        var salt: [UInt8] = []
        var data: [UInt8] = []
    }

    private static func readMembers(_ file: [UInt8]) throws(FormatError) -> Members {
        guard file.count <= maximumByteCount else {
            throw FormatError(.limitExceeded, "a key file has \(file.count) bytes")
        }
        var members = Members()
        var scanner = JSONScanner(file)
        try scanner.readObject { scanner, key throws(FormatError) in
            if scanner.matches(key, "kdf") {
                members.kdf = try scanner.readText()
            } else if scanner.matches(key, "N") {
                members.n = try scanner.readUnsigned()
            } else if scanner.matches(key, "r") {
                members.r = try scanner.readUnsigned()
            } else if scanner.matches(key, "p") {
                members.p = try scanner.readUnsigned()
            } else if scanner.matches(key, "salt") {
                members.salt = try scanner.readString()
            } else if scanner.matches(key, "data") {
                members.data = try scanner.readString()
            } else {
                try scanner.skipValue()
            }
        }
        try scanner.finish()
        return members
    }

    /// {"mac":{"k","r"},"encrypt"}, as restic has it within the sealed data.
    private static func encode(_ key: MasterKey) -> [UInt8] {
        var writer = JSONWriter()
        writer.object { writer in
            writer.key("mac")
            writer.object { writer in
                writer.key("k")
                writer.string(Base64.encode(key.macK))
                writer.key("r")
                writer.string(Base64.encode(key.macR))
            }
            writer.key("encrypt")
            writer.string(Base64.encode(key.encryption))
        }
        return writer.bytes
    }

    private static func decode(_ json: [UInt8]) throws(FormatError) -> MasterKey {
        var k: [UInt8]?
        var r: [UInt8]?
        var encryption: [UInt8]?
        var scanner = JSONScanner(json)
        try scanner.readObject { scanner, key throws(FormatError) in
            if scanner.matches(key, "encrypt") {
                encryption = Base64.decode(try scanner.readString())
            } else if scanner.matches(key, "mac") {
                try scanner.readObject { scanner, key throws(FormatError) in
                    if scanner.matches(key, "k") {
                        k = Base64.decode(try scanner.readString())
                    } else if scanner.matches(key, "r") {
                        r = Base64.decode(try scanner.readString())
                    } else {
                        try scanner.skipValue()
                    }
                }
            } else {
                try scanner.skipValue()
            }
        }
        try scanner.finish()
        guard let k, let r, let encryption,
            let key = MasterKey(encryption: encryption, macK: k, macR: r)
        else { throw .malformed("a key file's master key is not as it must be") }
        return key
    }
}
