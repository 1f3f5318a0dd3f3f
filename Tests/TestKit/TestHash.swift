package import BackupCore

/// A quick 256-bit hash for tests of parts that only need equal names for equal bytes: four
/// FNV-1a sums with different starts. It is not SHA-256 and resists nobody.
package func testHash(_ bytes: [UInt8]) -> ContentID {
    var words: (UInt64, UInt64, UInt64, UInt64) = (
        0xCBF2_9CE4_8422_2325, 0x9AE1_6A3B_2F90_404F, 0xC3A5_C85C_97CB_3127, 0xB492_B66F_BE98_F273
    )
    for byte in bytes {
        words.0 = (words.0 ^ UInt64(byte)) &* 0x100_0000_01B3
        words.1 = (words.1 ^ UInt64(byte)) &* 0x9E37_79B9_7F4A_7C15
        words.2 = (words.2 &+ UInt64(byte)) &* 0xBF58_476D_1CE4_E5B9
        words.3 = (words.3 ^ (words.0 >> 32)) &* 0x94D0_49BB_1331_11EB
    }
    return ContentID(words: words)
}
