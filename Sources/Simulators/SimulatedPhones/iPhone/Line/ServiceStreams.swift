import Foundation

/// A service's bytes as they are.
final class PlainStream: ServiceStream {
    private let connection: LineConnection

    init(_ connection: LineConnection) {
        self.connection = connection
    }

    func read(_ count: Int) throws -> [UInt8] {
        guard count > 0 else { return [] }
        var bytes = try connection.receive(upTo: count)
        while bytes.count < count {
            bytes += try connection.receive(upTo: count - bytes.count)
        }
        return bytes
    }

    func write(_ bytes: [UInt8]) throws {
        try connection.send(bytes)
    }

    func canRead(within duration: Duration) -> Bool {
        connection.canReceive(within: duration)
    }

    func close() {
        connection.end()
    }
}

/// A service's bytes in TLS, after the handshake.
final class TLSStream: ServiceStream, @unchecked Sendable {
    // Unchecked: the session is only touched while `sessionLock` is locked. Who makes output
    // holds `sendLock` from making it to sending it, because records have an order.
    private let sessionLock = NSLock()
    private let sendLock = NSLock()
    private let session: TLSSession
    private let connection: LineConnection

    /// Most plain text that is encrypted before any of it is sent: it is copied three times on
    /// the way, which is cheap as long as it stays in the processor's cache.
    private static let pieceSize = 1 << 18
    /// Most bytes taken from the line at once.
    private static let receiveSize = 1 << 18

    /// Shakes hands; throws when the host is not the one the phone is paired with.
    init(_ connection: LineConnection, session: TLSSession) throws {
        self.connection = connection
        self.session = session
        while true {
            // Also after a failure: the alert tells the host why.
            let result = Result { try session.shakeHands() }
            let output = session.takeOutput()
            if !output.isEmpty { try connection.send(output) }
            if try result.get() { return }
            session.feed(try connection.receive(upTo: Self.receiveSize))
        }
    }

    func read(_ count: Int) throws -> [UInt8] {
        var bytes: [UInt8] = []
        while bytes.count < count {
            let wanted = min(count - bytes.count, Self.receiveSize)
            guard let piece = try sessionLock.withLock({ try session.decrypt(upTo: wanted) })
            else { throw StreamEnd() }
            if piece.isEmpty {
                let received = try connection.receive(upTo: Self.receiveSize)
                sessionLock.withLock { session.feed(received) }
            } else if bytes.isEmpty {
                bytes = piece
            } else {
                bytes += piece
            }
        }
        return bytes
    }

    func write(_ bytes: [UInt8]) throws {
        try sendLock.withLock {
            for start in stride(from: 0, to: bytes.count, by: Self.pieceSize) {
                let output = try sessionLock.withLock {
                    try session.encrypt(
                        bytes, from: start, count: min(Self.pieceSize, bytes.count - start))
                    return session.takeOutput()
                }
                try connection.send(output)
            }
        }
    }

    func canRead(within duration: Duration) -> Bool {
        if sessionLock.withLock({ session.hasPending }) { return true }
        return connection.canReceive(within: duration)
    }

    func close() {
        connection.end()
    }

    /// Ends the encryption and leaves the connection open for plain text, as StopSession does.
    func endEncryption() throws {
        try sendLock.withLock {
            let goodbye = sessionLock.withLock {
                session.sayGoodbye()
                return session.takeOutput()
            }
            try connection.send(goodbye)
        }
        while try sessionLock.withLock({ try session.decrypt(upTo: 1) }) != nil {
            let received = try connection.receive(upTo: Self.receiveSize)
            sessionLock.withLock { session.feed(received) }
        }
    }
}
