import BackupCore
import Glibc

/// The worker's end of the socket: blocking frames. When the parent is gone the process ends.
final class WorkerChannel {
    /// How much content is gathered for one frame.
    static let gathered = 256 << 10

    /// The request being answered.
    var current: UInt32 = 0
    /// Whether the parent has said `close`.
    var isClosing = false
    private let descriptor: Int32
    private var lastLife: ContinuousClock.Instant?

    init(descriptor: Int32) { self.descriptor = descriptor }

    /// The first frame of all.
    func greet() {
        var body = WireWriter()
        body.unsigned16(WireFormat.version)
        send(.hello, 0, body.bytes)
    }

    /// Sends one frame, waiting for room: this is what holds a fast phone back.
    func send(_ kind: FrameKind, _ request: UInt32, _ body: [UInt8] = []) {
        put(FrameHeader.encode(kind: kind, request: request, bodyLength: body.count)[...])
        put(body[...])
    }

    /// Sends an error as the answer to `request`.
    func send(_ error: DeviceError, _ request: UInt32) {
        var body = WireWriter()
        body.error(error)
        send(.failure, request, body.bytes)
    }

    /// Tells the parent that the phone answers, at most once a second.
    func reportLife() {
        let now = ContinuousClock.now
        if let lastLife, now - lastLife < .seconds(1) { return }
        lastLife = now
        send(.alive, current)
    }

    /// Sends what has been gathered, in frames of at most a piece, and empties it.
    func sendPieces(_ content: inout [UInt8], _ request: UInt32) {
        var rest = content[...]
        while !rest.isEmpty {
            let piece = rest.prefix(WireLimit.piece)
            rest = rest.dropFirst(piece.count)
            put(FrameHeader.encode(kind: .bytes, request: request, bodyLength: piece.count)[...])
            put(piece)
        }
        content.removeAll(keepingCapacity: true)
    }

    /// Whether the parent has cancelled `request` or the session; does not wait.
    func isToldToStop(_ request: UInt32) -> Bool {
        var item = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
        // Sound: one local item.
        while unsafe poll(&item, 1, 0) > 0 {
            let frame = receive()
            if frame.kind == .close { isClosing = true }
            if isClosing || (frame.kind == .cancel && frame.request == request) { return true }
        }
        return isClosing
    }

    /// Waits for a request. The parent is trusted: a frame that makes no sense is its end.
    func receive() -> Frame {
        do {
            let header = try FrameHeader(take(WireFormat.headerLength))
            let body = take(header.bodyLength)
            return Frame(kind: header.kind, request: header.request, body: body)
        } catch {
            exit(1)
        }
    }

    private func take(_ count: Int) -> [UInt8] {
        if count == 0 { return [] }
        return unsafe [UInt8](unsafeUninitializedCapacity: count) { buffer, filled in
            filled = 0
            while filled < count {
                // Sound: writes stay between `filled` and the buffer's capacity `count`.
                let got = unsafe recv(
                    descriptor, buffer.baseAddress?.advanced(by: filled), count - filled, 0)
                if got > 0 { filled += got } else if got == 0 || errno != EINTR { exit(0) }
            }
        }
    }

    private func put(_ bytes: ArraySlice<UInt8>) {
        // Sound: the slice lends its bytes for the calls; the sum of what was sent bounds them.
        unsafe bytes.withUnsafeBytes { buffer in
            var sent = 0
            while sent < buffer.count {
                let count = unsafe Glibc.send(
                    descriptor, buffer.baseAddress?.advanced(by: sent), buffer.count - sent,
                    Int32(MSG_NOSIGNAL))
                if count > 0 { sent += count } else if errno != EINTR { exit(0) }
            }
        }
    }
}
