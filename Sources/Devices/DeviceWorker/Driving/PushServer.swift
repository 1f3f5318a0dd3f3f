import BackupCore

/// The parent's side of a capture that the phone drives: carries the worker's operations out on a
/// builder. The worker is treated as hostile, as everywhere.
struct PushServer {
    /// Files named as left out; more are only counted.
    private static let namedLimit = 10_000
    /// Entries of a folder go in frames of about this size.
    private static let gatheredEntries = 64 << 10

    /// What became of an operation.
    private enum Outcome<Value> {
        case done(Value)
        case refused(PushAnswer)
    }

    private let feed: PushFeed
    private let builder: any SnapshotBuilder
    private let clock: any RunClock
    private let send: @Sendable (FrameKind, [UInt8]) async throws(DeviceError) -> Void
    private(set) var result = PushedResult()
    /// The first refusal since the worker last asked how it went.
    private var refusal: PushAnswer?

    /// A server that answers through `send`.
    init(
        feed: PushFeed, builder: any SnapshotBuilder, clock: any RunClock,
        send: @escaping @Sendable (FrameKind, [UInt8]) async throws(DeviceError) -> Void
    ) {
        self.feed = feed
        self.builder = builder
        self.clock = clock
        self.send = send
    }

    /// Serves until the worker says that the phone succeeded.
    mutating func serve() async throws(SaveError) {
        while let operation = try await next() {
            switch operation {
            case .beginFile(let path): try await receiveFile(path)
            case .read(let path): try await sendFile(path)
            case .list(let path): try await list(path)
            case .stat(let path): try await stat(path)
            case .freeBytes: try await answer(.number(await builder.freeBytes()))
            case .settle:
                try await answer(refusal ?? .done)
                refusal = nil
            // The reading it belongs to has ended meanwhile.
            case .more, .stopReading: await feed.answered()
            default: try await change(operation)
            }
        }
    }

    // MARK: Changes

    private mutating func change(_ operation: PushOperation) async throws(SaveError) {
        let builder = builder
        let now = clock.now()
        let outcome = try await Self.outcome { () async throws(RepositoryError) in
            switch operation {
            case .makeDirectory(let path):
                let isNew = try await builder.stat(path) == nil
                try await builder.makeDirectory(path, modified: isNew ? now : nil)
            case .copy(let path, let target): try await builder.copy(path, to: target)
            case .move(let path, let target): try await builder.move(path, to: target)
            case .remove(let path): try await builder.remove(path)
            default: break
            }
        }
        if case .refused(let answer) = outcome { refusal = refusal ?? answer }
    }

    private mutating func receiveFile(_ path: EntryPath) async throws(SaveError) {
        let feed = feed
        let source = ByteSource<DeviceError>(next: { () async throws(DeviceError) in
            switch try await feed.next() {
            case .piece(let bytes): return bytes
            case .endFile: return nil
            case .dropFile(let reason): throw DeviceError(.unreadable, reason, path: path)
            default: throw .wireViolation("an end within a file")
            }
        })
        do throws(SaveError) {
            _ = try await builder.put(source, at: path, modified: clock.now())
        } catch .source(let error) where error.code == .unreadable {
            leaveOut(path, error)
        } catch .repository(let error) {
            let answer = try Self.refused(error)
            refusal = refusal ?? answer
            do { try await feed.skipFile() } catch { throw .source(error) }
        } catch {
            throw error
        }
    }

    private mutating func leaveOut(_ path: EntryPath, _ error: DeviceError) {
        result.skippedCount += 1
        guard result.skipped.count < Self.namedLimit else { return }
        result.skipped.append(.init(path: path, reason: error.detail))
    }

    // MARK: Questions

    private func stat(_ path: EntryPath) async throws(SaveError) {
        let builder = builder
        let outcome = try await Self.outcome { () async throws(RepositoryError) in
            try await builder.stat(path)
        }
        switch outcome {
        case .done(let node): try await answer(.entry(node.map(Self.entry)))
        case .refused(let refused): try await answer(refused)
        }
    }

    private func list(_ path: EntryPath) async throws(SaveError) {
        let builder = builder
        let outcome = try await Self.outcome { () async throws(RepositoryError) in
            try await builder.list(path)
        }
        guard case .done(let nodes) = outcome else {
            if case .refused(let refused) = outcome {
                try await answer(try await isFile(path) ? Self.notDirectory : refused)
            }
            return
        }
        var body = WireWriter()
        for node in nodes {
            body.treeEntry(Self.entry(node))
            guard body.bytes.count >= Self.gatheredEntries else { continue }
            try await transmit(.treeEntries, body.bytes)
            body.clear()
        }
        if !body.bytes.isEmpty { try await transmit(.treeEntries, body.bytes) }
        try await answer(.done)
    }

    private static let notDirectory = PushAnswer.refused(.notDirectory, "it is a file")

    private func isFile(_ path: EntryPath) async throws(SaveError) -> Bool {
        let builder = builder
        let outcome = try await Self.outcome { () async throws(RepositoryError) in
            try await builder.stat(path)
        }
        if case .done(let node?) = outcome { return !node.isDirectory }
        return false
    }

    /// Sends a file's pieces, at most as many ahead as the worker has asked for.
    private func sendFile(_ path: EntryPath) async throws(SaveError) {
        let builder = builder
        let outcome = try await Self.outcome { () async throws(RepositoryError) in
            try await builder.read(path)
        }
        guard case .done(let source) = outcome else {
            if case .refused(let refused) = outcome { try await answer(refused) }
            return
        }
        let end: PushAnswer
        do throws(SaveError) {
            end = try await sendPieces(of: source)
        } catch {
            await source.close()
            throw error
        }
        await source.close()
        try await answer(end)
    }

    private func sendPieces(
        of source: ByteSource<RepositoryError>
    ) async throws(SaveError) -> PushAnswer {
        var credit = PushOperation.piecesInFlight
        while true {
            let outcome = try await Self.outcome { () async throws(RepositoryError) in
                try await source.next()
            }
            switch outcome {
            case .refused(let refused): return refused
            case .done(nil): return .done
            case .done(let piece?):
                if credit == 0 {
                    guard try await isMoreWanted() else { return .done }
                    credit = PushOperation.piecesInFlight
                }
                credit -= 1
                try await transmit(.treeBytes, piece)
            }
        }
    }

    private func isMoreWanted() async throws(SaveError) -> Bool {
        switch try await next() {
        case .more: return true
        case .stopReading: return false
        default: throw .source(.wireViolation("something else while it reads a file"))
        }
    }

    // MARK: Helpers

    private func next() async throws(SaveError) -> PushOperation? {
        do { return try await feed.next() } catch { throw .source(error) }
    }

    private func answer(_ answer: PushAnswer) async throws(SaveError) {
        var body = WireWriter()
        body.answer(answer)
        try await transmit(.treeAnswer, body.bytes)
        await feed.answered()
    }

    private func transmit(_ kind: FrameKind, _ body: [UInt8]) async throws(SaveError) {
        do { try await send(kind, body) } catch { throw .source(error) }
    }

    private static func outcome<Value>(
        _ body: () async throws(RepositoryError) -> Value
    ) async throws(SaveError) -> Outcome<Value> {
        do { return .done(try await body()) } catch { return .refused(try refused(error)) }
    }

    /// What the phone may be told; an error that concerns more than one entry is thrown.
    private static func refused(_ error: RepositoryError) throws(SaveError) -> PushAnswer {
        switch error.code {
        case .notFound: .refused(.noEntry, error.detail)
        case .limitExceeded: .refused(.other, error.detail)
        case .damaged, .missing: .refused(.unreadable, error.detail)
        default: throw .repository(error)
        }
    }

    private static func entry(_ node: TreeNode) -> CaptureTreeEntry {
        CaptureTreeEntry(
            name: node.name, isFolder: node.isDirectory, byteCount: node.byteCount,
            modified: node.modified)
    }
}
