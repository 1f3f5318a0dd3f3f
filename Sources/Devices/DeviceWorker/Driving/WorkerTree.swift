import BackupCore

/// The worker's end of the tree: operations gathered into frames, and the parent's answers.
final class WorkerTree: CaptureTree {
    private let channel: WorkerChannel
    private let request: UInt32
    private var gathered = WireWriter()
    private var stopped: DeviceError?
    /// Whether a file's pieces are on their way: they must not be taken for something else.
    private var isReading = false

    init(channel: WorkerChannel, request: UInt32) {
        self.channel = channel
        self.request = request
    }

    func list(_ path: EntryPath) throws(CaptureTreeError) -> [CaptureTreeEntry] {
        try ask(.list(path))
        var entries: [CaptureTreeEntry] = []
        while true {
            let frame = try receive(.treeEntries)
            var reader = WireReader(frame.body)
            guard frame.kind == .treeEntries else {
                try value(&reader)
                return entries
            }
            do throws(DeviceError) {
                while !reader.isAtEnd { entries.append(try reader.treeEntry()) }
            } catch {
                throw .ended(error)
            }
        }
    }

    func stat(_ path: EntryPath) throws(CaptureTreeError) -> CaptureTreeEntry? {
        try ask(.stat(path))
        guard case .entry(let entry) = try answer() else { throw Self.senseless }
        return entry
    }

    func read(
        _ path: EntryPath, _ use: ([UInt8]) throws(CaptureTreeError) -> Bool
    ) throws(CaptureTreeError) {
        try ask(.read(path))
        isReading = true
        defer { isReading = false }
        var pieces = 0
        var isWanted = true
        while true {
            let frame = try receive(.treeBytes)
            guard frame.kind == .treeBytes else {
                var reader = WireReader(frame.body)
                try value(&reader)
                return
            }
            // What was on its way when no more was wanted is passed over.
            guard isWanted else { continue }
            if pieces % PushOperation.piecesInFlight == 0 { try ask(.more) }
            pieces += 1
            do throws(CaptureTreeError) {
                isWanted = try use(frame.body)
                if !isWanted { try ask(.stopReading) }
            } catch {
                // The phone is lost: what the parent still sends must not stand before the next
                // answer.
                try abandonReading()
                throw error
            }
        }
    }

    func makeDirectory(_ path: EntryPath) throws(CaptureTreeError) {
        try put(.makeDirectory(path))
    }

    func beginFile(_ path: EntryPath) throws(CaptureTreeError) { try put(.beginFile(path)) }

    func append(_ bytes: [UInt8]) throws(CaptureTreeError) {
        guard bytes.count > WireLimit.piece else {
            if !bytes.isEmpty { try put(.piece(bytes)) }
            return
        }
        var rest = bytes[...]
        while !rest.isEmpty {
            try put(.piece(Array(rest.prefix(WireLimit.piece))))
            rest = rest.dropFirst(WireLimit.piece)
        }
    }

    func endFile() throws(CaptureTreeError) { try put(.endFile) }

    func dropFile(_ reason: String) throws(CaptureTreeError) {
        try put(.dropFile(reason: reason))
    }

    func copy(_ path: EntryPath, to target: EntryPath) throws(CaptureTreeError) {
        try put(.copy(path, to: target))
    }

    func move(_ path: EntryPath, to target: EntryPath) throws(CaptureTreeError) {
        try put(.move(path, to: target))
    }

    func remove(_ path: EntryPath) throws(CaptureTreeError) { try put(.remove(path)) }

    func settle() throws(CaptureTreeError) {
        try ask(.settle)
        _ = try answer()
    }

    func freeBytes() throws(CaptureTreeError) -> UInt64 {
        try ask(.freeBytes)
        guard case .number(let bytes) = try answer() else { throw Self.senseless }
        return bytes
    }

    func notice(_ code: String, _ message: String) throws(CaptureTreeError) {
        try put(.notice(code: code, message: message))
        try flush()
    }

    func progress(_ progress: RunProgress) throws(CaptureTreeError) {
        try put(.progress(progress))
    }

    func keepAlive() throws(CaptureTreeError) {
        try flush()
        channel.reportLife()
    }

    /// Sends what has been gathered; to be called at the end too.
    func flush() throws(CaptureTreeError) {
        if let stopped { throw .ended(stopped) }
        if isReading { return }
        if channel.isToldToStop(request) { throw stop() }
        guard !gathered.bytes.isEmpty else { return }
        channel.send(.operations, request, gathered.bytes)
        gathered.clear()
    }
}

extension WorkerTree {
    private static var senseless: CaptureTreeError {
        .ended(.wireViolation("an answer to another question"))
    }

    private func put(_ operation: PushOperation) throws(CaptureTreeError) {
        if let stopped { throw .ended(stopped) }
        gathered.operation(operation)
        if gathered.bytes.count >= PushOperation.gathered { try flush() }
    }

    private func ask(_ operation: PushOperation) throws(CaptureTreeError) {
        if let stopped { throw .ended(stopped) }
        gathered.operation(operation)
        channel.send(.operations, request, gathered.bytes)
        gathered.clear()
    }

    private func answer() throws(CaptureTreeError) -> PushAnswer {
        var reader = WireReader(try receive(.treeAnswer).body)
        return try value(&reader)
    }

    @discardableResult
    private func value(_ reader: inout WireReader) throws(CaptureTreeError) -> PushAnswer {
        let answer: PushAnswer
        do { answer = try reader.answer() } catch { throw .ended(error) }
        if case .refused(let refusal, let text) = answer { throw .refused(refusal, text) }
        return answer
    }

    /// The next frame: one of `kind` or the answer that ends it.
    private func receive(_ kind: FrameKind) throws(CaptureTreeError) -> Frame {
        let frame = channel.receive()
        switch frame.kind {
        case kind, .treeAnswer: return frame
        case .close:
            channel.isClosing = true
            throw stop()
        case .cancel where frame.request == request: throw stop()
        default: throw Self.senseless
        }
    }

    private func abandonReading() throws(CaptureTreeError) {
        guard stopped == nil else { return }
        try ask(.stopReading)
        while try receive(.treeBytes).kind == .treeBytes {}
    }

    private func stop() -> CaptureTreeError {
        let error = DeviceError(.cancelled, "The run was stopped")
        stopped = error
        return .ended(error)
    }
}
