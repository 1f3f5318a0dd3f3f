import BackupCore

/// What AFC is made of (libimobiledevice, src/afc.h): packets of a 40-byte header, little endian
/// (magic, entire length, length without the payload, number, operation), and what follows it.
enum AFC {
    static let magic = Array("CFA6LPAA".utf8)
    static let headerLength = 40

    enum Operation: UInt64 {
        case status = 0x01
        case data = 0x02
        case readDirectory = 0x03
        case removePath = 0x08
        case makeDirectory = 0x09
        case fileInfo = 0x0A
        case deviceInfo = 0x0B
        case open = 0x0D
        case opened = 0x0E
        case read = 0x0F
        case write = 0x10
        case seek = 0x11
        case close = 0x14
        case lock = 0x1B
    }

    /// A request's bytes: its arguments, and content that travels behind them.
    static func request(
        _ operation: Operation, number: UInt64, arguments: [UInt8], content: [UInt8]
    ) -> [UInt8] {
        let length = headerLength + arguments.count
        return magic + bytes(UInt64(length + content.count)) + bytes(UInt64(length))
            + bytes(number) + bytes(operation.rawValue) + arguments + content
    }

    static func bytes(_ value: UInt64) -> [UInt8] {
        (0..<8).map { UInt8(truncatingIfNeeded: value >> UInt64(8 * $0)) }
    }

    static func number(_ bytes: ArraySlice<UInt8>) -> UInt64 {
        bytes.reversed().reduce(0) { $0 << 8 | UInt64($1) }
    }
}

/// The header of an answer, checked against what was asked.
struct AFCHeader {
    let operation: AFC.Operation
    let bodyLength: Int

    /// Reads 40 bytes. `limit` bounds the body: a phone may announce anything.
    init(_ bytes: [UInt8], answering number: UInt64, limit: Int) throws(DeviceError) {
        guard bytes.count == AFC.headerLength, bytes.starts(with: AFC.magic) else {
            throw Self.violation("that is none")
        }
        let entire = AFC.number(bytes[8..<16])
        let own = AFC.number(bytes[16..<24])
        guard own >= UInt64(AFC.headerLength), own <= entire else {
            throw Self.violation("whose lengths do not fit")
        }
        guard entire - UInt64(AFC.headerLength) <= UInt64(limit) else {
            throw DeviceError(
                .limitExceeded,
                "The phone's file service announces \(entire) bytes where \(limit) are the most")
        }
        guard AFC.number(bytes[24..<32]) == number else {
            throw Self.violation("to another question")
        }
        guard let operation = AFC.Operation(rawValue: AFC.number(bytes[32..<40])) else {
            throw Self.violation("of an unknown kind")
        }
        self.operation = operation
        bodyLength = Int(entire) - AFC.headerLength
    }

    /// `what` completes "an answer".
    static func violation(_ what: String) -> DeviceError {
        DeviceError(.protocolViolation, "The phone's file service sent an answer \(what)")
    }
}

/// How the phone's file service says that a request did not work (libimobiledevice/afc.h).
struct AFCStatus: RawRepresentable, Hashable, Sendable {
    let rawValue: Int

    static let success = AFCStatus(rawValue: 0)
    static let headerInvalid = AFCStatus(rawValue: 2)
    static let notFound = AFCStatus(rawValue: 8)
    static let noSpace = AFCStatus(rawValue: 18)
    static let wouldBlock = AFCStatus(rawValue: 19)
    static let mux = AFCStatus(rawValue: 30)
    static let notEnoughData = AFCStatus(rawValue: 32)

    /// Whether the connection is of no use after it.
    var breaksConnection: Bool { [.headerInvalid, .notEnoughData].contains(self) }

    /// The error that `path` meets.
    func error(_ path: EntryPath?) -> DeviceError {
        let number = rawValue
        switch self {
        case .noSpace:
            return DeviceError(
                .noSpace, "The phone has no room left", path: path, nativeCode: number)
        case .wouldBlock:
            return DeviceError(
                .busy, "Another program holds the file", path: path, nativeCode: number)
        case .mux:
            return DeviceError(
                .gone, "The phone's file service lost its connection", path: path,
                nativeCode: number)
        default:
            return DeviceError(
                .unreadable, "The phone \(words)", path: path, nativeCode: number)
        }
    }

    private var words: String {
        switch rawValue {
        case 8: "does not have it any more"
        case 9: "says that it is a folder"
        case 10: "does not allow it"
        case 12: "took too long over it"
        case 16: "has it already"
        case 17: "is using it"
        case 20, 4, 5: "could not read or write it"
        case 33: "says that the folder is not empty"
        default: "refused it"
        }
    }
}
