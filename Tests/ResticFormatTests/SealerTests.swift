import BackupCore
import Testing

@testable import ResticFormat

@Suite struct SealerTests {
    @Test func sealedBytesOpenAgain() throws {
        let sealer = Sealer(MasterKey.random())
        for count in [0, 1, 15, 16, 17, 1000, 1 << 20] {
            let plain = secureRandomBytes(count)
            let sealed = sealer.seal(plain)
            #expect(sealed.count == count + Sealer.overhead)
            #expect(try sealer.open(sealed) == plain)
            #expect(sealer.seal(plain) != sealed, "the IV is new each time")
        }
    }

    @Test func anyChangedBitIsNoticed() throws {
        let sealer = Sealer(MasterKey.random())
        let sealed = sealer.seal(Array("hello".utf8))
        for position in sealed.indices {
            for bit in UInt8(0)..<8 {
                var changed = sealed
                changed[position] ^= 1 << bit
                #expect(code { try sealer.open(changed) } == .notAuthentic)
            }
        }
    }

    @Test func anotherKeyDoesNotOpen() {
        let sealed = Sealer(MasterKey.random()).seal([1, 2, 3])
        #expect(code { try Sealer(MasterKey.random()).open(sealed) } == .notAuthentic)
    }

    @Test func stubsAndZeroIVsAreRefused() {
        let sealer = Sealer(MasterKey.random())
        #expect(code { try sealer.open([]) } == .malformed)
        #expect(code { try sealer.open([UInt8](repeating: 1, count: 31)) } == .malformed)
        #expect(code { try sealer.open([UInt8](repeating: 0, count: 64)) } == .malformed)
    }

    @Test(arguments: [0, 1, 65_535, 65_536, 65_537, 1 << 20])
    func piecesTogetherAreTheWhole(count: Int) throws {
        let sealer = Sealer(MasterKey.random())
        let plain = secureRandomBytes(count)
        #expect(try pieces(of: sealer.seal(plain), with: sealer) == plain)
    }

    @Test func noPieceOfAChangedThingIsLent() {
        let sealer = Sealer(MasterKey.random())
        var sealed = sealer.seal(secureRandomBytes(200_000))
        sealed[150_000] ^= 1
        #expect(code { try pieces(of: sealed, with: sealer) } == .notAuthentic)
        #expect(code { try pieces(of: [1, 2, 3], with: sealer) } == .malformed)
    }

    /// What is lent, in one; anything lent before an error fails the test.
    private func pieces(of sealed: [UInt8], with sealer: Sealer) throws(FormatError) -> [UInt8] {
        var plain: [UInt8] = []
        do throws(FormatError) {
            try sealed.withUnsafeBufferPointer { bytes throws(FormatError) in
                try sealer.open(UnsafeRawBufferPointer(bytes)) { piece throws(FormatError) in
                    plain += Array(piece)
                }
            }
        } catch {
            #expect(plain.isEmpty)
            throw error
        }
        return plain
    }

    @Test func keyIsNeverPrinted() {
        let key = MasterKey.random()
        #expect("\(key)" == "MasterKey(hidden)")
        #expect(String(reflecting: key) == "MasterKey(hidden)")
        var dumped = ""
        dump(key, to: &dumped)
        #expect(!dumped.contains("\(key.macK[0])\n"))
    }

    @Test func authenticationCodeIsPoly1305AES() throws {
        // Bernstein, "The Poly1305-AES message-authentication code" (2005), appendix B.
        let key = try #require(
            MasterKey(
                encryption: [UInt8](repeating: 7, count: 32),
                macK: bytes("ec074c835580741701425b623235add6"),
                macR: bytes("851fc40c3467ac0be05cc20404f3f700")))
        let sealer = Sealer(key)
        let iv = bytes("fb447350c4e868c52ac3275cf9d4327e")
        let sealed = iv + bytes("f3f6") + bytes("f4c633c3044fc145f84f335cb81953de")
        #expect(try sealer.open(sealed).count == 2)
    }
}

@Suite struct HashTests {
    @Test func piecesHashAsTheWhole() {
        let content = seededBytes(100_000, seed: 1)
        var hasher = SHA256()
        for start in stride(from: 0, to: content.count, by: 777) {
            hasher.update(Array(content[start..<min(start + 777, content.count)]))
        }
        #expect(hasher.finalize() == ContentID.sha256(of: content))
    }

    @Test func hashIsTheStandards() {
        // FIPS 180-2, appendix B.1, and the empty message.
        #expect(
            ContentID.sha256(of: Array("abc".utf8)).hex
                == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad")
        #expect(
            ContentID.sha256(of: []).hex
                == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855")
    }
}

/// The code of the ``FormatError`` that `body` throws, nil when it throws none or another error.
func code<Result>(_ body: () throws -> Result) -> FormatError.Code? {
    do {
        _ = try body()
        return nil
    } catch {
        return (error as? FormatError)?.code
    }
}

/// The bytes of hexadecimal digits.
func bytes(_ hex: String) -> [UInt8] {
    let digits = hex.utf8.compactMap(hexDigitValue)
    return stride(from: 0, to: digits.count - 1, by: 2).map { digits[$0] << 4 | digits[$0 + 1] }
}
