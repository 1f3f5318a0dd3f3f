package import BackupCore

/// A client of the phone's file service over the media folder: one request in flight, every
/// announced length checked before anything is read. Blocking, for one thread.
///
/// The library's own client trusts lengths and is not used. Paths are a phone's own names in a
/// phone's own folder; they are never paths on this box.
package final class AFCClient {
    /// The service's name for lockdownd.
    package static let service = "com.apple.afc"
    /// The most that one read asks for: each is a round trip.
    package static let largestRead = 4 << 20
    /// AFC's code for a lock that another program holds.
    package static let wouldBlock = AFCStatus.wouldBlock.rawValue
    private static let largestList = 64 << 20
    private static let largestAnswer = 256 << 10
    private static let patience = Duration.seconds(30)

    /// How a file is opened (libimobiledevice/afc.h).
    package enum Mode: UInt64, Sendable {
        case read = 1
        /// Read and write; made when it is missing.
        case readWrite = 2
        /// Written anew from empty.
        case overwrite = 3
    }

    /// What is done with a file's lock.
    package enum Lock: UInt64, Sendable {
        /// Fails with `busy` at once when another program holds it.
        case exclusive = 6
        case release = 12
    }

    /// An open file's number.
    package struct Handle: Hashable, Sendable { let number: UInt64 }

    private let connection: any ServiceConnection
    private var number: UInt64 = 0
    /// Whether only a new connection helps.
    private(set) var isBroken = false

    /// A client over a started service.
    package init(_ connection: any ServiceConnection) { self.connection = connection }

    /// Ends the connection.
    package func close() {
        isBroken = true
        connection.close()
    }

    // MARK: - Names

    /// The names in a folder, without `.` and `..`, in the phone's order. Names of more than 4 KiB
    /// and lists of more than 64 MiB are `limitExceeded`.
    package func list(_ path: EntryPath) throws(DeviceError) -> [EntryName] {
        let body = try ask(.readDirectory, path, limit: Self.largestList)
        var names: [EntryName] = []
        for name in body.split(separator: 0) where name != [0x2E] && name != [0x2E, 0x2E] {
            guard name.count <= 4096 else {
                throw DeviceError(
                    .limitExceeded, "The phone has a name of \(name.count) bytes", path: path)
            }
            names.append(EntryName(bytes: name))
        }
        return names
    }

    /// What the phone tells of an entry; `unreadable` when it makes no sense.
    package func info(_ path: EntryPath) throws(DeviceError) -> AFCFileInfo {
        guard let info = AFCFileInfo(Self.pairs(try ask(.fileInfo, path))) else {
            throw DeviceError(.unreadable, "The phone does not describe it", path: path)
        }
        return info
    }

    /// The size and free space of the phone's storage, in bytes.
    package func space() throws(DeviceError) -> (total: UInt64, free: UInt64) {
        let facts = Self.pairs(try request(.deviceInfo, answer: .data))
        return (
            facts["FSTotalBytes"].flatMap { UInt64($0) } ?? 0,
            facts["FSFreeBytes"].flatMap { UInt64($0) } ?? 0
        )
    }

    /// Makes a folder.
    package func makeDirectory(_ path: EntryPath) throws(DeviceError) {
        _ = try request(.makeDirectory, Self.text(path), path: path, answer: .status)
    }

    /// Removes a file or an empty folder.
    package func remove(_ path: EntryPath) throws(DeviceError) {
        _ = try request(.removePath, Self.text(path), path: path, answer: .status)
    }

    // MARK: - Files

    /// Opens a file; ``close(_:)`` must follow.
    package func open(_ path: EntryPath, _ mode: Mode) throws(DeviceError) -> Handle {
        let arguments = AFC.bytes(mode.rawValue) + Self.text(path)
        let body = try request(.open, arguments, path: path, answer: .opened)
        guard body.count >= 8 else { throw fail(AFCHeader.violation("without a file's number")) }
        return Handle(number: AFC.number(body[0..<8]))
    }

    /// Up to `count` bytes (at most ``largestRead``) from where the file stands; fewer than asked
    /// for only at its end, none beyond it.
    package func read(_ handle: Handle, _ count: Int) throws(DeviceError) -> [UInt8] {
        let count = min(max(count, 0), Self.largestRead)
        let arguments = AFC.bytes(handle.number) + AFC.bytes(UInt64(count))
        return try request(.read, arguments, answer: .data, limit: count)
    }

    /// Puts `bytes` where the file stands.
    package func write(_ handle: Handle, _ bytes: [UInt8]) throws(DeviceError) {
        var rest = bytes[...]
        while !rest.isEmpty {
            let piece = rest.prefix(1 << 20)
            _ = try request(
                .write, AFC.bytes(handle.number), content: Array(piece), answer: .status)
            rest = rest.dropFirst(piece.count)
        }
    }

    /// Moves to a place counted from the file's start.
    package func seek(_ handle: Handle, to offset: UInt64) throws(DeviceError) {
        let arguments = AFC.bytes(handle.number) + AFC.bytes(0) + AFC.bytes(offset)
        _ = try request(.seek, arguments, answer: .status)
    }

    /// Takes or gives back the lock of an open file.
    package func lock(_ handle: Handle, _ lock: Lock) throws(DeviceError) {
        let arguments = AFC.bytes(handle.number) + AFC.bytes(lock.rawValue)
        _ = try request(.lock, arguments, answer: .status)
    }

    /// Closes a file.
    package func close(_ handle: Handle) throws(DeviceError) {
        _ = try request(.close, AFC.bytes(handle.number), answer: .status)
    }

    // MARK: - Packets

    private func ask(
        _ operation: AFC.Operation, _ path: EntryPath, limit: Int = AFCClient.largestAnswer
    ) throws(DeviceError) -> [UInt8] {
        try request(operation, Self.text(path), path: path, answer: .data, limit: limit)
    }

    /// Sends a request and takes its answer, which must be of the kind that is expected or a
    /// status: a status other than success is an error. Gives the answer's body.
    private func request(
        _ operation: AFC.Operation, _ arguments: [UInt8] = [], content: [UInt8] = [],
        path: EntryPath? = nil, answer: AFC.Operation, limit: Int = AFCClient.largestAnswer
    ) throws(DeviceError) -> [UInt8] {
        guard !isBroken else { throw DeviceError(.gone, "The phone's file service is closed") }
        number &+= 1
        do throws(DeviceError) {
            try connection.write(
                AFC.request(operation, number: number, arguments: arguments, content: content),
                within: Self.patience)
            let header = try AFCHeader(
                try connection.read(AFC.headerLength, within: Self.patience),
                answering: number, limit: max(limit, 8))
            let body = try connection.read(header.bodyLength, within: Self.patience)
            guard header.operation == .status else {
                guard header.operation == answer else {
                    throw AFCHeader.violation("of a wrong kind")
                }
                return body
            }
            try check(body, path: path, expected: answer)
            return []
        } catch {
            throw error.concernsOneEntry || [.busy, .noSpace].contains(error.code)
                ? error : fail(error)
        }
    }

    private func check(
        _ body: [UInt8], path: EntryPath?, expected: AFC.Operation
    ) throws(DeviceError) {
        guard body.count >= 8 else { throw AFCHeader.violation("without a status") }
        let status = AFCStatus(rawValue: Int(clamping: AFC.number(body[0..<8])))
        // Content at the end of a file may come as a status of success; a file's number may not.
        guard status != .success else {
            guard expected != .opened else { throw AFCHeader.violation("without a file's number") }
            return
        }
        if status.breaksConnection { close() }
        throw status.error(path)
    }

    private func fail(_ error: DeviceError) -> DeviceError {
        close()
        return error
    }

    /// A path as the service takes it: from the media folder, ended by a NUL.
    private static func text(_ path: EntryPath) -> [UInt8] {
        (path.names.isEmpty ? [0x2F] : path.names.flatMap { [0x2F] + $0.bytes }) + [0]
    }

    /// NUL-ended texts, each key followed by its value.
    private static func pairs(_ body: [UInt8]) -> [String: String] {
        let texts = body.split(separator: 0, omittingEmptySubsequences: false)
            .prefix(256).map { String(decoding: $0, as: UTF8.self) }
        var pairs: [String: String] = [:]
        for index in stride(from: 0, to: texts.count - 1, by: 2) {
            pairs[texts[index]] = texts[index + 1]
        }
        return pairs
    }
}

/// What the phone tells of an entry.
package struct AFCFileInfo: Hashable, Sendable {
    /// The kinds that are told apart.
    package enum Kind: Sendable {
        case file
        case folder
        /// A symbolic link, a socket or a device: never followed and never read.
        case other
    }

    package let kind: Kind
    /// Of a folder it means nothing.
    package let byteCount: UInt64
    package let modified: Timestamp

    /// nil when the phone does not tell all of it in a way that makes sense.
    init?(_ facts: [String: String]) {
        guard let size = facts["st_size"].flatMap({ UInt64($0) }),
            let nanoseconds = facts["st_mtime"].flatMap({ Int64($0) }),
            let format = facts["st_ifmt"]
        else { return nil }
        kind =
            switch format {
            case "S_IFREG": .file
            case "S_IFDIR": .folder
            default: .other
            }
        byteCount = size
        // Nanoseconds since 1970.
        let seconds = nanoseconds.floorDivided(by: 1_000_000_000)
        modified = Timestamp(
            seconds: seconds, nanoseconds: UInt32(nanoseconds - seconds * 1_000_000_000))
    }
}
