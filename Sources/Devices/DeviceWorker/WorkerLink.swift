import BackupCore
import Glibc
import Synchronization

/// The parent's end of a session: blocking frames in and out, used on one thread only.
final class WorkerLink: @unchecked Sendable {
    // Unchecked: `process` and the plain variables are touched on the owner's DedicatedThread only
    // (and in deinit, when nobody else is left); what other tasks touch is `interruption` and
    // `lastSign`, which guard themselves.
    let interruption: Interruption
    /// When the worker last gave a sign of life, by the run's clock.
    let lastSign: Mutex<Duration>
    private let clock: any RunClock
    private var process: WorkerProcess?
    private var failure: DeviceError?
    private var lastRequest: UInt32 = 0
    /// The file being read, when one is.
    private var reading: Reading?

    private struct Reading {
        let request: UInt32
        let announced: UInt64?
        var received: UInt64 = 0
    }

    /// Starts the worker and expects its greeting; call on the owner's thread.
    init(
        program: WorkerProgram, command: [String], interruption: Interruption, clock: any RunClock
    ) throws(DeviceError) {
        self.interruption = interruption
        self.clock = clock
        lastSign = Mutex(clock.elapsed())
        process = try WorkerProcess(program, command)
        let hello = try receive()
        var reader = WireReader(hello.body)
        guard hello.kind == .hello, try reader.unsigned16() == WireFormat.version else {
            throw fail(.wireViolation("a greeting of another version"))
        }
    }

    /// Sends a request and gives back its number. A file half read is given up first.
    func ask(_ kind: FrameKind, _ body: WireWriter = WireWriter()) throws(DeviceError) -> UInt32 {
        try endReading()
        lastRequest += 1
        try send(kind, request: lastRequest, body.bytes)
        return lastRequest
    }

    /// The next frame that answers `request`: signs of life and left-overs of earlier requests
    /// are passed over, a failure is thrown.
    func answer(
        to request: UInt32, _ expected: FrameKind...
    ) throws(DeviceError) -> Frame {
        while true {
            let frame = try receive()
            guard frame.request == request else {
                if frame.request < request { continue }
                throw fail(.wireViolation("an answer to a question never asked"))
            }
            if frame.kind == .alive { continue }
            if frame.kind == .failure { throw try reported(frame) }
            guard expected.contains(frame.kind) else {
                throw fail(.wireViolation("an answer of the wrong kind"))
            }
            return frame
        }
    }

    /// Decodes a body, ending the worker when it is not exactly one value.
    func decode<Value>(
        _ frame: Frame, _ read: (inout WireReader) throws(DeviceError) -> Value
    ) throws(DeviceError) -> Value {
        var reader = WireReader(frame.body)
        do {
            let value = try read(&reader)
            try reader.end()
            return value
        } catch {
            throw fail(error)
        }
    }

    /// Ends the worker for breaking a rule; the error is what all later calls throw.
    func fail(_ error: DeviceError) -> DeviceError {
        if let process = process.take() { _ = process.end(grace: .zero) }
        failure = failure ?? error
        return error
    }

    private func reported(_ frame: Frame) throws(DeviceError) -> DeviceError {
        try decode(frame) { reader throws(DeviceError) in try reader.error() }
    }
}

// MARK: - Reading a file

extension WorkerLink {
    /// Asks for a file's content and gives the number that its pieces carry.
    func beginReading(_ entry: PhoneEntry) throws(DeviceError) -> UInt32 {
        var body = WireWriter()
        body.unsigned64(entry.storage)
        body.entry(entry)
        let request = try ask(.askRead, body)
        reading = Reading(request: request, announced: entry.byteCount)
        return request
    }

    /// The next piece, nil at the end, and whether it was the last. The worker has counted the
    /// bytes; they are counted again, because the worker may be the phone's.
    func nextPiece(_ request: UInt32) throws(DeviceError) -> (piece: [UInt8]?, isLast: Bool) {
        guard reading?.request == request else {
            throw failure
                ?? DeviceError(.cancelled, "The reading of this file was given up for another call")
        }
        guard let piece = try nextContent(request) else {
            try finishReading()
            return (nil, true)
        }
        // The end is on its way with the last byte; taken now, it costs a small file no second
        // change of threads.
        guard reading?.received == reading?.announced else { return (piece, false) }
        guard try nextContent(request) == nil else {
            throw fail(.wireViolation("more content than the file has"))
        }
        try finishReading()
        return (piece, true)
    }

    /// The content of the next frame, nil when it says that the file is finished.
    private func nextContent(_ request: UInt32) throws(DeviceError) -> [UInt8]? {
        do {
            let frame = try answer(to: request, .bytes, .finished)
            return frame.kind == .bytes ? try accept(frame.body) : nil
        } catch {
            reading = nil
            throw error
        }
    }

    /// Gives up the reading of `request`, if it is still going on.
    func stopReading(_ request: UInt32) throws(DeviceError) {
        guard reading?.request == request else { return }
        try endReading()
    }

    private func accept(_ piece: [UInt8]) throws(DeviceError) -> [UInt8] {
        guard (1...WireLimit.piece).contains(piece.count) else {
            throw fail(.wireViolation("a piece of \(piece.count) bytes"))
        }
        let total = (reading?.received ?? 0) + UInt64(piece.count)
        if let announced = reading?.announced, total > announced {
            throw fail(.wireViolation("more content than the file has"))
        }
        reading?.received = total
        return piece
    }

    private func finishReading() throws(DeviceError) {
        guard let ended = reading.take(), let announced = ended.announced else { return }
        guard ended.received == announced else {
            throw DeviceError(
                .wrongSize, "The file ended after \(ended.received) of \(announced) bytes")
        }
    }

    /// Tells the worker to stop, and reads on to the end of what it had already sent.
    private func endReading() throws(DeviceError) {
        guard let request = reading.take()?.request else { return }
        try send(.cancel, request: request, [])
        while true {
            let frame = try receive()
            guard frame.request == request else {
                throw fail(.wireViolation("an answer to another question"))
            }
            if frame.kind == .finished || frame.kind == .failure { return }
        }
    }
}

// MARK: - Frames

extension WorkerLink {
    /// Ends the session: politely, then after `patience` (real time) by force.
    func close(patience: Duration) {
        guard let process = process.take() else { return }
        failure = failure ?? DeviceError(.cancelled, "The session with the phone is closed")
        let request = reading?.request
        reading = nil
        let deadline = ContinuousClock.now + patience
        if let request { _ = transmit(process.descriptor, .cancel, request, []) }
        if transmit(process.descriptor, .close, 0, []) {
            drain(process.descriptor, until: deadline)
        }
        let left = deadline - ContinuousClock.now
        _ = process.end(grace: max(left, .zero))
    }

    private func drain(_ descriptor: Int32, until deadline: ContinuousClock.Instant) {
        var scratch = [UInt8](repeating: 0, count: 64 << 10)
        while true {
            let left = (deadline - ContinuousClock.now) / .milliseconds(1)
            guard left > 0 else { return }
            var item = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
            // Sound: one local item; the buffer's own length bounds the read.
            guard unsafe poll(&item, 1, Int32(left.rounded(.up))) > 0 else { return }
            let count = unsafe recv(descriptor, &scratch, scratch.count, Int32(MSG_DONTWAIT))
            if count == 0 || (count < 0 && errno != EAGAIN && errno != EINTR) { return }
        }
    }

    /// Sends a frame as the answer to what the worker asked within `request`, waiting for room.
    func answer(_ kind: FrameKind, request: UInt32, _ body: [UInt8]) throws(DeviceError) {
        let descriptor = try openDescriptor()
        let header = FrameHeader.encode(kind: kind, request: request, bodyLength: body.count)
        for part in [header, body] {
            var sent = 0
            while sent < part.count {
                if interruption.raised != nil { throw interrupted() }
                let flags = Int32(MSG_NOSIGNAL) | Int32(MSG_DONTWAIT)
                // Sound: the array lends its bytes; `sent` stays below its count.
                let count = unsafe part.withUnsafeBytes {
                    unsafe Glibc.send(
                        descriptor, $0.baseAddress?.advanced(by: sent), $0.count - sent, flags)
                }
                if count >= 0 {
                    sent += count
                } else {
                    switch wait(descriptor, for: POLLOUT) {
                    case .ready: break
                    case .ended: throw ended()
                    case .interrupted: throw interrupted()
                    }
                }
            }
        }
        lastSign.withLock { $0 = clock.elapsed() }
    }

    private func send(_ kind: FrameKind, request: UInt32, _ body: [UInt8]) throws(DeviceError) {
        let descriptor = try openDescriptor()
        guard transmit(descriptor, kind, request, body) else { throw ended() }
    }

    /// Whether the whole frame fitted into the socket's buffer; requests are small, so a worker
    /// that leaves no room has stopped to read.
    private func transmit(
        _ descriptor: Int32, _ kind: FrameKind, _ request: UInt32, _ body: [UInt8]
    ) -> Bool {
        let bytes =
            FrameHeader.encode(kind: kind, request: request, bodyLength: body.count) + body
        let flags = Int32(MSG_NOSIGNAL) | Int32(MSG_DONTWAIT)
        // Sound: the array lends its own bytes and count.
        return unsafe Glibc.send(descriptor, bytes, bytes.count, flags) == bytes.count
    }

    private func receive() throws(DeviceError) -> Frame {
        // Asked here too: a worker that never stops to send would never let the wait be reached.
        if interruption.raised != nil { throw interrupted() }
        let header: FrameHeader
        do {
            header = try FrameHeader(try read(WireFormat.headerLength))
        } catch {
            throw fail(error)
        }
        let body = try read(header.bodyLength)
        lastSign.withLock { $0 = clock.elapsed() }
        return Frame(kind: header.kind, request: header.request, body: body)
    }

    private func read(_ count: Int) throws(DeviceError) -> [UInt8] {
        // Also because an array made with no capacity writes to the one empty array all share.
        if count == 0 { return [] }
        let descriptor = try openDescriptor()
        var outcome = Wait.ready
        let bytes = unsafe [UInt8](unsafeUninitializedCapacity: count) { buffer, filled in
            filled = 0
            while filled < count {
                // Sound: writes stay between `filled` and the buffer's capacity `count`.
                let got = unsafe recv(
                    descriptor, buffer.baseAddress?.advanced(by: filled), count - filled,
                    Int32(MSG_DONTWAIT))
                if got > 0 {
                    filled += got
                } else {
                    outcome = got == 0 ? .ended : wait(descriptor)
                    if outcome != .ready { break }
                }
            }
        }
        switch outcome {
        case .ready: return bytes
        case .ended: throw ended()
        case .interrupted: throw interrupted()
        }
    }

    private enum Wait { case ready, ended, interrupted }

    /// Waits for bytes (or for room) or for an interruption, after a call that found nothing.
    private func wait(_ descriptor: Int32, for event: Int32 = POLLIN) -> Wait {
        guard errno == EAGAIN || errno == EINTR else { return .ended }
        var items = [
            pollfd(fd: descriptor, events: Int16(event), revents: 0),
            pollfd(fd: interruption.descriptor, events: Int16(POLLIN), revents: 0),
        ]
        // Sound: the array lends its two items.
        let count = unsafe poll(&items, 2, -1)
        if count < 0 { return errno == EINTR ? .ready : .ended }
        return items[1].revents != 0 ? .interrupted : .ready
    }

    private func openDescriptor() throws(DeviceError) -> Int32 {
        if let failure { throw failure }
        guard let descriptor = process?.descriptor else {
            throw DeviceError(.cancelled, "The session with the phone is closed")
        }
        return descriptor
    }

    private func interrupted() -> DeviceError {
        switch interruption.raised {
        case .deadline:
            return fail(
                DeviceError(
                    .timedOut, "The phone did not answer in time, so its helper process was ended"))
        case .cancelled, nil:
            // The worker stays, so that `close` can end its session politely.
            let error = DeviceError(.cancelled, "The work with the phone was stopped")
            failure = error
            return error
        }
    }

    /// The worker has closed its end: it crashed, or was killed.
    private func ended() -> DeviceError {
        var how = "nothing is known of its end"
        if let process = process.take() { how = process.end(grace: .seconds(2)) }
        let error = DeviceError(
            .workerEnded, "The helper process that speaks with the phone ended: \(how)")
        failure = error
        return error
    }
}
