// The raw streams of DeviceLink: files to the host and files from it.

/// Sends files to the host: names, blocks and end marks are gathered into large writes.
final class UploadStream {
    private let link: DeviceLink
    private let blockSize: Int
    private var buffer: [UInt8]
    private var used = 0
    private var plain: [UInt8] = []

    /// Blocks have at most `blockSize` bytes of content.
    init(_ link: DeviceLink, blockSize: Int) {
        self.link = link
        self.blockSize = min(max(16, blockSize), 1 << 22)
        buffer = [UInt8](repeating: 0, count: (1 << 20) + self.blockSize + 64)
    }

    /// What kinds of blocks there are.
    private enum Block {
        static let data: UInt8 = 0x0C
        static let end: UInt8 = 0x00
    }

    /// Announces a list of files with `total` bytes; `progress` is 0 to 100.
    func begin(progress: Double, total: UInt64) throws {
        try link.send(["DLMessageUploadFiles", [:], .real(progress), .number(total)])
    }

    /// Sends one file, encrypted when there is a key. Returns SHA-1 of the content.
    func send(
        _ content: PhoneFileContent, device: String, to path: String, key: [UInt8]?
    ) throws -> [UInt8] {
        try put(name: device)
        try put(name: path)
        let hash = RunningHash(.sha1)
        if let key {
            try sendEncrypted(content, FileCipher(key: key, encrypts: true), hash)
        } else {
            try sendPlain(content, hash)
        }
        try put(head: 1, Block.end)
        return hash.finish()
    }

    /// Sends a file that cannot be read.
    func sendError(_ block: UInt8, device: String, to path: String) throws {
        try put(name: device)
        try put(name: path)
        let text = Array("Operation not permitted".utf8)
        try put(head: text.count + 1, block)
        try put(text)
    }

    /// Ends the list and waits for the host's word.
    func end() throws -> DeviceLink.Reply {
        try put([0, 0, 0, 0])
        try flush()
        return try link.reply()
    }

    private func sendPlain(_ content: PhoneFileContent, _ hash: RunningHash) throws {
        var offset: UInt64 = 0
        while offset < content.byteCount {
            let count = Int(min(content.byteCount - offset, UInt64(blockSize)))
            try put(head: count + 1, Block.data)
            try room(for: count)
            try content.fill(&buffer, at: used, count: count, from: offset)
            hash.update(buffer, at: used, count: count)
            used += count
            offset += UInt64(count)
        }
    }

    private func sendEncrypted(
        _ content: PhoneFileContent, _ cipher: FileCipher, _ hash: RunningHash
    ) throws {
        if plain.count < blockSize { plain = [UInt8](repeating: 0, count: blockSize) }
        var offset: UInt64 = 0
        while offset < content.byteCount {
            let count = Int(min(content.byteCount - offset, UInt64(blockSize)))
            try content.fill(&plain, at: 0, count: count, from: offset)
            hash.update(plain, at: 0, count: count)
            try room(for: count + 32)
            let written = cipher.update(plain, at: 0, count: count, to: &buffer, at: used + 5)
            if written > 0 {
                try put(head: written + 1, Block.data)
                used += written
            }
            offset += UInt64(count)
        }
        guard let last = cipher.finish(), !last.isEmpty else { return }
        try put(head: last.count + 1, Block.data)
        try put(last)
    }

    private func put(name: String) throws {
        let bytes = Array(name.utf8)
        try room(for: 4)
        put(UInt32(bytes.count))
        try put(bytes)
    }

    private func put(head count: Int, _ code: UInt8) throws {
        try room(for: 5)
        put(UInt32(count))
        buffer[used] = code
        used += 1
    }

    private func put(_ value: UInt32) {
        for shift: UInt32 in [24, 16, 8, 0] {
            buffer[used] = UInt8(truncatingIfNeeded: value >> shift)
            used += 1
        }
    }

    private func put(_ bytes: [UInt8]) throws {
        try room(for: bytes.count)
        buffer.replaceSubrange(used..<used + bytes.count, with: bytes)
        used += bytes.count
    }

    /// Sends what is gathered when `count` more bytes would not fit.
    private func room(for count: Int) throws {
        if used + count > 1 << 20 { try flush() }
    }

    private func flush() throws {
        guard used > 0 else { return }
        try link.write(Array(buffer[..<used]))
        used = 0
    }
}

extension DeviceLink {
    /// What comes while files come down.
    enum DownloadEvent {
        /// A file begins.
        case begin(path: String)
        /// More of its bytes.
        case data(ArraySlice<UInt8>)
        /// It is whole.
        case end
        /// The host could not read it.
        case failed(text: String)
    }

    /// Fetches files from the host and returns its final word.
    func download(
        _ paths: [String], progress: Double = 0, _ take: (DownloadEvent) throws -> Void
    ) throws -> Reply {
        try send([
            "DLMessageDownloadFiles", .array(paths.map { .string($0) }), [:], .real(progress),
        ])
        return try takeFiles(take)
    }

    /// Takes the files that the host sends for a message that is on its way.
    func takeFiles(_ take: (DownloadEvent) throws -> Void) throws -> Reply {
        while true {
            let nameLength = try readCount()
            guard nameLength > 0 else { return try reply() }
            guard nameLength <= 4096 else {
                throw BackupFailure(100, "The host sent a name of \(nameLength) bytes")
            }
            try take(.begin(path: String(decoding: try read(nameLength), as: UTF8.self)))
            try downloadBlocks(take)
        }
    }

    private func downloadBlocks(_ take: (DownloadEvent) throws -> Void) throws {
        while true {
            let length = try readCount()
            // A real phone's agent is killed for its memory by large blocks.
            guard length >= 1, length <= 1 << 26 else {
                throw BackupFailure(100, "The host sent a block of \(length) bytes")
            }
            let block = try read(length)
            switch block[0] {
            case 0x0C: try take(.data(block.dropFirst()))
            case 0x00: return try take(.end)
            default:
                return try take(
                    .failed(text: String(decoding: block.dropFirst(), as: UTF8.self)))
            }
        }
    }

    /// Fetches one small file whole; nil when the host has none.
    func download(whole path: String) throws -> [UInt8]? {
        var bytes: [UInt8] = []
        var isThere = true
        _ = try download([path]) { event in
            switch event {
            case .data(let more):
                guard bytes.count + more.count <= 1 << 28 else {
                    throw BackupFailure(100, "\(path) is too large")
                }
                bytes += more
            case .failed: isThere = false
            case .begin, .end: break
            }
        }
        return isThere ? bytes : nil
    }

    /// The names in a folder of the host; nil when there is no such folder.
    func contents(of path: String) throws -> Set<String>? {
        let reply = try ask(["DLContentsOfDirectory", .string(path)])
        guard reply.code == 0 else { return nil }
        return Set((reply.payload.entries ?? [:]).keys)
    }
}
