import BackupCore

/// What crosses the socketpair between a run and its worker: frames of a 9-byte header (body
/// length, kind, number of the request answered; little endian) and a bounded body.
///
/// The parent treats the worker as hostile, because a phone may have taken it over: every length
/// and count is checked against ``WireLimit``, and a violation ends the worker. Text is UTF-8,
/// integers little endian, an optional is a byte 0 or 1 before its value.
enum WireFormat {
    /// Raised whenever a frame changes its meaning; parent and worker must agree on it.
    static let version: UInt16 = 3
    static let headerLength = 9
}

/// The kinds of frame.
///
/// 0x40 to 0x7F are of captures that the phone drives (mobilebackup2): there the worker asks and
/// the parent answers with a kind from 0xC0 to 0xFF. See ``PushOperation``.
enum FrameKind: UInt8, CaseIterable {
    // Worker to parent.
    case hello = 0x01
    case ready = 0x02
    case failure = 0x03
    /// The phone has given a valid answer; the call goes on.
    case alive = 0x04
    case attributes = 0x10
    case storages = 0x11
    case entries = 0x12
    case listed = 0x13
    case bytes = 0x14
    case finished = 0x15
    case phones = 0x16
    case onlyInCloud = 0x17
    /// What the phone wants done with the tree: ``PushOperation``s one behind the other.
    case operations = 0x40
    // Parent to worker.
    case askAttributes = 0x80
    case askStorages = 0x81
    case askList = 0x82
    case askRead = 0x83
    case cancel = 0x84
    case close = 0x85
    case askDrive = 0x86
    case askOnlyInCloud = 0x87
    /// A part of a folder's entries.
    case treeEntries = 0xC0
    /// A piece of a stored file.
    case treeBytes = 0xC1
    /// How an operation went, and its value; the end of entries and pieces.
    case treeAnswer = 0xC2
}

/// The bounds of everything in a frame.
enum WireLimit {
    static let body = 4 << 20
    /// Content in one `bytes` frame; a source gives pieces of at most 1 MiB.
    static let piece = 1 << 20
    static let text = 1024
    static let name = 4096
    static let notes = 64
    /// Names in a path of a tree.
    static let depth = 64
    static let storages = 64
    static let phones = 64
    /// Entries in one folder.
    static let entries = 1_000_000
    /// Bytes of all names in one folder, so that a million long names cannot fill the memory.
    static let listedNameBytes = 128 << 20
    /// Seconds from 1970 either way: some 34,000 years, so that no sum of dates overflows.
    static let seconds: Int64 = 1 << 40
}

/// One frame as received.
struct Frame: Equatable, Sendable {
    let kind: FrameKind
    /// The request it answers; 0 before any.
    let request: UInt32
    let body: [UInt8]
}

/// The first 9 bytes of a frame.
struct FrameHeader: Equatable, Sendable {
    let kind: FrameKind
    let request: UInt32
    let bodyLength: Int

    /// Reads a header of exactly ``WireFormat/headerLength`` bytes.
    init(_ bytes: [UInt8]) throws(DeviceError) {
        var reader = WireReader(bytes)
        bodyLength = Int(try reader.unsigned32())
        let code = try reader.unsigned8()
        request = try reader.unsigned32()
        guard let kind = FrameKind(rawValue: code) else {
            throw .wireViolation("an unknown kind of message (\(code))")
        }
        self.kind = kind
        guard bodyLength <= WireLimit.body else {
            throw .wireViolation("a message of \(bodyLength) bytes")
        }
    }

    /// The bytes of a header.
    static func encode(kind: FrameKind, request: UInt32, bodyLength: Int) -> [UInt8] {
        var writer = WireWriter()
        writer.unsigned32(UInt32(bodyLength))
        writer.unsigned8(kind.rawValue)
        writer.unsigned32(request)
        return writer.bytes
    }
}

extension DeviceError {
    /// The worker broke the rules of the wire; `what` completes "sent".
    static func wireViolation(_ what: String) -> DeviceError {
        DeviceError(
            .protocolViolation, "The helper process that speaks with the phone sent \(what)")
    }
}
