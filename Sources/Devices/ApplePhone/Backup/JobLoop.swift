import BackupCore

/// Answers the phone, message by message, while it does what it was asked for.
///
/// The host has no say in what is transferred: it serves a directory, as the phone wants, until
/// the phone says how the job ended.
final class JobLoop {
    let link: DeviceLink
    let tree: any CaptureTree
    private(set) var filesDone = 0
    private(set) var bytesDone: UInt64 = 0
    private var bytesTotal: UInt64?
    private var lastTold: Duration?
    private let phase: RunProgress.Phase
    private let fileLimit: Int

    /// A loop over `link`. More than `fileLimit` transfers are an endless list; the largest phones
    /// known have some 900,000 files.
    init(
        link: DeviceLink, tree: any CaptureTree, phase: RunProgress.Phase,
        fileLimit: Int = 2_000_000
    ) {
        self.link = link
        self.tree = tree
        self.phase = phase
        self.fileLimit = fileLimit
    }

    /// Serves until the end and gives the phone's code: 0 when it succeeded, see ``JobError``.
    /// Throws `gone` when the phone left without saying how it went.
    func run() throws(DeviceError) -> Int64 {
        while true {
            let message = try link.receive()
            if let end = try answer(message) { return end }
        }
    }

    private func answer(_ message: DeviceLink.Message) throws(DeviceError) -> Int64? {
        switch message.name {
        case "DLMessageProcessMessage": return try end(message)
        case "DLMessageDisconnect":
            throw DeviceError(
                .gone, "The phone ended the connection without saying how the work went")
        case "DLMessageUploadFiles": try receiveFiles(message)
        case "DLMessageDownloadFiles": try sendFiles(message)
        case "DLMessageGetFreeDiskSpace":
            let free = try tree.demanding { tree throws(CaptureTreeError) in
                try tree.freeBytes()
            }
            try reply(.done, payload: .number(free))
        case "DLMessagePurgeDiskSpace":
            // Nothing on the drives is there to be thrown away; the phone then ends with 105.
            try reply(.other, text: "No space can be made", payload: .integer(0))
        case "DLContentsOfDirectory": try list(message)
        case "DLMessageCreateDirectory": try makeDirectory(message)
        case "DLMessageMoveFiles", "DLMessageMoveItems": try move(message)
        case "DLMessageRemoveFiles", "DLMessageRemoveItems": try remove(message)
        case "DLMessageCopyItem": try copy(message)
        default: try reply(.other)
        }
        return nil
    }

    private func end(_ message: DeviceLink.Message) throws(DeviceError) -> Int64 {
        guard let response = message[1], response["MessageName"]?.text == "Response",
            let code = response["ErrorCode"]?.number
        else {
            throw DeviceError(.protocolViolation, "The phone ended the work with no result")
        }
        return code
    }

    /// The answer to everything but the end.
    func reply(
        _ status: HostStatus, text: String? = nil, payload: PropertyList = .dictionary([:])
    ) throws(DeviceError) {
        try link.send([
            .string("DLMessageStatusResponse"), .integer(status.rawValue),
            .string(text ?? status.text), payload,
        ])
    }

    // MARK: The directory

    private func list(_ message: DeviceLink.Message) throws(DeviceError) {
        let path = try PhonePath.parse(try text(message, 1))
        var listed: [String: PropertyList] = [:]
        let status = try tree.trying { tree throws(CaptureTreeError) in
            for entry in try tree.list(path) {
                listed[String(decoding: entry.name.bytes, as: UTF8.self)] = Self.describe(entry)
            }
        }
        // A folder that is not there is an empty one: so do the hosts that phones are used to.
        try reply(status == .noEntry ? .done : status, payload: .dictionary(listed))
    }

    private static func describe(_ entry: CaptureTreeEntry) -> PropertyList {
        let seconds =
            Double(entry.modified.seconds) - PropertyList.referenceSeconds
            + Double(entry.modified.nanoseconds) / 1e9
        return .dictionary([
            "DLFileType": .string(entry.isFolder ? "DLFileTypeDirectory" : "DLFileTypeRegular"),
            "DLFileSize": .number(entry.byteCount), "DLFileModificationDate": .date(seconds),
        ])
    }

    private func makeDirectory(_ message: DeviceLink.Message) throws(DeviceError) {
        let path = try PhonePath.parseBelowRoot(try text(message, 1))
        try change { tree throws(CaptureTreeError) in try tree.makeDirectory(path) }
    }

    private func move(_ message: DeviceLink.Message) throws(DeviceError) {
        guard let moves = message[1]?.entries else { throw Self.senseless }
        var paths: [(EntryPath, EntryPath)] = []
        for (from, to) in moves {
            guard let to = to.text else { throw Self.senseless }
            paths.append((try PhonePath.parseBelowRoot(from), try PhonePath.parseBelowRoot(to)))
        }
        try change { tree throws(CaptureTreeError) in
            for (from, to) in paths { try tree.move(from, to: to) }
        }
    }

    private func remove(_ message: DeviceLink.Message) throws(DeviceError) {
        guard let items = message[1]?.items else { throw Self.senseless }
        var paths: [EntryPath] = []
        for item in items {
            guard let text = item.text else { throw Self.senseless }
            paths.append(try PhonePath.parseBelowRoot(text))
        }
        try change { tree throws(CaptureTreeError) in
            for path in paths { try tree.remove(path) }
        }
    }

    private func copy(_ message: DeviceLink.Message) throws(DeviceError) {
        let from = try PhonePath.parseBelowRoot(try text(message, 1))
        let to = try PhonePath.parseBelowRoot(try text(message, 2))
        try change { tree throws(CaptureTreeError) in try tree.copy(from, to: to) }
    }

    /// Carries changes out, waits for them and tells the phone how they went.
    private func change(
        _ body: (any CaptureTree) throws(CaptureTreeError) -> Void
    ) throws(DeviceError) {
        try reply(
            try tree.trying { tree throws(CaptureTreeError) in
                try body(tree)
                try tree.settle()
            })
    }

    func text(_ message: DeviceLink.Message, _ position: Int) throws(DeviceError) -> String {
        guard let text = message[position]?.text else { throw Self.senseless }
        return text
    }

    static var senseless: DeviceError {
        DeviceError(.protocolViolation, "The phone sent a message that makes no sense")
    }

    // MARK: Counting

    /// A file is about to be transferred.
    func beginFile() throws(DeviceError) {
        link.hasBegun = true
        filesDone += 1
        guard filesDone <= fileLimit else {
            throw DeviceError(
                .limitExceeded, "The phone named more than \(fileLimit) files in one backup",
                advice: "Restart the phone, then run the backup again.")
        }
    }

    /// What the whole job will transfer, as the phone says.
    func expect(_ bytes: UInt64?) {
        if let bytes, bytes > 0 { bytesTotal = max(bytesTotal ?? 0, bytes) }
    }

    /// Bytes of a file have been transferred; the watchers are told now and then.
    func count(_ bytes: Int) throws(DeviceError) {
        bytesDone += UInt64(bytes)
        let now = link.now()
        if let lastTold, now - lastTold < .milliseconds(200) { return }
        lastTold = now
        let progress = RunProgress(
            phase: phase, filesDone: filesDone, bytesDone: bytesDone,
            bytesTotal: bytesTotal.map { max($0, bytesDone) })
        try tree.demanding { tree throws(CaptureTreeError) in try tree.progress(progress) }
    }
}
