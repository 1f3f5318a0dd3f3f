internal import CPhoneCrypto

// The only file of the simulator's phones that knows libcrypto. No pointer of its leaves it.
//
// A call that fails here has no input to blame: memory ran out or the library is broken, and a
// simulated phone has nothing to go on with.

private func succeed(_ status: Int32, _ what: StaticString) {
    guard status == 1 else { fatalError("libcrypto: \(what) failed") }
}

private func present(_ pointer: OpaquePointer?, _ what: StaticString) -> OpaquePointer {
    guard let pointer = unsafe pointer else { fatalError("libcrypto: no \(what)") }
    return unsafe pointer
}

/// Algorithms looked up once: an implicit look-up at each use costs more than a small hash.
private enum Algorithm {
    // OpenSSL's method objects are immutable and counted, so all threads may share them.
    nonisolated(unsafe) static let sha1 = unsafe present(EVP_MD_fetch(nil, "SHA1", nil), "SHA-1")
    nonisolated(unsafe) static let sha256 = unsafe present(
        EVP_MD_fetch(nil, "SHA256", nil), "SHA-256")
    nonisolated(unsafe) static let cbc = unsafe present(
        EVP_CIPHER_fetch(nil, "AES-256-CBC", nil), "AES-256-CBC")
    nonisolated(unsafe) static let wrap = unsafe present(
        EVP_CIPHER_fetch(nil, "AES-256-WRAP", nil), "AES-256-WRAP")
}

/// The hashes a phone uses.
enum PhoneHash: Sendable {
    case sha1
    case sha256

    fileprivate var algorithm: OpaquePointer {
        switch self {
        case .sha1: unsafe Algorithm.sha1
        case .sha256: unsafe Algorithm.sha256
        }
    }

    fileprivate var byteCount: Int { self == .sha1 ? 20 : 32 }

    /// The hash of `bytes`.
    func of(_ bytes: some Sequence<UInt8>) -> [UInt8] {
        let input = Array(bytes)
        var digest = [UInt8](repeating: 0, count: byteCount)
        // Sound: the array lends its bytes for the call; the digest has the bytes it writes.
        unsafe succeed(
            EVP_Digest(input, input.count, &digest, nil, algorithm, nil), "digest")
        return digest
    }
}

/// A hash over bytes that come piece by piece; used by one thread at a time.
@safe final class RunningHash {
    // Owned: made in init, freed in deinit, never shared.
    private let context: OpaquePointer
    private let kind: PhoneHash

    init(_ kind: PhoneHash) {
        self.kind = kind
        unsafe context = present(EVP_MD_CTX_new(), "digest context")
        unsafe succeed(EVP_DigestInit_ex2(context, kind.algorithm, nil), "digest start")
    }

    deinit {
        // Sound: owned.
        unsafe EVP_MD_CTX_free(context)
    }

    /// Takes `count` bytes of the buffer from `index` on.
    func update(_ buffer: [UInt8], at index: Int, count: Int) {
        precondition(index + count <= buffer.count)
        guard count > 0 else { return }
        // Sound: the closure's buffer holds the range, checked above.
        unsafe buffer.withUnsafeBytes { bytes in
            unsafe succeed(
                EVP_DigestUpdate(context, bytes.baseAddress?.advanced(by: index), count),
                "digest update")
        }
    }

    /// The hash of all bytes taken; the object starts anew.
    func finish() -> [UInt8] {
        var digest = [UInt8](repeating: 0, count: kind.byteCount)
        // Sound: the digest has the bytes it writes.
        unsafe succeed(EVP_DigestFinal_ex(context, &digest, nil), "digest end")
        unsafe succeed(EVP_DigestInit_ex2(context, kind.algorithm, nil), "digest start")
        return digest
    }
}

/// AES-256-CBC with a zero IV and PKCS #7 padding, as files of a backup are encrypted; used by one
/// thread at a time.
@safe final class FileCipher {
    // Owned: made in init, freed in deinit, never shared.
    private let context: OpaquePointer

    /// `key` is 32 bytes.
    init(key: [UInt8], encrypts: Bool) {
        precondition(key.count == 32, "AES-256 takes 32 bytes")
        unsafe context = present(EVP_CIPHER_CTX_new(), "cipher context")
        let start = [UInt8](repeating: 0, count: 16)
        // Sound: 32 and 16 bytes are read during the call.
        unsafe succeed(
            EVP_CipherInit_ex2(context, Algorithm.cbc, key, start, encrypts ? 1 : 0, nil),
            "cipher start")
    }

    deinit {
        // Sound: owned.
        unsafe EVP_CIPHER_CTX_free(context)
    }

    /// Turns `count` bytes of `input` from `index` on and writes the result into `output` from
    /// `place` on, which needs 16 bytes more than `count`. Returns how many were written.
    func update(
        _ input: [UInt8], at index: Int, count: Int, to output: inout [UInt8], at place: Int
    ) -> Int {
        precondition(output.count - place >= count + 16, "the output is too small")
        guard count > 0 else { return 0 }
        var written: Int32 = 0
        // Sound: both ranges lie within their buffers, checked above; counts are far below 2 GiB.
        unsafe input.withUnsafeBytes { source in
            unsafe output.withUnsafeMutableBytes { target in
                unsafe succeed(
                    EVP_CipherUpdate(
                        context,
                        target.baseAddress?.advanced(by: place).assumingMemoryBound(
                            to: UInt8.self), &written,
                        source.baseAddress?.advanced(by: index).assumingMemoryBound(
                            to: UInt8.self), Int32(count)), "cipher")
            }
        }
        return Int(written)
    }

    /// The last block: with padding, or without when decrypting. Nil when the padding is wrong.
    func finish() -> [UInt8]? {
        var last = [UInt8](repeating: 0, count: 16)
        var written: Int32 = 0
        // Sound: one block at most is written.
        guard unsafe EVP_CipherFinal_ex(context, &last, &written) == 1 else { return nil }
        return Array(last.prefix(Int(written)))
    }
}

/// Wrapping of keys with other keys (RFC 3394): 32 bytes become 40.
enum KeyWrap {
    /// `key` wrapped with `wrappingKey`, both 32 bytes.
    static func wrap(_ key: [UInt8], with wrappingKey: [UInt8]) -> [UInt8] {
        guard let wrapped = turn(key, with: wrappingKey, wraps: true) else {
            fatalError("libcrypto: key wrap failed")
        }
        return wrapped
    }

    /// The key inside 40 bytes; nil when `wrappingKey` is not the one that wrapped it.
    static func unwrap(_ wrapped: [UInt8], with wrappingKey: [UInt8]) -> [UInt8]? {
        wrapped.count == 40 ? turn(wrapped, with: wrappingKey, wraps: false) : nil
    }

    private static func turn(_ input: [UInt8], with key: [UInt8], wraps: Bool) -> [UInt8]? {
        precondition(key.count == 32, "AES-256 takes 32 bytes")
        // Sound: the context is owned here; wrapping writes 8 bytes more than it reads.
        let context = unsafe present(EVP_CIPHER_CTX_new(), "cipher context")
        defer { unsafe EVP_CIPHER_CTX_free(context) }
        unsafe EVP_CIPHER_CTX_set_flags(context, EVP_CIPHER_CTX_FLAG_WRAP_ALLOW)
        unsafe succeed(
            EVP_CipherInit_ex2(context, Algorithm.wrap, key, nil, wraps ? 1 : 0, nil),
            "key wrap start")
        var output = [UInt8](repeating: 0, count: input.count + 16)
        var written: Int32 = 0
        guard
            unsafe EVP_CipherUpdate(context, &output, &written, input, Int32(input.count)) == 1
        else { return nil }
        return Array(output.prefix(Int(written)))
    }
}

/// PBKDF2 (RFC 8018) of `password`: 32 bytes.
func stretchedKey(
    _ password: [UInt8], salt: [UInt8], rounds: Int, with hash: PhoneHash
) -> [UInt8] {
    var key = [UInt8](repeating: 0, count: 32)
    // Sound: the arrays lend their bytes for the call; the lengths are theirs.
    unsafe password.withUnsafeBytes { bytes in
        unsafe succeed(
            PKCS5_PBKDF2_HMAC(
                bytes.baseAddress?.assumingMemoryBound(to: CChar.self), Int32(password.count),
                salt, Int32(salt.count), Int32(clamping: rounds), hash.algorithm,
                Int32(key.count), &key), "PBKDF2")
    }
    return key
}

/// `count` random bytes, for keys.
func randomKeyBytes(_ count: Int) -> [UInt8] {
    var bytes = [UInt8](repeating: 0, count: count)
    // Sound: the array has the bytes that are written.
    unsafe succeed(RAND_bytes(&bytes, Int32(count)), "randomness")
    return bytes
}
