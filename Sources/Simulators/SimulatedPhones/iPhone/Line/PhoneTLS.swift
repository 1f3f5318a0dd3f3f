internal import CPhoneTLS

// The only file that knows OpenSSL's TLS. No pointer of it leaves the file, and no socket comes
// in: bytes go in and out, so that the line can be slow, silent or cut under the encryption.

/// Why an encrypted connection cannot be.
struct TLSProblem: Error, CustomStringConvertible {
    let description: String
}

/// The key pair of a phone: RSA with 2,048 bits, as the lockdown protocol asks for.
@safe final class PhoneKey: Sendable {
    // Owned; OpenSSL counts its users itself, and nothing changes it after init.
    nonisolated(unsafe) fileprivate let key: OpaquePointer

    /// A new key.
    init() throws(TLSProblem) {
        guard let made = unsafe phone_tls_new_rsa_key() else {
            throw TLSProblem(description: "No RSA key could be made.")
        }
        unsafe key = made
    }

    /// The key that ``privateBytes`` gave.
    init(privateBytes: [UInt8]) throws(TLSProblem) {
        // Sound: the array lends its storage for the call, which moves its own pointer only.
        let read = unsafe privateBytes.withUnsafeBufferPointer { buffer -> OpaquePointer? in
            var start = buffer.baseAddress
            return unsafe d2i_AutoPrivateKey(nil, &start, buffer.count)
        }
        guard let read = unsafe read else {
            throw TLSProblem(description: "The phone's private key is damaged.")
        }
        unsafe key = read
    }

    deinit { unsafe EVP_PKEY_free(key) }

    /// The private key in DER.
    var privateBytes: [UInt8] { unsafe encoded { unsafe i2d_PrivateKey(key, $0) } }

    /// "-----BEGIN RSA PUBLIC KEY-----", PKCS #1, as `DevicePublicKey` holds it.
    var publicPEM: [UInt8] {
        let text = Base64.encode(unsafe encoded { unsafe i2d_PublicKey(key, $0) })
        var lines = "-----BEGIN RSA PUBLIC KEY-----\n"
        var rest = Substring(text)
        while !rest.isEmpty {
            lines += rest.prefix(64) + "\n"
            rest = rest.dropFirst(64)
        }
        return Array((lines + "-----END RSA PUBLIC KEY-----\n").utf8)
    }

    private func encoded(
        _ write: (UnsafeMutablePointer<UnsafeMutablePointer<UInt8>?>?) -> Int32
    ) -> [UInt8] {
        let count = Int(write(nil))
        guard count > 0 else { return [] }
        // Sound: the first call told how many bytes the second one writes.
        return unsafe [UInt8](unsafeUninitializedCapacity: count) { buffer, written in
            var start = buffer.baseAddress
            written = max(0, Int(unsafe write(&start)))
        }
    }
}

/// A certificate.
@safe final class PhoneCertificate: Sendable {
    // Owned; nothing changes it after init.
    nonisolated(unsafe) fileprivate let certificate: OpaquePointer

    /// Reads one from PEM; nil when it is none.
    init?(pem: [UInt8]) {
        // Sound: the memory BIO reads the array during the closure only.
        let read = unsafe pem.withUnsafeBytes { buffer -> OpaquePointer? in
            guard let bio = unsafe BIO_new_mem_buf(buffer.baseAddress, Int32(buffer.count)) else {
                return nil
            }
            defer { unsafe BIO_free(bio) }
            return unsafe PEM_read_bio_X509(bio, nil, nil, nil)
        }
        guard let read = unsafe read else { return nil }
        unsafe certificate = read
    }

    deinit { unsafe X509_free(certificate) }

    /// Whether it is about this key.
    func certifies(_ key: PhoneKey) -> Bool {
        unsafe X509_check_private_key(certificate, key.key) == 1
    }
}

/// The phone's side of one encrypted connection. One thread at a time.
@safe final class TLSSession {
    // Owned; the session owns both BIOs.
    private let session: OpaquePointer
    private let input: OpaquePointer
    private let output: OpaquePointer
    private let hosts: [PhoneCertificate]

    /// A server with the certificate that the host made for the phone's key; it accepts the host
    /// only with one of these certificates, as a phone does.
    init(
        certificate: PhoneCertificate, key: PhoneKey, hosts: [PhoneCertificate]
    ) throws(TLSProblem) {
        guard let context = unsafe SSL_CTX_new(TLS_server_method()) else {
            throw TLSProblem(description: "OpenSSL gives no context.")
        }
        // Sound: the session keeps the context after this.
        defer { unsafe SSL_CTX_free(context) }
        // Hosts sign with SHA-1, which OpenSSL refuses by itself; what counts is checked below.
        unsafe SSL_CTX_set_security_level(context, 0)
        unsafe phone_tls_set_up(context)
        unsafe SSL_CTX_set_num_tickets(context, 0)
        unsafe SSL_CTX_set_verify(
            context, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, { _, _ in 1 })
        guard unsafe SSL_CTX_use_certificate(context, certificate.certificate) == 1,
            unsafe SSL_CTX_use_PrivateKey(context, key.key) == 1,
            let session = unsafe SSL_new(context), let input = unsafe BIO_new(BIO_s_mem()),
            let output = unsafe BIO_new(BIO_s_mem())
        else { throw TLSProblem(description: "The phone's certificate does not fit its key.") }
        unsafe SSL_set_bio(session, input, output)
        unsafe SSL_set_accept_state(session)
        unsafe self.session = session
        unsafe self.input = input
        unsafe self.output = output
        self.hosts = hosts
    }

    deinit { unsafe SSL_free(session) }

    /// Takes bytes that came over the line.
    func feed(_ bytes: [UInt8]) {
        // Sound: a memory BIO copies what the array lends.
        unsafe bytes.withUnsafeBytes { buffer in
            _ = unsafe BIO_write(input, buffer.baseAddress, Int32(buffer.count))
        }
    }

    /// Bytes for the line, which ``feed(_:)``'s counterpart shall have next.
    func takeOutput() -> [UInt8] {
        let count = Int(unsafe phone_tls_pending(output))
        guard count > 0 else { return [] }
        // Sound: BIO_read writes at most the capacity.
        return unsafe [UInt8](unsafeUninitializedCapacity: count) { buffer, written in
            written = max(0, Int(unsafe BIO_read(output, buffer.baseAddress, Int32(count))))
        }
    }

    /// Goes on with the handshake; true when it is done, false when the host has to say more.
    func shakeHands() throws(TLSProblem) -> Bool {
        let result = unsafe SSL_do_handshake(session)
        guard result == 1 else {
            try mayGoOn(result, "The TLS handshake")
            return false
        }
        // Sound: the certificate is counted up by the call and freed here.
        guard let peer = unsafe SSL_get1_peer_certificate(session) else {
            throw TLSProblem(description: "The host showed no certificate.")
        }
        defer { unsafe X509_free(peer) }
        guard hosts.contains(where: { unsafe X509_cmp($0.certificate, peer) == 0 }) else {
            throw TLSProblem(description: "The host's certificate is not the paired one.")
        }
        return true
    }

    /// Up to `limit` bytes of plain text; empty when more has to be fed first, nil when the host
    /// has closed the encryption.
    func decrypt(upTo limit: Int) throws(TLSProblem) -> [UInt8]? {
        var result: Int32 = 1
        // Sound: SSL_read writes at most what is left of the capacity.
        let plain = unsafe [UInt8](unsafeUninitializedCapacity: limit) { buffer, count in
            while count < limit {
                result = unsafe SSL_read(
                    session, buffer.baseAddress?.advanced(by: count), Int32(clamping: limit - count)
                )
                guard result > 0 else { return }
                count += Int(result)
            }
        }
        if result > 0 || !plain.isEmpty { return plain }
        if unsafe SSL_get_error(session, result) == SSL_ERROR_ZERO_RETURN { return nil }
        try mayGoOn(result, "Reading")
        return plain
    }

    /// Encrypts `count` bytes from `start` on; ``takeOutput()`` has them then.
    func encrypt(_ bytes: [UInt8], from start: Int, count: Int) throws(TLSProblem) {
        // Sound: the range lies within the array, which the caller cut into pieces.
        let result = unsafe bytes.withUnsafeBytes { buffer in
            unsafe SSL_write(session, buffer.baseAddress?.advanced(by: start), Int32(count))
        }
        guard result == Int32(count) else {
            throw TLSProblem(description: "Encrypting failed.")
        }
    }

    /// Whether plain text waits that the line has already brought.
    var hasPending: Bool {
        unsafe SSL_pending(session) > 0 || phone_tls_pending(input) > 0
    }

    /// Says goodbye; the host still has to answer.
    func sayGoodbye() {
        _ = unsafe SSL_shutdown(session)
    }

    private func mayGoOn(_ result: Int32, _ what: String) throws(TLSProblem) {
        let reason = unsafe SSL_get_error(session, result)
        guard reason == SSL_ERROR_WANT_READ else {
            throw TLSProblem(description: "\(what) failed (TLS error \(reason)).")
        }
    }
}
