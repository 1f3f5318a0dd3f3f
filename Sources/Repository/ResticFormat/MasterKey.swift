/// The key that seals everything in a repository; the same in all of its key files.
///
/// Source: restic's design document, "Keys, Encryption and MAC".
package struct MasterKey: Sendable, Equatable, CustomStringConvertible, CustomReflectable {
    /// The bytes of a whole key: 32 for AES-256, 16 for k, 16 for r.
    package static var byteCount: Int { 64 }

    /// The AES-256 key, 32 bytes.
    let encryption: [UInt8]
    /// The AES-128 key that turns an IV into half of the one-time key, 16 bytes.
    let macK: [UInt8]
    /// The other half of the one-time key, 16 bytes.
    let macR: [UInt8]

    /// A key from 64 bytes in the order AES, k, r (which is also what scrypt gives); nil for any
    /// other count, and when one of the parts is all zero, which restic refuses too.
    init?(bytes: [UInt8]) {
        guard bytes.count == Self.byteCount else { return nil }
        self.init(
            encryption: Array(bytes[..<32]), macK: Array(bytes[32..<48]), macR: Array(bytes[48...]))
    }

    /// A key from its parts; nil when a part has the wrong length or is all zero.
    init?(encryption: [UInt8], macK: [UInt8], macR: [UInt8]) {
        guard encryption.count == 32, macK.count == 16, macR.count == 16 else { return nil }
        for part in [encryption, macK, macR] where part.allSatisfy({ $0 == 0 }) { return nil }
        self.encryption = encryption
        self.macK = macK
        self.macR = Self.clamped(macR)
    }

    /// A new random key.
    package static func random() -> MasterKey {
        while true {
            // All-zero parts have a chance of 2^-128; the loop only satisfies the type.
            if let key = MasterKey(bytes: secureRandomBytes(byteCount)) { return key }
        }
    }

    /// `r` with the bits cleared that Poly1305 ignores (RFC 8439, 2.5), as restic stores it.
    private static func clamped(_ r: [UInt8]) -> [UInt8] {
        var result = r
        for position in [3, 7, 11, 15] { result[position] &= 0x0F }
        for position in [4, 8, 12] { result[position] &= 0xFC }
        return result
    }

    /// Never the key itself, so that it cannot slip into a log.
    package var description: String { "MasterKey(hidden)" }
    /// Empty, so that `dump` shows no bytes either.
    package var customMirror: Mirror { Mirror(self, children: [:]) }
}
