package import BackupCore
import BlockingThread
import Synchronization

/// A session with a phone in a worker process, as the engine sees it.
///
/// Each call runs on a thread of its own and ends at the latest at its deadline: the worker is
/// then killed and the call throws `timedOut`. A cancelled call ends at once with `cancelled`;
/// after that only ``close()`` is of use, and it still ends the worker politely.
package final class WorkerSession: DeviceSession, MediaSource {
    private let thread = DedicatedThread(name: "worker-link")
    let link: WorkerLink
    let clock: any RunClock
    let deadlines: WorkerDeadlines
    /// The captures that the phone offers, in the order they should run.
    package let captures: [Capture]

    /// Starts a worker for `command` and waits until its session with the phone is open.
    ///
    /// Throws what the worker says of the phone (`busy`, `gone`, `unsuitable`…), `timedOut`, or
    /// `workerEnded`; no process stays behind.
    package convenience init(
        program: WorkerProgram, command: WorkerCommand, clock: any RunClock,
        deadlines: WorkerDeadlines = WorkerDeadlines()
    ) async throws(DeviceError) {
        try await self.init(
            program: program, arguments: command.arguments, clock: clock, deadlines: deadlines,
            captures: command.captures)
    }

    /// As above, for a helper with arguments of its own.
    package init(
        program: WorkerProgram, arguments: [String], clock: any RunClock,
        deadlines: WorkerDeadlines, captures: [Capture] = [.media]
    ) async throws(DeviceError) {
        self.clock = clock
        self.deadlines = deadlines
        self.captures = captures
        link = try await WorkerCall(thread: thread, clock: clock, limit: deadlines.open)
            .start(program, arguments) { link throws(DeviceError) in
                _ = try link.answer(to: 0, .ready)
            }
    }

    package func source(of capture: Capture) -> CaptureSource? {
        guard captures.contains(capture) else { return nil }
        return switch capture {
        case .media: .pulled(self)
        case .backup: .pushed(WorkerCapture(session: self))
        }
    }

    package func attributes() async throws(DeviceError) -> PhoneAttributes {
        try await call(deadlines.attributes) { link throws(DeviceError) in
            let frame = try link.answer(to: try link.ask(.askAttributes), .attributes)
            return try link.decode(frame) { reader throws(DeviceError) in
                try reader.attributes()
            }
        }
    }

    package func storages() async throws(DeviceError) -> [PhoneStorage] {
        try await call(deadlines.storages) { link throws(DeviceError) in
            let frame = try link.answer(to: try link.ask(.askStorages), .storages)
            return try link.decode(frame) { reader throws(DeviceError) in
                try reader.list(limit: WireLimit.storages) { reader throws(DeviceError) in
                    try reader.storage()
                }
            }
        }
    }

    package func list(_ folder: FolderReference) async throws(DeviceError) -> FolderListing {
        try await call(deadlines.listing, atMost: deadlines.wholeListing) {
            link throws(DeviceError) in
            try link.list(folder)
        }
    }

    package func read(_ entry: PhoneEntry) async throws(DeviceError) -> ByteSource<DeviceError> {
        // Asked for with the first piece: one change of threads fewer for each small file.
        let file = OpenFile()
        return ByteSource {
            () async throws(DeviceError) -> [UInt8]? in
            try await self.next(entry, file)
        } close: {
            await self.stop(file)
        }
    }

    package func onlyInCloud() async throws(DeviceError) -> UInt64? {
        try await call(deadlines.listing, atMost: deadlines.wholeListing) {
            link throws(DeviceError) in
            let frame = try link.answer(to: try link.ask(.askOnlyInCloud), .onlyInCloud)
            return try link.decode(frame) { reader throws(DeviceError) in
                try reader.optional { reader throws(DeviceError) in try reader.unsigned64() }
            }
        }
    }

    package func close() async {
        let patience = deadlines.close
        let link = link
        await thread.run { link.close(patience: patience) }
    }

    private func next(
        _ entry: PhoneEntry, _ file: OpenFile
    ) async throws(DeviceError) -> [UInt8]? {
        if file.isEnded { return nil }
        let request = file.request
        let answer = try await call(deadlines.readPiece) { link throws(DeviceError) in
            let request =
                if let request { request } else { try link.beginReading(entry) }
            file.request = request
            return try link.nextPiece(request)
        }
        if answer.isLast { file.isEnded = true }
        return answer.piece
    }

    private func stop(_ file: OpenFile) async {
        guard !file.isEnded, let request = file.request else { return }
        // A failure to stop shows in the session's next call, if there is one.
        _ = try? await call(deadlines.readPiece) { link throws(DeviceError) in
            try link.stopReading(request)
        }
    }

    func call<Value: Sendable>(
        _ limit: Duration, atMost whole: Duration? = nil,
        _ body: @escaping @Sendable (WorkerLink) throws(DeviceError) -> Value
    ) async throws(DeviceError) -> Value {
        try await WorkerCall(thread: thread, clock: clock, limit: limit, whole: whole)
            .run(link, body)
    }
}

/// How far the reading of one file has come.
private final class OpenFile: Sendable {
    private let state = Mutex<(request: UInt32?, isEnded: Bool)>((nil, false))

    /// The request that asked for it, once it was sent.
    var request: UInt32? {
        get { state.withLock { $0.request } }
        set { state.withLock { $0.request = newValue } }
    }
    var isEnded: Bool {
        get { state.withLock { $0.isEnded } }
        set { state.withLock { $0.isEnded = newValue } }
    }
}

extension WorkerLink {
    /// Collects the batches of one listing.
    func list(_ folder: FolderReference) throws(DeviceError) -> FolderListing {
        var body = WireWriter()
        body.folder(folder)
        body.unsigned32(UInt32(WireLimit.entries))
        let request = try ask(.askList, body)
        var entries: [PhoneEntry] = []
        var nameBytes = 0
        while true {
            let frame = try answer(to: request, .entries, .listed)
            if frame.kind == .listed {
                let (announced, undescribed) = try decode(frame) {
                    reader throws(DeviceError) in
                    (try reader.unsigned32(), try reader.unsigned32())
                }
                guard announced == entries.count else {
                    throw fail(.wireViolation("fewer entries than it announced"))
                }
                return FolderListing(entries, undescribedCount: Int(undescribed))
            }
            try decode(frame) { reader throws(DeviceError) in
                while !reader.isAtEnd {
                    let entry = try reader.entry(storage: folder.storage)
                    nameBytes += entry.name.bytes.count
                    entries.append(entry)
                }
            }
            guard entries.count <= WireLimit.entries, nameBytes <= WireLimit.listedNameBytes
            else {
                throw fail(
                    DeviceError(.limitExceeded, "A folder on the phone has too many entries"))
            }
        }
    }
}

extension WireReader {
    /// A count of 2 bytes and as many values.
    mutating func list<Value>(
        limit: Int, _ read: (inout WireReader) throws(DeviceError) -> Value
    ) throws(DeviceError) -> [Value] {
        let count = Int(try unsigned16())
        guard count <= limit else { throw .wireViolation("a list of \(count) items") }
        var values: [Value] = []
        for _ in 0..<count { values.append(try read(&self)) }
        return values
    }
}
