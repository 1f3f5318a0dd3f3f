package import BackupCore
internal import CLibCrypto

// The only file that knows OpenSSL. No pointer of its leaves it.
//
// A call that fails here has no input to blame: memory ran out or the library is broken. There is
// nothing to go on with (a backup must never be sealed with a doubtful cipher), so it ends the
// process.

private func succeed(_ status: Int32, _ what: StaticString) {
    guard status == 1 else { fatalError("libcrypto: \(what) failed") }
}

private func present(_ pointer: OpaquePointer?, _ what: StaticString) -> OpaquePointer {
    guard let pointer = unsafe pointer else { fatalError("libcrypto: no \(what)") }
    return unsafe pointer
}

/// Algorithms looked up once: an implicit look-up at each use costs more than hashing 1 KiB.
private enum Algorithm {
    // OpenSSL's method objects are immutable and counted, so all threads may share them.
    nonisolated(unsafe) static let sha256 = unsafe present(
        EVP_MD_fetch(nil, "SHA256", nil), "SHA-256")
    nonisolated(unsafe) static let aes256CTR = unsafe present(
        EVP_CIPHER_fetch(nil, "AES-256-CTR", nil), "AES-256-CTR")
    nonisolated(unsafe) static let aes128ECB = unsafe present(
        EVP_CIPHER_fetch(nil, "AES-128-ECB", nil), "AES-128-ECB")
    // As above; the ones that an iPhone's backups are encrypted with.
    nonisolated(unsafe) static let sha1 = unsafe present(
        EVP_MD_fetch(nil, "SHA1", nil), "SHA-1")
    nonisolated(unsafe) static let aes256Wrap = unsafe present(
        EVP_CIPHER_fetch(nil, "AES-256-WRAP", nil), "AES-256 key wrap")
    nonisolated(unsafe) static let aes256CBC = unsafe present(
        EVP_CIPHER_fetch(nil, "AES-256-CBC", nil), "AES-256-CBC")
    nonisolated(unsafe) static let poly1305 = unsafe present(
        EVP_MAC_fetch(nil, "POLY1305", nil), "Poly1305")
}

/// SHA-256 over bytes that come piece by piece.
@safe
package struct SHA256: ~Copyable {
    // Owned: made in init, freed in deinit, never shared.
    private let context: OpaquePointer

    /// A hasher that has seen nothing.
    package init() {
        unsafe context = present(EVP_MD_CTX_new(), "digest context")
        unsafe succeed(EVP_DigestInit_ex2(context, Algorithm.sha256, nil), "digest start")
    }

    /// Takes more bytes.
    package mutating func update(_ bytes: UnsafeRawBufferPointer) {
        guard let base = bytes.baseAddress else { return }
        // The buffer is valid for `count` bytes during the call.
        unsafe succeed(EVP_DigestUpdate(context, base, bytes.count), "digest update")
    }

    /// Takes more bytes.
    package mutating func update(_ bytes: [UInt8]) {
        // The array lends its storage for the call.
        unsafe bytes.withUnsafeBytes { unsafe update($0) }
    }

    /// The hash of all bytes taken.
    package consuming func finalize() -> ContentID {
        var digest = [UInt8](repeating: 0, count: ContentID.byteCount)
        // The digest's buffer has the 32 bytes that SHA-256 writes.
        unsafe succeed(EVP_DigestFinal_ex(context, &digest, nil), "digest end")
        return contentID(digest)
    }

    deinit { unsafe EVP_MD_CTX_free(context) }
}

private func contentID(_ digest: [UInt8]) -> ContentID {
    func word(_ start: Int) -> UInt64 {
        digest[start..<start + 8].reduce(0) { $0 << 8 | UInt64($1) }
    }
    return ContentID(words: (word(0), word(8), word(16), word(24)))
}

extension ContentID {
    /// The SHA-256 of `bytes`.
    package static func sha256(of bytes: UnsafeRawBufferPointer) -> ContentID {
        var digest = [UInt8](repeating: 0, count: ContentID.byteCount)
        // An empty buffer may have no address; EVP_Digest then reads nothing. The digest's buffer
        // has the 32 bytes that SHA-256 writes.
        unsafe succeed(
            EVP_Digest(bytes.baseAddress, bytes.count, &digest, nil, Algorithm.sha256, nil),
            "digest")
        return contentID(digest)
    }

    /// The SHA-256 of `bytes`.
    package static func sha256(of bytes: [UInt8]) -> ContentID {
        // The array lends its storage for the call.
        unsafe bytes.withUnsafeBytes { unsafe sha256(of: $0) }
    }
}

/// `count` bytes of the system's cryptographic randomness.
package func secureRandomBytes(_ count: Int) -> [UInt8] {
    var bytes = [UInt8](repeating: 0, count: count)
    // The array lends its storage for the call.
    unsafe bytes.withUnsafeMutableBytes { unsafe fillRandom($0) }
    return bytes
}

/// Fills `buffer` with cryptographic randomness.
func fillRandom(_ buffer: UnsafeMutableRawBufferPointer) {
    guard let base = buffer.baseAddress else { return }
    // The buffer is valid for `count` bytes during the call; counts here are far below 2 GiB.
    unsafe succeed(
        RAND_bytes(base.assumingMemoryBound(to: UInt8.self), Int32(buffer.count)), "randomness")
}

/// Whether two byte strings are equal, in a time that tells nothing of where they differ.
func equalInConstantTime(_ left: UnsafeRawBufferPointer, _ right: UnsafeRawBufferPointer) -> Bool {
    guard left.count == right.count, let a = left.baseAddress, let b = right.baseAddress else {
        return left.count == right.count
    }
    // Both buffers are valid for the same count during the call.
    return unsafe CRYPTO_memcmp(a, b, left.count) == 0
}

/// A block cipher of OpenSSL with its key set; used by one thread at a time.
@safe
struct CipherContext: ~Copyable {
    // Owned: made in init, freed in deinit, never shared.
    private let context: OpaquePointer

    private init(_ cipher: OpaquePointer, key: [UInt8]) {
        unsafe context = present(EVP_CIPHER_CTX_new(), "cipher context")
        // The key's length was checked by the factory against the cipher's.
        unsafe succeed(EVP_EncryptInit_ex2(context, cipher, key, nil, nil), "cipher start")
        unsafe succeed(EVP_CIPHER_CTX_set_padding(context, 0), "cipher padding")
    }

    /// AES-256 in counter mode; `key` is 32 bytes.
    static func aes256CTR(key: [UInt8]) -> CipherContext {
        precondition(key.count == 32, "AES-256 takes 32 bytes")
        return unsafe CipherContext(Algorithm.aes256CTR, key: key)
    }

    /// AES-128 block by block, for the authentication code's nonce; `key` is 16 bytes.
    static func aes128ECB(key: [UInt8]) -> CipherContext {
        precondition(key.count == 16, "AES-128 takes 16 bytes")
        return unsafe CipherContext(Algorithm.aes128ECB, key: key)
    }

    /// Sets the 16-byte counter block that the next bytes start with.
    func start(iv: UnsafeRawBufferPointer) {
        precondition(iv.count == 16, "the counter block has 16 bytes")
        // Key and cipher are kept when nil is given; 16 bytes are read.
        unsafe succeed(
            EVP_EncryptInit_ex2(
                context, nil, nil, iv.baseAddress?.assumingMemoryBound(to: UInt8.self), nil),
            "cipher IV")
    }

    /// Encrypts (counter mode: also decrypts) `input` to `output`, which may be the same memory.
    func apply(_ input: UnsafeRawBufferPointer, to output: UnsafeMutableRawBufferPointer) {
        precondition(output.count >= input.count, "the output is too small")
        // OpenSSL counts in Int32; larger buffers go in parts of whole blocks.
        let part = 1 << 30
        var done = 0
        while done < input.count {
            let count = min(part, input.count - done)
            var written: Int32 = 0
            // Both buffers hold `count` bytes from `done` on, as the precondition says.
            unsafe succeed(
                EVP_EncryptUpdate(
                    context,
                    output.baseAddress?.advanced(by: done).assumingMemoryBound(to: UInt8.self),
                    &written,
                    input.baseAddress?.advanced(by: done).assumingMemoryBound(to: UInt8.self),
                    Int32(count)),
                "cipher")
            done += count
        }
    }

    deinit { unsafe EVP_CIPHER_CTX_free(context) }
}

/// Poly1305 of OpenSSL; used by one thread at a time.
@safe
struct Poly1305Context: ~Copyable {
    // Owned: made in init, freed in deinit, never shared.
    private let context: OpaquePointer

    init() {
        unsafe context = present(EVP_MAC_CTX_new(Algorithm.poly1305), "MAC context")
    }

    /// The 16-byte code of `message` under the 32-byte one-time `key`, written to `tag`.
    func authenticate(
        _ message: UnsafeRawBufferPointer, key: UnsafeRawBufferPointer,
        tag: UnsafeMutableRawBufferPointer
    ) {
        precondition(key.count == 32 && tag.count == 16, "Poly1305: 32-byte key, 16-byte code")
        // Each buffer is valid for its count; 32 and 16 were just checked.
        unsafe succeed(
            EVP_MAC_init(
                context, key.baseAddress?.assumingMemoryBound(to: UInt8.self), key.count, nil),
            "MAC start")
        if let base = message.baseAddress {
            unsafe succeed(
                EVP_MAC_update(
                    context, base.assumingMemoryBound(to: UInt8.self), message.count),
                "MAC update")
        }
        var written = 0
        unsafe succeed(
            EVP_MAC_final(
                context, tag.baseAddress?.assumingMemoryBound(to: UInt8.self), &written, tag.count),
            "MAC end")
    }

    deinit { unsafe EVP_MAC_CTX_free(context) }
}

/// scrypt (RFC 7914) of `password`, giving `byteCount` bytes; nil when OpenSSL refuses the
/// parameters or the memory of about `128 * r * (n + p)` bytes cannot be had.
func scrypt(
    password: [UInt8], salt: [UInt8], n: UInt64, r: UInt64, p: UInt64, byteCount: Int
) -> [UInt8]? {
    var key = [UInt8](repeating: 0, count: byteCount)
    // OpenSSL's own default limit of 32 MiB refuses restic's ordinary keys.
    let memory = 128 * r * (n + p) + (1 << 20)
    // The arrays lend their storage for the call; the lengths are theirs.
    let status = unsafe password.withUnsafeBytes { passwordBytes in
        unsafe EVP_PBE_scrypt(
            passwordBytes.baseAddress?.assumingMemoryBound(to: CChar.self), password.count, salt,
            salt.count, n, r, p, memory, &key, byteCount)
    }
    return status == 1 ? key : nil
}

// MARK: - What backups of an iPhone are encrypted with

/// What PBKDF2 hashes with.
package enum StretchingHash: Sendable {
    case sha1
    case sha256
}

/// PBKDF2 with HMAC (RFC 8018) of `password`, giving `byteCount` bytes; nil when OpenSSL refuses
/// the parameters (no rounds).
package func pbkdf2(
    password: [UInt8], salt: [UInt8], rounds: Int, hash: StretchingHash, byteCount: Int
) -> [UInt8]? {
    guard let rounds = Int32(exactly: rounds) else { return nil }
    var key = [UInt8](repeating: 0, count: byteCount)
    let algorithm = unsafe hash == .sha1 ? Algorithm.sha1 : Algorithm.sha256
    // The arrays lend their storage for the call; the lengths are theirs.
    let status = unsafe password.withUnsafeBytes { passwordBytes in
        unsafe PKCS5_PBKDF2_HMAC(
            passwordBytes.baseAddress?.assumingMemoryBound(to: CChar.self),
            Int32(password.count), salt, Int32(salt.count), rounds, algorithm, Int32(byteCount),
            &key)
    }
    return status == 1 ? key : nil
}

/// The key that was wrapped with the 32-byte `key` (RFC 3394): 8 bytes shorter than `wrapped`; nil
/// when `key` is not the one it was wrapped with.
package func unwrappedKey(_ wrapped: [UInt8], with key: [UInt8]) -> [UInt8]? {
    guard key.count == 32, wrapped.count >= 24, wrapped.count <= 4096, wrapped.count % 8 == 0
    else { return nil }
    let context = unsafe present(EVP_CIPHER_CTX_new(), "cipher context")
    defer { unsafe EVP_CIPHER_CTX_free(context) }
    unsafe EVP_CIPHER_CTX_set_flags(context, EVP_CIPHER_CTX_FLAG_WRAP_ALLOW)
    // 32 bytes of key are there, as was just checked; the wrap's own initial value is the usual one.
    unsafe succeed(
        EVP_DecryptInit_ex2(context, Algorithm.aes256Wrap, key, nil, nil), "key unwrapping")
    var plain = [UInt8](repeating: 0, count: wrapped.count + 16)
    var count: Int32 = 0
    // The output has more room than the input is long.
    guard unsafe EVP_DecryptUpdate(context, &plain, &count, wrapped, Int32(wrapped.count)) == 1,
        Int(count) == wrapped.count - 8
    else { return nil }
    return Array(plain.prefix(Int(count)))
}

/// AES-256 in CBC mode, decrypting whole blocks piece by piece.
@safe
package struct CBCDecryption: ~Copyable {
    // Owned: made in init, freed in deinit, never shared.
    private let context: OpaquePointer

    /// Starts with a 32-byte key and an initial vector of zeros.
    package init(key: [UInt8]) {
        precondition(key.count == 32, "AES-256 takes 32 bytes")
        unsafe context = present(EVP_CIPHER_CTX_new(), "cipher context")
        let zeros = [UInt8](repeating: 0, count: 16)
        // Both arrays have the lengths that the cipher reads.
        unsafe succeed(
            EVP_DecryptInit_ex2(context, Algorithm.aes256CBC, key, zeros, nil), "cipher start")
        unsafe succeed(EVP_CIPHER_CTX_set_padding(context, 0), "cipher padding")
    }

    /// The plain bytes of the next ones; what is behind the last whole block comes with a later
    /// piece. A piece is at most 1 GiB.
    package mutating func decrypt(_ bytes: [UInt8]) -> [UInt8] {
        precondition(bytes.count <= 1 << 30, "too much at once")
        var plain = [UInt8](repeating: 0, count: bytes.count + 32)
        var count: Int32 = 0
        // The output has room for the input and a block held back before.
        unsafe succeed(
            EVP_DecryptUpdate(context, &plain, &count, bytes, Int32(bytes.count)), "cipher")
        plain.removeSubrange(Int(count)...)
        return plain
    }

    deinit { unsafe EVP_CIPHER_CTX_free(context) }
}
