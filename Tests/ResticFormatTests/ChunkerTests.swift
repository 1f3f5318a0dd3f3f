import Testing

@testable import ResticFormat

@Suite struct ChunkerTests {
    @Test func lanesCutWhereAPlainFingerprintCuts() throws {
        for seed in UInt64(1)...3 {
            let polynomial = Polynomial.random()
            let content = seededBytes(12 << 20, seed: seed)
            let lengths = cutLengths(of: content, piece: 1 << 20, polynomial: polynomial)
            #expect(
                lengths == plainCutLengths(of: content, polynomial: polynomial),
                "seed \(seed), polynomial \(polynomial.hex)")
        }
    }

    @Test(arguments: [1 << 20, 100_003, 16_384, 9 << 20])
    func cutsDoNotDependOnThePieces(piece: Int) throws {
        let polynomial = try #require(Polynomial(hex: "3da3358b4dc173"))
        let content = seededBytes(10 << 20, seed: 7)
        #expect(
            cutLengths(of: content, piece: piece, polynomial: polynomial)
                == cutLengths(of: content, piece: content.count, polynomial: polynomial))
    }

    @Test func monotonousContentIsCutAtTheMaximum() throws {
        let polynomial = try #require(Polynomial(hex: "3da3358b4dc173"))
        let content = [UInt8](repeating: 0xA5, count: Chunker.maximum + 5)
        #expect(
            cutLengths(of: content, piece: 1 << 20, polynomial: polynomial) == [Chunker.maximum, 5])
    }

    @Test func zerosAreCutAtTheMinimum() throws {
        // The fingerprint of zeros is zero, which ends in 20 zero bits.
        let polynomial = try #require(Polynomial(hex: "3da3358b4dc173"))
        let content = [UInt8](repeating: 0, count: 2 * Chunker.minimum + 1)
        #expect(
            cutLengths(of: content, piece: 4096, polynomial: polynomial)
                == [Chunker.minimum, Chunker.minimum, 1])
    }

    @Test(arguments: [
        Array("SQLite format 3\0".utf8), [0x37, 0x7F, 0x06, 0x82], [0x37, 0x7F, 0x06, 0x83],
    ])
    func databasesAreCutAtFixedLengths(start: [UInt8]) throws {
        let polynomial = try #require(Polynomial(hex: "3da3358b4dc173"))
        let content = start + seededBytes(200_000 - start.count, seed: 3)
        #expect(
            cutLengths(of: content, piece: 10, polynomial: polynomial)
                == [65_536, 65_536, 65_536, 3_392])
    }

    @Test func onlyIrreduciblePolynomialsOfDegree53AreTaken() {
        #expect(Polynomial(hex: "3da3358b4dc173")?.hex == "3da3358b4dc173")
        #expect(Polynomial(hex: "3da3358b4dc172") == nil, "divisible by x")
        #expect(Polynomial(hex: "3da3358b4dc171") == nil, "even number of terms")
        #expect(Polynomial(hex: "7da3358b4dc173") == nil, "degree 54")
        #expect(Polynomial(hex: "") == nil)
        #expect(Polynomial(hex: "-3da3358b4dc173") == nil)
        #expect(Polynomial(hex: "+3da3358b4dc173") == nil)
        // (x^3 + x + 1)(x^50 + x^49 + 1) has no root, so only the power test refuses it.
        #expect(Polynomial(bits: 1 << 53 | 1 << 52 | 1 << 51 | 1 << 49 | 1 << 3 | 2 | 1) == nil)
    }
}

/// The lengths a cutter gives for content that comes in pieces.
func cutLengths(of content: [UInt8], piece: Int, polynomial: Polynomial) -> [Int] {
    var cutter = FileCutter(chunker: Chunker(polynomial: polynomial))
    var lengths: [Int] = []
    var start = 0
    var end = 0
    while end < content.count {
        end = min(end + piece, content.count)
        while start < end {
            // The array lends its storage for the call.
            let cut = unsafe content.withUnsafeBytes { all in
                unsafe cutter.nextCut(in: UnsafeRawBufferPointer(rebasing: all[start..<end]))
            }
            guard let cut else { break }
            lengths.append(cut)
            start += cut
        }
    }
    return start < content.count ? lengths + [content.count - start] : lengths
}

/// The definition, bit by bit and without tables: x^(8·63)·b0 + … + b63 modulo the polynomial.
func plainCutLengths(of content: [UInt8], polynomial: Polynomial) -> [Int] {
    var lengths: [Int] = []
    var start = 0
    // b·x^504 modulo the polynomial, for taking the oldest byte out again.
    let oldest = (UInt64(0)..<256).map { byte in
        (0..<64).reduce(byte) { hash, step in
            step == 0 ? polynomial.remainder(hash) : polynomial.remainder(hash << 8)
        }
    }
    while start < content.count {
        let limit = min(8 << 20, content.count - start)
        var length = limit
        var hash: UInt64 = 0
        for position in 0..<limit {
            if position >= 64 { hash ^= oldest[Int(content[start + position - 64])] }
            hash = polynomial.remainder(hash << 8 | UInt64(content[start + position]))
            if position + 1 >= 512 << 10, hash % (1 << 20) == 0 {
                length = position + 1
                break
            }
        }
        lengths.append(length)
        start += length
    }
    return lengths
}

/// `count` bytes that look random and are the same for the same seed (xorshift64*).
func seededBytes(_ count: Int, seed: UInt64) -> [UInt8] {
    var random = SeededRandom(seed: seed)
    var bytes: [UInt8] = []
    bytes.reserveCapacity(count + 8)
    while bytes.count < count {
        var word = random.next()
        for _ in 0..<8 {
            bytes.append(UInt8(truncatingIfNeeded: word))
            word >>= 8
        }
    }
    return Array(bytes.prefix(count))
}

/// xorshift64* (Vigna 2014): small, and the same everywhere.
struct SeededRandom: RandomNumberGenerator {
    private var state: UInt64

    init(seed: UInt64) { state = seed &* 0x9E37_79B9_7F4A_7C15 | 1 }

    mutating func next() -> UInt64 {
        state ^= state >> 12
        state ^= state << 25
        state ^= state >> 27
        return state &* 0x2545_F491_4F6C_DD1D
    }
}
