/// The bytes of one started service, in TLS or plain. Calls block; each service has a thread of
/// its own, and one more thread may write while that one reads.
package protocol ServiceStream: AnyObject, Sendable {
    /// Exactly `count` bytes; throws ``StreamEnd`` when the host or the line went before.
    func read(_ count: Int) throws -> [UInt8]
    /// Sends all of it; throws ``StreamEnd`` when the host or the line is gone. Large writes are
    /// cheaper than small ones.
    func write(_ bytes: [UInt8]) throws
    /// Whether a byte can be read, or the stream has ended, before the time is over.
    func canRead(within duration: Duration) -> Bool
    /// Ends both directions.
    func close()
}

/// The other side of a stream is gone.
package struct StreamEnd: Error {
    /// Nothing more is known.
    package init() {}
}

/// A service that lockdownd starts by its name.
package protocol LockdownService: Sendable {
    /// Such as "com.apple.afc".
    var name: String { get }
    /// Whether it holds personal data that stay encrypted until the phone was unlocked; such a
    /// service needs the escrow bag of the pairing while the phone is locked.
    var needsEscrowBag: Bool { get }
    /// Whether hosts that are not paired may start it.
    var isOpenToStrangers: Bool { get }
    /// Serves one connection to its end; returning or throwing closes it.
    func serve(_ stream: any ServiceStream, phone: SimulatediPhone) throws
    /// The answer to words of the control channel that are for this service, as JSON; nil when
    /// they are not.
    func answer(_ words: [String]) -> String?
}

extension LockdownService {
    package var needsEscrowBag: Bool { false }
    package var isOpenToStrangers: Bool { false }
    package func answer(_ words: [String]) -> String? { nil }
}

extension ServiceStream {
    /// The next message: four bytes of length, most significant first, and a property list.
    /// A message longer than `limit` ends the connection.
    package func readMessage(limit: Int = 1 << 28) throws -> PropertyList {
        var head = ByteReader(try read(4))
        let count = Int(head.takeBig(UInt32.self) ?? 0)
        guard count <= limit else { throw StreamEnd() }
        return try PropertyList.decode(try read(count))
    }

    /// Sends a message in the same framing, as a binary list unless `asXML`.
    package func writeMessage(_ list: PropertyList, asXML: Bool = false) throws {
        let body = asXML ? list.encodeXML() : list.encodeBinary()
        var message = ByteWriter()
        message.putBig(UInt32(body.count))
        message.put(raw: body)
        try write(message.bytes)
    }
}
