/// Finds where restic cuts content: after the first byte, at 512 KiB or later, where the
/// fingerprint of the last 64 bytes ends in 20 zero bits, and at 8 MiB at the latest.
///
/// restic skips to 64 bytes before the minimum and then slides its window, so by the first legal
/// cut the window holds only bytes of the chunk: a cut depends on nothing but those 64 bytes. That
/// allows any buffering, and four fingerprints at once: one alone waits for its own table look-ups
/// (540 MB/s measured), four interleaved ones hide that (1,430 MB/s).
/// Source: restic's design document, "Backups and Deduplication"; restic/chunker.
package struct Chunker: Sendable {
    /// The least length of a chunk that is not the last: 512 KiB.
    package static var minimum: Int { 512 << 10 }
    /// The greatest length of a chunk: 8 MiB.
    package static var maximum: Int { 8 << 20 }

    private static var window: Int { 64 }
    private static var cutMask: UInt64 { 1 << 20 - 1 }
    /// A digest's eight highest bits begin here: degree 53 less 8. Written out, because a constant
    /// of another file is a call per byte where the module is not optimised as a whole.
    private static var highByteShift: UInt64 { 45 }
    /// The longest stretch one of the four fingerprints runs over.
    private static var longestLane: Int { 8 << 10 }
    /// Below this the start-up of a lane (64 bytes) costs more than it saves.
    private static var shortestLane: Int { 256 }

    // 256 entries that remove the byte leaving the window, then 256 that reduce the overflow of
    // appending a byte. One array, so that the loop has one base address.
    private let tables: [UInt64]

    /// A chunker for the repository with `polynomial`.
    package init(polynomial: Polynomial) {
        func appended(_ hash: UInt64, _ byte: UInt64) -> UInt64 {
            polynomial.remainder(hash << 8 | byte)
        }
        // What a byte has become once 64 others came after it. Taken out after the new byte came
        // in, not before, so that this look-up does not hold up the other.
        let leaving = (UInt64(0)..<256).map { byte in
            (0..<Self.window).reduce(appended(0, byte)) { hash, _ in appended(hash, 0) }
        }
        let overflowing = (UInt64(0)..<256).map { byte in
            let high = byte << UInt64(Polynomial.degree)
            return polynomial.remainder(high) | high
        }
        tables = leaving + overflowing
    }

    /// The length of the chunk that begins at the start of `chunk`, nil when the bytes there do
    /// not tell yet.
    ///
    /// `examined` is how many of the bytes were there at an earlier call that gave nil, so that a
    /// growing buffer is looked at once. At the end of the content the rest is the last chunk.
    package func cut(in chunk: UnsafeRawBufferPointer, examined: Int = 0) -> Int? {
        let first = max(Self.minimum, examined + 1)
        let last = min(chunk.count, Self.maximum)
        guard first <= last, let base = chunk.baseAddress else {
            return chunk.count >= Self.maximum ? Self.maximum : nil
        }
        // All positions lie in 512 KiB ... chunk.count, so the 65 bytes before each are in `chunk`.
        let found = unsafe tables.withUnsafeBufferPointer { tables -> Int? in
            guard let tableBase = tables.baseAddress else { return nil }
            let search = unsafe CutSearch(
                bytes: base.assumingMemoryBound(to: UInt8.self), leaving: tableBase,
                overflowing: tableBase + 256)
            return unsafe search.first(from: first, through: last)
        }
        return found ?? (last == Self.maximum ? last : nil)
    }

    /// One search in lent bytes. Positions are counts of bytes from the chunk's start: position p
    /// has the fingerprint of the bytes p - 64 ..< p. All are at least ``Chunker/minimum``.
    @unsafe
    private struct CutSearch {
        let bytes: UnsafePointer<UInt8>
        let leaving: UnsafePointer<UInt64>
        let overflowing: UnsafePointer<UInt64>

        func first(from start: Int, through last: Int) -> Int? {
            var position = start
            while position <= last {
                let rest = last - position + 1
                let lane = min(Chunker.longestLane, rest / 4)
                if lane < Chunker.shortestLane {
                    return unsafe firstAlone(from: position, through: last)
                }
                if let found = unsafe firstOfFour(from: position, lane: lane) { return found }
                position += 4 * lane
            }
            return nil
        }

        private func firstAlone(from start: Int, through last: Int) -> Int? {
            var digest = unsafe digest(before: start)
            for position in start...last {
                unsafe slide(
                    &digest, in: bytes[position - 1],
                    out: bytes[position - 1 - Chunker.window])
                if digest & Chunker.cutMask == 0 { return position }
            }
            return nil
        }

        /// The first cut in four stretches of `lane` positions that follow each other.
        private func firstOfFour(from start: Int, lane: Int) -> Int? {
            var a = unsafe digest(before: start)
            var b = unsafe digest(before: start + lane)
            var c = unsafe digest(before: start + 2 * lane)
            var d = unsafe digest(before: start + 3 * lane)
            // The byte that each lane takes in first; plain pointers, so that the loop has nothing
            // to add or check but one index.
            let atA = unsafe bytes + (start - 1)
            let atB = unsafe atA + lane
            let atC = unsafe atB + lane
            let atD = unsafe atC + lane
            var found = Int.max
            var step = 0
            while step < lane {
                unsafe slide(&a, in: atA[step], out: atA[step &- Chunker.window])
                unsafe slide(&b, in: atB[step], out: atB[step &- Chunker.window])
                unsafe slide(&c, in: atC[step], out: atC[step &- Chunker.window])
                unsafe slide(&d, in: atD[step], out: atD[step &- Chunker.window])
                if a & Chunker.cutMask == 0 { return start + step }
                if b & Chunker.cutMask == 0 { found = min(found, start + lane + step) }
                if c & Chunker.cutMask == 0 { found = min(found, start + 2 * lane + step) }
                if d & Chunker.cutMask == 0 { found = min(found, start + 3 * lane + step) }
                step &+= 1
            }
            return found == Int.max ? nil : found
        }

        /// The fingerprint at the position before `position`.
        @inline(__always)
        private func digest(before position: Int) -> UInt64 {
            var digest: UInt64 = 0
            for index in position - 1 - Chunker.window..<position - 1 {
                unsafe append(bytes[index], to: &digest)
            }
            return digest
        }

        @inline(__always)
        private func slide(_ digest: inout UInt64, in new: UInt8, out old: UInt8) {
            let gone = unsafe leaving[Int(old)]
            unsafe append(new, to: &digest)
            digest ^= gone
        }

        @inline(__always)
        private func append(_ byte: UInt8, to digest: inout UInt64) {
            let high = Int(truncatingIfNeeded: digest >> Chunker.highByteShift)
            // A digest has at most 53 bits, so `high` is below 256.
            digest = unsafe (digest << 8 | UInt64(byte)) ^ overflowing[high]
        }
    }
}
