import BackupCore
import ResticFormat
import Testing

@testable import AppleBackup

/// Bytes from hexadecimal digits.
func bytes(_ hex: String) -> [UInt8] {
    var bytes: [UInt8] = []
    var digits = hex[...]
    while digits.count >= 2 {
        bytes.append(UInt8(digits.prefix(2), radix: 16) ?? 0)
        digits = digits.dropFirst(2)
    }
    return bytes
}

/// A keybag, and what is encrypted with it, made by Python: hashlib's PBKDF2, and the key wrap and
/// AES of its package cryptography.
enum KeybagFixture {
    static let password = "p\u{E4}ss word"
    static let bag = bytes(
        """
        56455253000000040000000554595045000000040000000155554944000000104d3948929081\
        f779f08265b0abd3eea9484d434b000000282c826117c30572466d3728ccba9690a6a5884a63\
        b177f68321a79894134577dd6dbb1596f2a212c257524150000000040000000053414c540000\
        001465c7df7043958a926270dca4bf17f29c8ecb6e2a49544552000000040000006444505754\
        00000004000000014450494300000004000003e84450534c0000001481527bcf546b5fe77e64\
        c8fd3c73f6707f4094fa55554944000000101b2324e7ecc0d3ec6e520734fe3eac8a434c4153\
        00000004000000015752415000000004000000024b545950000000040000000057504b590000\
        0028bd4420488af6307fb5ba1bffd07f65ec578ef8dc2738f6e7500b79fb3071531c8f38ae65\
        4dd7aa355555494400000010b9f6b4f0f2d4fb2144615cf6bb3ecc95434c4153000000040000\
        00035752415000000004000000024b545950000000040000000057504b590000002899d5b40c\
        4c4a7f4ce2c698c03b8918e19ad768b3a988c54e90aa537700c3a21fc9fd4a5a5fa3c5f05555\
        4944000000105732faed91b50f220273c1ad7405f8b4434c4153000000040000000457524150\
        00000004000000024b545950000000040000000057504b590000002840f1c5ca1d3864cd48e7\
        22e3b74762dfc77bbeac50427864fc3ebb6d522f9b2397a34505b788cc48
        """)
    static let classThree = bytes(
        "cda884bfbad3cb7e5bf4887152b1e129c8396e29f8b7303dfe56d99be7906de3")
    static let wrappedFileKey = bytes(
        "0300000029bbe3231aba957d5401468963aa9408f0801efb143e5439ff457efc40c324d1f039537b275fe6bb")
    static let fileKey = bytes(
        "3e7f1803a726396f0a0b027d41fd59c9041552c9ecf3167a5fe633724ba54f82")
    static let plain = Array("Messages of the last years, forty-one bytes...".utf8)
    static let encrypted = bytes(
        "4a8d2671b6e50ba9a476d5cb912c4393cfb44e059c81b64337530a6388f2dfdd406abfc34d5b4c5d"
            + "cd747cc66cdc0185")
}

@Suite struct KeybagTests {
    @Test func theRightPasswordGivesTheKeys() throws {
        let bag = try #require(BackupKeybag(KeybagFixture.bag))
        let keys = try #require(bag.classKeys(password: KeybagFixture.password))
        #expect(Set(keys.keys) == [1, 3, 4])
        #expect(keys[3] == KeybagFixture.classThree)
        #expect(
            BackupKeybag.fileKey(KeybagFixture.wrappedFileKey, keys) == KeybagFixture.fileKey)
        var other = KeybagFixture.wrappedFileKey
        other[0] = 4
        #expect(BackupKeybag.fileKey(other, keys) == nil)
        #expect(BackupKeybag.fileKey([3, 0, 0, 0], keys) == nil)
    }

    @Test(arguments: ["", "pass word", "p\u{E4}ss word "])
    func anotherPasswordGivesNone(password: String) throws {
        let bag = try #require(BackupKeybag(KeybagFixture.bag))
        #expect(bag.classKeys(password: password) == nil)
    }

    @Test func garbledBagsAreNone() {
        #expect(BackupKeybag([]) == nil)
        for count in [1, 7, 40, 200] {
            let cut = BackupKeybag(Array(KeybagFixture.bag.prefix(count)))
            #expect(cut?.classKeys(password: KeybagFixture.password) == nil)
        }
        // A length of 4 GiB within it.
        #expect(BackupKeybag(KeybagFixture.bag + Array("WPKY".utf8) + [255, 255, 255, 255]) == nil)
    }

    /// A hostile bag must not keep the box busy for hours.
    @Test func tooManyRoundsAreRefused() {
        let tag = Array("DPIC".utf8) + [0, 0, 0, 4]
        for index in KeybagFixture.bag.indices.dropLast(12)
        where KeybagFixture.bag[index...].starts(with: tag) {
            var bag = KeybagFixture.bag
            bag.replaceSubrange(index + 8..<index + 12, with: [255, 255, 255, 255])
            #expect(BackupKeybag(bag) == nil)
            bag.replaceSubrange(index + 8..<index + 12, with: [0, 0, 0, 0])
            #expect(BackupKeybag(bag) == nil)
        }
    }

    @Test func contentIsDecryptedPieceByPiece() {
        for size in [1, 16, 17, 48] {
            var cipher = CBCDecryption(key: KeybagFixture.fileKey)
            var plain: [UInt8] = []
            var rest = KeybagFixture.encrypted[...]
            while !rest.isEmpty {
                plain += cipher.decrypt(Array(rest.prefix(size)))
                rest = rest.dropFirst(size)
            }
            #expect(plain.count == KeybagFixture.encrypted.count)
            #expect(Array(plain.prefix(KeybagFixture.plain.count)) == KeybagFixture.plain)
        }
    }
}
