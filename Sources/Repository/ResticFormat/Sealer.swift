/// Seals and opens bytes with a repository's key: random IV, AES-256-CTR, Poly1305-AES.
///
/// A sealed thing is 16 bytes of IV, the ciphertext, 16 bytes of code over the ciphertext. Source:
/// restic's design document, "Keys, Encryption and MAC". It holds cipher contexts and is therefore
/// for one thread at a time.
package final class Sealer {
    /// What sealing adds: IV and authentication code, bytes.
    package static var overhead: Int { 32 }
    private static var ivCount: Int { 16 }
    private static var tagCount: Int { 16 }

    private let counter: CipherContext
    private let nonce: CipherContext
    private let authenticator = Poly1305Context()
    private let macR: [UInt8]
    private var piece = [UInt8](repeating: 0, count: 64 << 10)

    /// A sealer under `key`.
    package init(_ key: MasterKey) {
        counter = .aes256CTR(key: key.encryption)
        nonce = .aes128ECB(key: key.macK)
        macR = key.macR
    }

    /// Appends the sealed form of `plain` to `output`: `plain.count + overhead` bytes.
    package func seal(_ plain: UnsafeRawBufferPointer, into output: inout [UInt8]) {
        let start = output.count
        output.append(contentsOf: repeatElement(0, count: plain.count + Self.overhead))
        // The array lends its storage; all slices below lie within what was just appended.
        unsafe output.withUnsafeMutableBytes { all in
            let sealed = unsafe UnsafeMutableRawBufferPointer(rebasing: all[start...])
            let iv = unsafe UnsafeMutableRawBufferPointer(rebasing: sealed[..<Self.ivCount])
            let cipherEnd = Self.ivCount + plain.count
            let cipher = unsafe UnsafeMutableRawBufferPointer(
                rebasing: sealed[Self.ivCount..<cipherEnd])
            unsafe fillRandom(iv)
            unsafe counter.start(iv: UnsafeRawBufferPointer(iv))
            unsafe counter.apply(plain, to: cipher)
            unsafe writeTag(
                of: UnsafeRawBufferPointer(cipher), iv: UnsafeRawBufferPointer(iv),
                to: UnsafeMutableRawBufferPointer(rebasing: sealed[cipherEnd...]))
        }
    }

    /// The sealed form of `plain`.
    package func seal(_ plain: [UInt8]) -> [UInt8] {
        var output: [UInt8] = []
        output.reserveCapacity(plain.count + Self.overhead)
        // The array lends its storage for the call.
        unsafe plain.withUnsafeBytes { unsafe seal($0, into: &output) }
        return output
    }

    /// The plain bytes of a sealed thing; `notAuthentic` when the code does not fit, `malformed`
    /// when it is too short or its IV is all zero.
    package func open(_ sealed: UnsafeRawBufferPointer) throws(FormatError) -> [UInt8] {
        // The ciphertext lies within `sealed`, which the caller keeps valid.
        let cipher = unsafe try startOpening(sealed)
        return unsafe [UInt8](unsafeUninitializedCapacity: cipher.count) { buffer, count in
            // The capacity asked for is the count written.
            unsafe counter.apply(cipher, to: UnsafeMutableRawBufferPointer(buffer))
            count = cipher.count
        }
    }

    /// Lends the plain bytes of a sealed thing to `take`, one piece after the other, after its
    /// code was checked; throws as the other form does, and what `take` throws.
    ///
    /// The pieces stay in the processor's cache and cost no memory, whatever the length.
    package func open(
        _ sealed: UnsafeRawBufferPointer,
        inPieces take: (UnsafeRawBufferPointer) throws(FormatError) -> Void
    ) throws(FormatError) {
        // The ciphertext lies within `sealed`, which the caller keeps valid.
        let cipher = unsafe try startOpening(sealed)
        // The array lends its storage for the call; each slice is at most that long.
        try unsafe piece.withUnsafeMutableBufferPointer { all throws(FormatError) in
            let buffer = UnsafeMutableRawBufferPointer(all)
            var done = 0
            while done < cipher.count {
                let count = min(buffer.count, cipher.count - done)
                unsafe counter.apply(
                    UnsafeRawBufferPointer(rebasing: cipher[done..<done + count]), to: buffer)
                try unsafe take(UnsafeRawBufferPointer(rebasing: buffer[..<count]))
                done += count
            }
        }
    }

    /// Checks a sealed thing, sets the counter to its IV and gives its ciphertext.
    private func startOpening(
        _ sealed: UnsafeRawBufferPointer
    ) throws(FormatError) -> UnsafeRawBufferPointer {
        guard sealed.count >= Self.overhead else {
            throw .malformed("sealed bytes end after \(sealed.count) bytes")
        }
        // All slices lie within `sealed`, which the caller keeps valid, because of the guard.
        let iv = unsafe UnsafeRawBufferPointer(rebasing: sealed[..<Self.ivCount])
        let cipherEnd = sealed.count - Self.tagCount
        let cipher = unsafe UnsafeRawBufferPointer(rebasing: sealed[Self.ivCount..<cipherEnd])
        guard unsafe iv.contains(where: { $0 != 0 }) else { throw .malformed("the IV is zero") }
        let tag = unsafe UnsafeRawBufferPointer(rebasing: sealed[cipherEnd...])
        guard unsafe isAuthentic(cipher, iv: iv, tag: tag) else {
            throw FormatError(.notAuthentic, "the authentication code does not fit")
        }
        unsafe counter.start(iv: iv)
        return unsafe cipher
    }

    /// The plain bytes of a sealed thing.
    package func open(_ sealed: [UInt8]) throws(FormatError) -> [UInt8] {
        // The array lends its storage for the call.
        try unsafe sealed.withUnsafeBufferPointer { bytes throws(FormatError) in
            try unsafe open(UnsafeRawBufferPointer(bytes))
        }
    }

    private func isAuthentic(
        _ cipher: UnsafeRawBufferPointer, iv: UnsafeRawBufferPointer, tag: UnsafeRawBufferPointer
    ) -> Bool {
        var expected = [UInt8](repeating: 0, count: Self.tagCount)
        // The array lends its storage for the call.
        return unsafe expected.withUnsafeMutableBytes { buffer in
            unsafe writeTag(of: cipher, iv: iv, to: buffer)
            return unsafe equalInConstantTime(UnsafeRawBufferPointer(buffer), tag)
        }
    }

    /// Writes the code of `cipher`: Poly1305 under the one-time key r || AES-128_k(IV).
    private func writeTag(
        of cipher: UnsafeRawBufferPointer, iv: UnsafeRawBufferPointer,
        to tag: UnsafeMutableRawBufferPointer
    ) {
        var key = macR + [UInt8](repeating: 0, count: 16)
        // The array lends its 32 bytes; the second half takes the encrypted IV.
        unsafe key.withUnsafeMutableBytes { oneTime in
            unsafe nonce.apply(
                iv, to: UnsafeMutableRawBufferPointer(rebasing: oneTime[16...]))
            unsafe authenticator.authenticate(
                cipher, key: UnsafeRawBufferPointer(oneTime), tag: tag)
        }
    }
}
