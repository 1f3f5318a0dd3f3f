/// What deriving a key from a backup password costs, in rounds of PBKDF2.
package struct KeyBagCost: Sendable, Equatable {
    /// Rounds with SHA-256 (DPIC). iOS takes ten million: seconds.
    package var first = 10_000_000
    /// Rounds with SHA-1 (ITER).
    package var second = 10_000

    /// What iOS takes.
    package init() {}

    /// Other numbers, for tests.
    package init(first: Int, second: Int) {
        self.first = max(1, first)
        self.second = max(1, second)
    }
}

/// The key bag of an encrypted backup: one key per class of data protection, each wrapped with a
/// key that follows from the backup password. Its form is a list of four-letter tags, each with
/// a length and a value.
struct BackupKeyBag: Sendable {
    /// 16 bytes; new with every password.
    let uuid: [UInt8]
    /// The keys themselves, which the phone keeps: 32 bytes each, by class.
    let classKeys: [UInt32: [UInt8]]
    /// What goes into Manifest.plist.
    let encoded: [UInt8]

    /// Classes 1 to 4 for files, 5 for the key bag itself, 6 to 11 for the keychain.
    private static let classes: ClosedRange<UInt32> = 1...11

    /// A bag for a password; with `keeping`, the same keys under a new password, so that what
    /// was backed up before can still be read.
    init(password: String, cost: KeyBagCost, keeping known: [UInt32: [UInt8]]? = nil) {
        uuid = randomKeyBytes(16)
        let keys =
            known ?? Dictionary(uniqueKeysWithValues: Self.classes.map { ($0, randomKeyBytes(32)) })
        classKeys = keys
        let salts = (first: randomKeyBytes(20), second: randomKeyBytes(20))
        let passwordKey = Self.key(of: password, cost: cost, salts: salts)
        var writer = TagWriter()
        writer.put("VERS", 5)
        writer.put("TYPE", 1)
        writer.put("UUID", uuid)
        writer.put("HMCK", KeyWrap.wrap(randomKeyBytes(32), with: passwordKey))
        writer.put("WRAP", 0)
        writer.put("SALT", salts.second)
        writer.put("ITER", UInt32(clamping: cost.second))
        writer.put("DPWT", 1)
        writer.put("DPIC", UInt32(clamping: cost.first))
        writer.put("DPSL", salts.first)
        for (number, key) in keys.sorted(by: { $0.key < $1.key }) {
            writer.put("UUID", randomKeyBytes(16))
            writer.put("CLAS", number)
            writer.put("WRAP", 2)
            writer.put("KTYP", 0)
            writer.put("WPKY", KeyWrap.wrap(key, with: passwordKey))
        }
        encoded = writer.bytes
    }

    private static func key(
        of password: String, cost: KeyBagCost, salts: (first: [UInt8], second: [UInt8])
    ) -> [UInt8] {
        let first = stretchedKey(
            Array(password.utf8), salt: salts.first, rounds: cost.first, with: .sha256)
        return stretchedKey(first, salt: salts.second, rounds: cost.second, with: .sha1)
    }

    private struct TagWriter {
        var bytes: [UInt8] = []

        mutating func put(_ tag: String, _ value: [UInt8]) {
            var writer = ByteWriter()
            writer.put(raw: tag.utf8)
            writer.putBig(UInt32(value.count))
            writer.put(raw: value)
            bytes += writer.bytes
        }

        mutating func put(_ tag: String, _ value: UInt32) {
            var writer = ByteWriter()
            writer.putBig(value)
            put(tag, writer.bytes)
        }
    }

    /// UUID of an encoded bag; nil when it is none.
    static func uuid(of encoded: [UInt8]) -> [UInt8]? {
        var reader = ByteReader(encoded)
        while let entry = tag(&reader) {
            if entry.tag == "UUID" { return entry.value }
        }
        return nil
    }

    /// The class keys of an encoded bag, as far as it has any that the password opens; nil when
    /// the password is wrong or the bag damaged.
    static func open(_ encoded: [UInt8], password: String) -> [UInt32: [UInt8]]? {
        var facts: [String: [UInt8]] = [:]
        var wrapped: [UInt32: [UInt8]] = [:]
        var current: UInt32?
        var reader = ByteReader(encoded)
        while let (name, value) = tag(&reader) {
            switch name {
            case "CLAS": current = number(value)
            case "WPKY": if let current { wrapped[current] = value }
            default: if current == nil { facts[name] = value }
            }
        }
        guard let first = facts["DPSL"], let second = facts["SALT"],
            let firstRounds = facts["DPIC"].map(number), let rounds = facts["ITER"].map(number),
            firstRounds > 0, rounds > 0, !wrapped.isEmpty
        else { return nil }
        let passwordKey = key(
            of: password, cost: KeyBagCost(first: Int(firstRounds), second: Int(rounds)),
            salts: (first, second))
        var keys: [UInt32: [UInt8]] = [:]
        for (number, value) in wrapped {
            guard let key = KeyWrap.unwrap(value, with: passwordKey) else { return nil }
            keys[number] = key
        }
        return keys
    }

    private static func tag(_ reader: inout ByteReader) -> (tag: String, value: [UInt8])? {
        guard let name = reader.take(raw: 4), let count = reader.takeBig(UInt32.self),
            let value = reader.take(raw: Int(count))
        else { return nil }
        return (String(decoding: name, as: UTF8.self), value)
    }

    private static func number(_ value: [UInt8]) -> UInt32 {
        value.prefix(4).reduce(0) { $0 << 8 | UInt32($1) }
    }
}

/// The key of one file or manifest, as it stands in a backup: four bytes of class, least
/// significant first, and 40 bytes of wrapped key.
enum SealedKey {
    /// A new key of the class and its sealed form; nil when the keys lack the class.
    static func make(
        _ number: UInt32, under keys: [UInt32: [UInt8]]
    ) -> (key: [UInt8], sealed: [UInt8])? {
        guard let classKey = keys[number] else { return nil }
        let key = randomKeyBytes(32)
        var writer = ByteWriter()
        writer.put(number)
        writer.put(raw: KeyWrap.wrap(key, with: classKey))
        return (key, writer.bytes)
    }

    /// The key inside; nil when it was not sealed under these.
    static func open(_ sealed: [UInt8], under keys: [UInt32: [UInt8]]) -> [UInt8]? {
        var reader = ByteReader(sealed)
        guard sealed.count == 44, let number: UInt32 = reader.take(), let key = keys[number] else {
            return nil
        }
        return KeyWrap.unwrap(Array(sealed.dropFirst(4)), with: key)
    }
}
