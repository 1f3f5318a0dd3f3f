internal import ResticFormat

/// The keybag of an encrypted backup (`BackupKeyBag` in Manifest.plist): one key for each class of
/// data protection, wrapped with a key that follows from the backup password.
///
/// It is a list of four-letter tags, each with a length of 4 bytes, big endian, and a value. What
/// stands before the first class concerns the bag: SALT and ITER (PBKDF2 with SHA-1), DPSL and DPIC
/// (a round with SHA-256 before that, since iOS 10.2).
struct BackupKeybag: Sendable {
    /// iOS takes ten million rounds; a bag that wants far more would keep the box busy for hours.
    private static let roundLimit = 50_000_000
    private static let byteLimit = 1 << 20

    private let salt: [UInt8]
    private let rounds: Int
    private let firstSalt: [UInt8]?
    private let firstRounds: Int
    private let wrapped: [UInt32: [UInt8]]

    /// Reads a bag; nil when the bytes are none.
    init?(_ bytes: [UInt8]) {
        guard bytes.count <= Self.byteLimit else { return nil }
        var own: [String: [UInt8]] = [:]
        var keys: [UInt32: [UInt8]] = [:]
        var current: UInt32?
        var rest = bytes[...]
        while rest.count >= 8 {
            let tag = String(decoding: rest.prefix(4), as: UTF8.self)
            let count = Int(Self.number(Array(rest.dropFirst(4).prefix(4))))
            rest = rest.dropFirst(8)
            guard count <= rest.count else { return nil }
            let value = Array(rest.prefix(count))
            rest = rest.dropFirst(count)
            switch tag {
            case "CLAS": current = Self.number(value)
            case "WPKY": if let current { keys[current] = value }
            default: if current == nil { own[tag] = value }
            }
        }
        guard let salt = own["SALT"], let rounds = own["ITER"].map({ Int(Self.number($0)) }),
            (1...Self.roundLimit).contains(rounds), !keys.isEmpty
        else { return nil }
        self.salt = salt
        self.rounds = rounds
        firstSalt = own["DPSL"]
        firstRounds = own["DPIC"].map { Int(Self.number($0)) } ?? 0
        guard firstSalt == nil || (1...Self.roundLimit).contains(firstRounds) else { return nil }
        wrapped = keys
    }

    /// The keys of the classes, by their number; nil when the password is wrong. It takes seconds.
    func classKeys(password: String) -> [UInt32: [UInt8]]? {
        var secret = Array(password.utf8)
        if let firstSalt {
            guard let first = stretch(secret, firstSalt, firstRounds, .sha256) else { return nil }
            secret = first
        }
        guard let key = stretch(secret, salt, rounds, .sha1) else { return nil }
        var keys: [UInt32: [UInt8]] = [:]
        for (number, value) in wrapped {
            guard let unwrapped = unwrappedKey(value, with: key) else { return nil }
            keys[number] = unwrapped
        }
        return keys
    }

    private func stretch(
        _ secret: [UInt8], _ salt: [UInt8], _ rounds: Int, _ hash: StretchingHash
    ) -> [UInt8]? {
        pbkdf2(password: secret, salt: salt, rounds: rounds, hash: hash, byteCount: 32)
    }

    /// The key of a file or of the manifest: 4 bytes of class, little endian, and the key wrapped
    /// with that class's. nil when it is not to be had.
    static func fileKey(_ bytes: [UInt8], _ classKeys: [UInt32: [UInt8]]) -> [UInt8]? {
        guard bytes.count > 4 else { return nil }
        let number = bytes.prefix(4).reversed().reduce(UInt32(0)) { $0 << 8 | UInt32($1) }
        return classKeys[number].flatMap { unwrappedKey(Array(bytes.dropFirst(4)), with: $0) }
            .flatMap { $0.count == 32 ? $0 : nil }
    }

    private static func number(_ bytes: [UInt8]) -> UInt32 {
        bytes.prefix(4).reduce(0) { $0 << 8 | UInt32($1) }
    }
}
