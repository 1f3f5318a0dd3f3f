/// com.apple.afc: the media folder for hosts, one request after another.
struct AFCService: LockdownService {
    let name = "com.apple.afc"

    func serve(_ stream: any ServiceStream, phone: SimulatediPhone) throws {
        var connection = AFCConnection(stream: stream, phone: phone)
        while true { try connection.answerNext() }
    }
}

/// One host's connection with its open files.
struct AFCConnection {
    private let stream: any ServiceStream
    private let phone: SimulatediPhone
    private let folder: MediaFolder
    private var files: [UInt64: MediaFile] = [:]
    private var nextHandle: UInt64 = 1

    /// Longest packet taken from a host.
    private static let longestRequest: UInt64 = 1 << 26
    /// Most bytes of one read, whatever is asked for.
    private static let longestRead: UInt64 = 1 << 22
    private static let mostFiles = 64

    init(stream: any ServiceStream, phone: SimulatediPhone) {
        self.stream = stream
        self.phone = phone
        folder = MediaFolder(root: phone.mediaFolder)
    }

    /// Throws when the host is gone or speaks something else.
    mutating func answerNext() throws {
        guard let header = AFCHeader(try stream.read(AFCHeader.size)),
            header.entireLength <= Self.longestRequest
        else { throw StreamEnd() }
        let values = try stream.read(Int(header.thisLength) - AFCHeader.size)
        let data = try stream.read(Int(header.entireLength - header.thisLength))
        let request = AFCRequest(
            number: header.number, operation: AFCOperation(rawValue: header.operation),
            values: values, data: data)
        if let operation = request.operation { try phone.reach("afc.\(operation)") }
        phone.waitForOperation()
        do {
            try answer(request)
        } catch let refusal as AFCRefusal {
            try sendStatus(refusal.status, to: request)
        }
    }

    private mutating func answer(_ request: AFCRequest) throws {
        switch request.operation {
        case .readDirectory: try sendList(names(request), to: request)
        case .fileInfo: try sendList(info(request), to: request)
        case .deviceInfo: try sendList(deviceInfo, to: request)
        case .open: try open(request)
        case .read: try read(request)
        case .tell: try sendValue(file(request).position, as: .tellResult, to: request)
        case .close:
            guard files.removeValue(forKey: try request.value(0)) != nil else {
                throw AFCRefusal(.invalidArgument)
            }
            try sendStatus(to: request)
        default:
            try change(request)
            try sendStatus(to: request)
        }
    }

    /// Operations that are answered with a status alone.
    private func change(_ request: AFCRequest) throws {
        switch request.operation {
        case .write: try file(request).write(request.data)
        case .seek:
            try file(request).seek(
                Int64(bitPattern: try request.value(2)), whence: try request.value(1))
        case .setSize: try file(request).setSize(try request.value(1))
        case .lock:
            guard phone.afcFaults.strikes(.busyLock) == nil else { throw AFCRefusal(.wouldBlock) }
            try file(request).lock(try request.value(1))
        case .truncate: try folder.truncate(request.path(from: 8), to: request.value(0))
        case .removePath: try folder.remove(request.path())
        case .removeTree: try folder.removeTree(request.path())
        case .makeDirectory: try folder.makeDirectory(request.path())
        case .rename:
            let paths = try request.texts(from: 0, count: 2)
            try folder.rename(paths[0], to: paths[1])
        case .makeLink:
            let texts = try request.texts(from: 8, count: 2)
            try folder.makeLink(texts[1], to: texts[0], kind: request.value(0))
        case .setModified: try folder.setModified(request.path(from: 8), to: request.value(0))
        case .setConnectionOptions, .setFileBlockSize, .setSocketBlockSize: break
        default: throw AFCRefusal(.notSupported)
        }
    }

    // MARK: files

    private func file(_ request: AFCRequest) throws(AFCRefusal) -> MediaFile {
        guard let file = files[try request.value(0)] else { throw AFCRefusal(.invalidArgument) }
        return file
    }

    private mutating func open(_ request: AFCRequest) throws {
        guard files.count < Self.mostFiles else { throw AFCRefusal(.denied) }
        let file = try folder.open(
            Self.real(request.path(from: 8)), mode: try request.value(0))
        let handle = nextHandle
        nextHandle += 1
        files[handle] = file
        try sendValue(handle, as: .openResult, to: request)
    }

    private func read(_ request: AFCRequest) throws {
        if phone.afcFaults.strikes(.readError) != nil { throw AFCRefusal(.inputOutput) }
        let file = try file(request)
        var count = Int(min(try request.value(1), Self.longestRead))
        if phone.afcFaults.strikes(.halfData) != nil { count /= 2 }
        var packet = try file.read(count, behind: AFCHeader.size)
        let got = packet.count - AFCHeader.size
        phone.count { counters in
            let path = "/" + file.path.split(separator: "/").joined(separator: "/")
            counters.bytesRead[path, default: 0] += UInt64(got)
        }
        if phone.afcFaults.strikes(.moreData) != nil {
            packet += [UInt8](repeating: 0x58, count: count - got + 1000)
        }
        try sendData(packet, to: request)
    }

    // MARK: lists

    private func names(_ request: AFCRequest) throws -> [[UInt8]] {
        let path = try request.path()
        var names = try folder.names(in: Self.real(path)).map { Array($0.utf8) }
        if phone.afcFaults.strikes(.names) != nil { names += AFCFaults.oddNames }
        if phone.afcFaults.strikes(.endlessTree) != nil { names.append(Array("again".utf8)) }
        return names
    }

    private func info(_ request: AFCRequest) throws -> [[UInt8]] {
        var entries = try folder.info(Self.real(request.path()))
        if phone.afcFaults.strikes(.oddInfo) != nil {
            entries = [("st_size", "-5"), ("st_mtime", "soon"), ("st_ifmt", "S_IFODD")]
        }
        return entries.flatMap { [Array($0.key.utf8), Array($0.value.utf8)] }
    }

    private var deviceInfo: [[UInt8]] {
        let usage = { (key: String) in
            phone.values["com.apple.disk_usage", key]?.unsigned.map { "\($0)" } ?? "0"
        }
        let model = phone.values[nil, "ProductType"]?.text ?? ""
        return [
            "Model", model, "FSTotalBytes", usage("TotalDiskCapacity"), "FSFreeBytes",
            usage("AmountDataAvailable"), "FSBlockSize", "4096",
        ].map { Array($0.utf8) }
    }

    /// What the endless tree repeats is what stands at its beginning.
    private static func real(_ path: String) -> String {
        path.split(separator: "/").filter { $0 != "again" }.joined(separator: "/")
    }

    // MARK: answers

    private func sendStatus(
        _ status: UInt64 = AFCStatus.success.rawValue, to request: AFCRequest
    ) throws {
        try sendValue(status, as: .status, to: request)
    }

    /// An answer of one value, which counts as part of the header.
    private func sendValue(
        _ value: UInt64, as operation: AFCOperation, to request: AFCRequest
    ) throws {
        let size = UInt64(AFCHeader.size + 8)
        let header = AFCHeader(
            entireLength: size, thisLength: size, number: request.number, operation: operation)
        var writer = ByteWriter()
        writer.put(raw: header.bytes)
        writer.put(value)
        try stream.write(writer.bytes)
    }

    private func sendList(_ texts: [[UInt8]], to request: AFCRequest) throws {
        if phone.afcFaults.strikes(.endlessList) != nil { return try sendEndlessList(to: request) }
        var packet = [UInt8](repeating: 0, count: AFCHeader.size)
        for text in texts {
            packet += text
            packet.append(0)
        }
        try sendData(packet, to: request)
    }

    /// Sends data that lie behind room for their header.
    private func sendData(_ packet: consuming [UInt8], to request: AFCRequest) throws {
        var header = AFCHeader(
            entireLength: UInt64(packet.count), number: request.number, operation: .data)
        let fault = phone.afcFaults.strikes(
            .longLength, .shortLength, .huge, .badMagic, .badNumber)
        switch fault {
        case .longLength: header.entireLength += 1_000_000
        case .shortLength: header.thisLength = header.entireLength + 1000
        case .huge: header.entireLength = 1 << 32 + UInt64(AFCHeader.size)
        case .badNumber: header.number &+= 7
        default: break
        }
        packet.replaceSubrange(0..<AFCHeader.size, with: header.bytes)
        if fault == .badMagic { packet.replaceSubrange(0..<8, with: Array("XXXXXXXX".utf8)) }
        try stream.write(packet)
    }

    private func sendEndlessList(to request: AFCRequest) throws {
        let total: UInt64 = 1 << 32
        let header = AFCHeader(
            entireLength: total + UInt64(AFCHeader.size), number: request.number,
            operation: .data)
        try stream.write(header.bytes)
        var number = 0
        var sent: UInt64 = 0
        while sent < total {
            var names: [UInt8] = []
            while names.count < 1 << 18 {
                names += Array("IMG_\(number).JPG".utf8) + [0]
                number += 1
            }
            try stream.write(names)
            sent += UInt64(names.count)
        }
    }
}
