import Glibc

/// Writes what comes down into a file, decrypting it on the way; counts and hashes the result.
final class DownloadWriter {
    private let blob: StoredBlob
    private let cipher: FileCipher?
    private let hash = RunningHash(.sha1)
    private var output: [UInt8] = []
    /// Bytes of the result so far, from `start` on.
    private(set) var byteCount: UInt64 = 0
    private let start: UInt64

    /// Writes a new file at `path`.
    init(path: String, cipher: FileCipher?) throws {
        blob = try StoredBlob(creating: path)
        self.cipher = cipher
        start = 0
    }

    /// Appends to a blob at `start`.
    init(appendingTo blob: StoredBlob, at start: UInt64, cipher: FileCipher?) {
        self.blob = blob
        self.cipher = cipher
        self.start = start
    }

    /// Takes more bytes.
    func append(_ bytes: ArraySlice<UInt8>) throws {
        guard let cipher else { return try write(Array(bytes), count: bytes.count) }
        let input = Array(bytes)
        if output.count < input.count + 16 {
            output = [UInt8](repeating: 0, count: input.count + 16)
        }
        let count = cipher.update(input, at: 0, count: input.count, to: &output, at: 0)
        try write(output, count: count)
    }

    /// Ends the file; false when it was encrypted with another key or cut off.
    func finish() -> Bool {
        guard let cipher else { return true }
        guard let last = cipher.finish() else { return false }
        // Fails only when the machine's disk is full, and then the size differs.
        return (try? write(last, count: last.count)) != nil
    }

    /// SHA-1 of all bytes of the result.
    func digest() -> [UInt8] { hash.finish() }

    private func write(_ bytes: [UInt8], count: Int) throws {
        guard count > 0 else { return }
        try blob.write(bytes, count: count, at: start + byteCount)
        hash.update(bytes, at: 0, count: count)
        byteCount += UInt64(count)
    }
}
