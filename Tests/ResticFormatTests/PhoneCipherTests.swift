import ResticFormat
import Testing

/// What an iPhone's backups are encrypted with, by published vectors.
@Suite struct PhoneCipherTests {
    /// RFC 6070, the fifth vector.
    @Test func stretchesWithSHA1() {
        #expect(
            pbkdf2(
                password: Array("passwordPASSWORDpassword".utf8),
                salt: Array("saltSALTsaltSALTsaltSALTsaltSALTsalt".utf8), rounds: 4096,
                hash: .sha1, byteCount: 25)
                == bytes("3d2eec4fe41c849b80c8d83662c0e44a8b291a964cf2f07038"))
    }

    /// RFC 7914, section 11.
    @Test func stretchesWithSHA256() {
        #expect(
            pbkdf2(
                password: Array("passwd".utf8), salt: Array("salt".utf8), rounds: 1,
                hash: .sha256, byteCount: 64)
                == bytes(
                    "55ac046e56e3089fec1691c22544b605f94185216dde0465e68b9d57c20dacbc"
                        + "49ca9cccf179b645991664b39d77ef317c71b845b1e30bd509112041d3a19783"))
    }

    @Test func noRoundsAreRefused() {
        #expect(
            pbkdf2(password: [1], salt: [2], rounds: 0, hash: .sha1, byteCount: 32) == nil)
        #expect(
            pbkdf2(password: [1], salt: [2], rounds: .max, hash: .sha1, byteCount: 32) == nil)
    }

    /// RFC 3394, section 4.6: a key of 256 bits wrapped with one of 256 bits.
    @Test func unwrapsAKey() {
        let wrapped = bytes(
            "28C9F404C4B810F4CBCCB35CFB87F8263F5786E2D80ED326CBC7F0E71A99F43BFB988B9B7A02DD21")
        let key = Array(UInt8(0)..<32)
        #expect(
            unwrappedKey(wrapped, with: key)
                == bytes("00112233445566778899AABBCCDDEEFF000102030405060708090A0B0C0D0E0F"))
        for position in [0, 20, 39] {
            var damaged = wrapped
            damaged[position] ^= 1
            #expect(unwrappedKey(damaged, with: key) == nil)
        }
        #expect(unwrappedKey(Array(wrapped.dropLast()), with: key) == nil)
        #expect(unwrappedKey([], with: key) == nil)
        #expect(unwrappedKey(wrapped, with: Array(key.dropLast())) == nil)
    }
}
