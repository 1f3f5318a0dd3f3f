import Testing

@testable import ResticFormat

@Suite struct ZstdCodecTests {
    private let codec = ZstdCodec()

    @Test(arguments: [0, 1, 1000, 1 << 20])
    func contentComesBack(count: Int) throws {
        let plain = seededBytes(count, seed: 4).map { $0 & 3 }
        let frame = codec.compress(plain)
        #expect(try codec.decompress(frame, limit: count) == plain)
    }

    @Test func onlyWhatShrinksIsCompressed() {
        #expect(codec.compressedIfSmaller(seededBytes(100_000, seed: 1)) == nil)
        #expect(codec.compressedIfSmaller([]) == nil)
        #expect(codec.compressedIfSmaller([UInt8](repeating: 0, count: 1000)) != nil)
    }

    @Test func roomUsedAgainGivesTheSameFrames() {
        // 4,000 random bytes and runs between: from what does not shrink to what vanishes.
        for count in [4_100, 10 << 20, 70_000, 0, 4_080, 300_000] {
            var plain = [UInt8](repeating: 7, count: count)
            plain.replaceSubrange(
                ..<min(4_000, count), with: seededBytes(min(4_000, count), seed: 9))
            let frame = codec.compress(plain)
            let isSmaller = frame.count <= count - count / 50 - 1
            #expect(codec.compressedIfSmaller(plain) == (isSmaller ? frame : nil))
        }
    }

    @Test(arguments: [1, 7, 4096, 1 << 20])
    func frameInPiecesIsTheWhole(pieceCount: Int) throws {
        let plain = seededBytes(1 << 20, seed: 4).map { $0 & 3 }
        #expect(try inPieces(codec.compress(plain), of: pieceCount) == plain)
    }

    @Test func cutAndContinuedFramesInPiecesAreRefused() {
        let frame = codec.compress(seededBytes(3000, seed: 5).map { $0 & 1 })
        for end in frame.indices {
            #expect(code { try inPieces(Array(frame[..<end]), of: 100) } == .malformed)
        }
        #expect(code { try inPieces(frame + [1], of: 100) } == .malformed)
        #expect(code { try inPieces(frame + frame, of: 1 << 20) } == .malformed)
        #expect(code { try inPieces([1, 2, 3, 4, 5, 6], of: 100) } == .malformed)
    }

    private func inPieces(_ frame: [UInt8], of count: Int) throws(FormatError) -> [UInt8] {
        var plain: [UInt8] = []
        codec.beginFrame()
        for start in stride(from: 0, to: frame.count, by: count) {
            let piece = Array(frame[start..<min(start + count, frame.count)])
            try piece.withUnsafeBufferPointer { bytes throws(FormatError) in
                try codec.decompress(next: UnsafeRawBufferPointer(bytes)) { plain += Array($0) }
            }
        }
        try codec.endFrame()
        return plain
    }

    @Test func announcedSizeBeyondTheLimitIsRefused() {
        let frame = codec.compress([UInt8](repeating: 0, count: 1000))
        #expect(code { try codec.decompress(frame, limit: 999) } == .limitExceeded)
    }

    @Test func hugeAnnouncementOfASmallFrameIsNotBelieved() {
        // One segment of 1 TiB, told in eight bytes, and one empty last block.
        let frame: [UInt8] =
            [0x28, 0xB5, 0x2F, 0xFD, 0xE0, 0, 0, 0, 0, 0, 1, 0, 0] + [1, 0, 0]
        #expect(code { try codec.decompress(frame, limit: 1 << 20) } == .limitExceeded)
        #expect(code { try codec.decompress(frame, limit: 1 << 41) } == .malformed)
    }

    @Test func silentFrameIsGivenUpAtTheLimit() throws {
        // No announced size; 8,000 blocks that each repeat one byte 128 KiB long: 1 GiB.
        let bomb = silentFrame(blocks: 8000)
        #expect(code { try codec.decompress(bomb, limit: 1 << 20) } == .limitExceeded)
        let small = silentFrame(blocks: 3)
        #expect(try codec.decompress(small, limit: 3 * 128 << 10).count == 3 * 128 << 10)
        #expect(code { try codec.decompress(small, limit: 3 * 128 << 10 - 1) } == .limitExceeded)
    }

    @Test func cutAndForeignFramesAreRefused() {
        let frame = codec.compress([UInt8](repeating: 9, count: 5000))
        for end in frame.indices {
            #expect(code { try codec.decompress(Array(frame[..<end]), limit: 5000) } == .malformed)
        }
        let silent = silentFrame(blocks: 2)
        for end in silent.indices {
            #expect(
                code { try codec.decompress(Array(silent[..<end]), limit: 1 << 20) } == .malformed)
        }
        #expect(code { try codec.decompress([1, 2, 3, 4, 5, 6], limit: 10) } == .malformed)
    }

    /// A frame (RFC 8878, 3.1.1) with a window of 128 KiB and blocks that repeat a zero.
    private func silentFrame(blocks: Int) -> [UInt8] {
        var frame: [UInt8] = [0x28, 0xB5, 0x2F, 0xFD, 0x00, 7 << 3]
        for block in 1...blocks { frame += [block == blocks ? 3 : 2, 0x00, 0x10, 0x00] }
        return frame
    }
}
