import Glibc

/// Operations of AFC (libimobiledevice, src/afc.h).
enum AFCOperation: UInt64 {
    case status = 0x01
    case data = 0x02
    case readDirectory = 0x03
    case truncate = 0x07
    case removePath = 0x08
    case makeDirectory = 0x09
    case fileInfo = 0x0A
    case deviceInfo = 0x0B
    case open = 0x0D
    case openResult = 0x0E
    case read = 0x0F
    case write = 0x10
    case seek = 0x11
    case tell = 0x12
    case tellResult = 0x13
    case close = 0x14
    case setSize = 0x15
    case connectionInfo = 0x16
    case setConnectionOptions = 0x17
    case rename = 0x18
    case setFileBlockSize = 0x19
    case setSocketBlockSize = 0x1A
    case lock = 0x1B
    case makeLink = 0x1C
    case setModified = 0x1E
    case removeTree = 0x22
}

/// Results of AFC, as far as a phone gives them.
enum AFCStatus: UInt64 {
    case success = 0
    case unknown = 1
    case headerInvalid = 2
    case invalidArgument = 7
    case notFound = 8
    case isFolder = 9
    case denied = 10
    case exists = 16
    case noSpace = 18
    case wouldBlock = 19
    case inputOutput = 20
    case notSupported = 24
    case notEmpty = 33
}

/// A refusal of an operation.
struct AFCRefusal: Error, Equatable {
    var status: UInt64

    init(_ status: AFCStatus) {
        self.status = status.rawValue
    }

    init(code: UInt64) {
        status = code
    }

    /// What a system call's errno becomes.
    init(errno code: Int32) {
        let status: AFCStatus =
            switch code {
            case ENOENT, ENOTDIR: .notFound
            case EISDIR: .isFolder
            case EACCES, EPERM, ELOOP, EROFS: .denied
            case EEXIST: .exists
            case ENOSPC, EDQUOT: .noSpace
            case EWOULDBLOCK: .wouldBlock
            case ENOTEMPTY: .notEmpty
            case EINVAL, ENAMETOOLONG, EBADF: .invalidArgument
            default: .inputOutput
            }
        self.init(status)
    }
}

/// The 40 bytes before everything that AFC sends, least significant byte first.
struct AFCHeader {
    static let magic = Array("CFA6LPAA".utf8)
    static let size = 40

    /// Bytes of the whole packet with this header.
    var entireLength: UInt64
    /// Bytes of the header and the operation's own values, without its data.
    var thisLength: UInt64
    var number: UInt64
    var operation: UInt64

    init(
        entireLength: UInt64, thisLength: UInt64 = UInt64(size), number: UInt64,
        operation: AFCOperation
    ) {
        self.entireLength = entireLength
        self.thisLength = thisLength
        self.number = number
        self.operation = operation.rawValue
    }

    /// Nil when it is none or its lengths contradict each other.
    init?(_ bytes: [UInt8]) {
        var reader = ByteReader(bytes)
        guard reader.take(raw: 8) == Self.magic, let entire: UInt64 = reader.take(),
            let this: UInt64 = reader.take(), let number: UInt64 = reader.take(),
            let operation: UInt64 = reader.take(), this >= UInt64(Self.size), entire >= this
        else { return nil }
        entireLength = entire
        thisLength = this
        self.number = number
        self.operation = operation
    }

    var bytes: [UInt8] {
        var writer = ByteWriter()
        writer.put(raw: Self.magic)
        for field in [entireLength, thisLength, number, operation] { writer.put(field) }
        return writer.bytes
    }
}

/// A request as the phone takes it.
struct AFCRequest {
    var number: UInt64
    var operation: AFCOperation?
    /// The operation's values and, after them, its data.
    var values: [UInt8]
    var data: [UInt8]

    /// A 64-bit value by its place among the values.
    func value(_ index: Int) throws(AFCRefusal) -> UInt64 {
        var reader = ByteReader(values, from: min(index * 8, values.count))
        guard let value: UInt64 = reader.take() else { throw AFCRefusal(.invalidArgument) }
        return value
    }

    /// Texts that end with a zero, from the byte `start` of the values on.
    func texts(from start: Int, count: Int) throws(AFCRefusal) -> [String] {
        let all = values.dropFirst(start) + data
        let texts = all.split(separator: 0, omittingEmptySubsequences: false)
            .prefix(count).map { String(decoding: $0, as: UTF8.self) }
        guard texts.count == count else { throw AFCRefusal(.invalidArgument) }
        return texts
    }

    func path(from start: Int = 0) throws(AFCRefusal) -> String {
        try texts(from: start, count: 1)[0]
    }
}
