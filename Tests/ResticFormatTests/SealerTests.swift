import ResticFormat
import Testing

@Suite struct SealerTests {
    @Test func sealedBytesOpenAgain() throws {
        let sealer = Sealer(MasterKey.random())
        for count in [0, 1, 15, 16, 17, 1000, 1 << 20] {
            let plain = secureRandomBytes(count)
            let sealed = sealer.seal(plain)
            #expect(sealed.count == count + Sealer.overhead)
            #expect(try sealer.open(sealed) == plain)
        }
    }
}
