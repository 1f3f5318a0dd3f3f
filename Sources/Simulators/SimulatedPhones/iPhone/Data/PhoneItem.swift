import Glibc

/// A file, folder or link of a simulated iPhone as a backup sees it: a domain and a path in it.
struct PhoneItem: Sendable {
    /// What an item is; the numbers are the `flags` of a backup's manifest.
    enum Kind: Int64, Sendable {
        case file = 1
        case folder = 2
        case link = 4
    }

    /// Domain of the backup, such as "HomeDomain".
    var domain: String
    /// Path in the domain without a leading slash; empty for the domain's own folder.
    var path: String
    var kind = Kind.file
    /// Permission bits.
    var permissions: Int64 = 0o644
    /// Last change and birth, seconds since 1970.
    var modified: Int64
    var born: Int64
    /// Class of data protection, 1 (complete) to 4 (none), the one whose key wraps the file's.
    var protectionClass: UInt32 = 3
    /// Bytes of a file; of a link, its target.
    var content = PhoneFileContent.bytes([])

    /// Whether unencrypted backups leave it out: health, calls, the browser's history, Wi-Fi keys.
    var isPrivate: Bool {
        domain == "HealthDomain" || Self.privatePaths.contains(path)
    }

    private static let privatePaths: Set<String> = [
        "Library/CallHistoryDB/CallHistory.storedata", "Library/Safari/History.db",
        "com.apple.wifi.known-networks.plist",
    ]

    /// Permission bits with the kind, as in `st_mode`.
    var mode: Int64 {
        switch kind {
        case .file: permissions | 0o100000
        case .folder: permissions | 0o040000
        case .link: permissions | 0o120000
        }
    }

    /// Name of its content in a backup: lower-case hexadecimal SHA-1 of domain, "-" and path.
    var fileID: String {
        Self.fileID(domain: domain, path: path)
    }

    /// See the property of this name.
    static func fileID(domain: String, path: String) -> String {
        hexadecimal(PhoneHash.sha1.of("\(domain)-\(path)".utf8))
    }

    /// A folder.
    static func folder(_ domain: String, _ path: String, at moment: Int64) -> PhoneItem {
        PhoneItem(
            domain: domain, path: path, kind: .folder, permissions: 0o755, modified: moment,
            born: moment)
    }

    /// Where the file lies on the phone, as the phone names it to hosts.
    var devicePath: String {
        "/var/mobile/\(domain)/\(path)"
    }
}

/// Bytes of a file, wherever they come from.
enum PhoneFileContent: Sendable {
    /// They follow from a seed.
    case generated(DeterministicBytes)
    /// They are in memory.
    case bytes([UInt8])
    /// They are `count` bytes of a blob from `offset` on.
    case stored(StoredBlob, offset: UInt64, count: UInt64)

    var byteCount: UInt64 {
        switch self {
        case .generated(let bytes): bytes.byteCount
        case .bytes(let bytes): UInt64(bytes.count)
        case .stored(_, _, let count): count
        }
    }

    /// Writes `count` bytes from `offset` of the file into the buffer from `index` on.
    func fill(_ buffer: inout [UInt8], at index: Int, count: Int, from offset: UInt64) throws {
        switch self {
        case .generated(let bytes):
            bytes.fill(&buffer, at: index, count: count, from: offset)
        case .bytes(let bytes):
            let start = Int(offset)
            buffer.replaceSubrange(index..<index + count, with: bytes[start..<start + count])
        case .stored(let blob, let start, _):
            try blob.read(into: &buffer, at: index, count: count, from: start + offset)
        }
    }

    /// Gives the whole content in pieces of at most 1 MiB.
    func forEachPiece(_ body: (_ buffer: [UInt8], _ count: Int) throws -> Void) throws {
        var buffer = [UInt8](repeating: 0, count: Int(min(byteCount, 1 << 20)))
        var offset: UInt64 = 0
        while offset < byteCount {
            let count = Int(min(byteCount - offset, UInt64(buffer.count)))
            try fill(&buffer, at: 0, count: count, from: offset)
            try body(buffer, count)
            offset += UInt64(count)
        }
    }
}

/// A file of this machine that holds content of the phone: nameless when it was made here, so that
/// it goes with its last user.
final class StoredBlob: Sendable {
    private let descriptor: Int32

    /// Opens a file that is there, for reading.
    init(opening path: String) throws {
        // Sound: the path lives through the call.
        descriptor = unsafe open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { throw PhoneStorageProblem(what: "open", code: errno) }
    }

    /// Makes an empty file.
    init(creating path: String) throws {
        // Sound: the path lives through the call.
        descriptor = unsafe open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else { throw PhoneStorageProblem(what: "make", code: errno) }
    }

    /// Makes a nameless file in the folder.
    convenience init(in folder: String) throws {
        let path = "\(folder)/restored-\(UInt64.random(in: 0 ... .max))"
        try self.init(creating: path)
        // Sound: the path lives through the call.
        unsafe unlink(path)
    }

    deinit {
        close(descriptor)
    }

    /// How many bytes the file has now.
    var byteCount: UInt64 {
        var facts = stat()
        // Sound: fstat writes one stat into the local variable.
        return unsafe fstat(descriptor, &facts) == 0 ? UInt64(facts.st_size) : 0
    }

    /// Reads `count` bytes at `offset` into the buffer from `index` on.
    func read(into buffer: inout [UInt8], at index: Int, count: Int, from offset: UInt64) throws {
        let code = WholeTransfers.read(
            descriptor, into: &buffer, at: index, count: count, from: offset)
        guard code == 0 else { throw PhoneStorageProblem(what: "read", code: code) }
    }

    /// Writes the first `count` bytes of the buffer at `offset`.
    func write(_ buffer: [UInt8], count: Int, at offset: UInt64) throws {
        let code = WholeTransfers.write(buffer[..<count], to: descriptor, at: offset)
        guard code == 0 else { throw PhoneStorageProblem(what: "write", code: code) }
    }
}

/// The machine under the simulated phone refused.
struct PhoneStorageProblem: Error, CustomStringConvertible {
    let what: String
    let code: Int32

    var description: String { "The simulated phone cannot \(what) its storage (error \(code))." }
}

/// Lower-case hexadecimal digits.
func hexadecimal(_ bytes: some Sequence<UInt8>) -> String {
    let digits = Array("0123456789abcdef".utf8)
    var text: [UInt8] = []
    for byte in bytes {
        text.append(digits[Int(byte >> 4)])
        text.append(digits[Int(byte & 15)])
    }
    return String(decoding: text, as: UTF8.self)
}
