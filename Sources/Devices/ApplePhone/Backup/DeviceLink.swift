import BackupCore

/// DeviceLink: how mobilebackup2 frames what it says on its connection.
///
/// A message is a length of 4 bytes, big endian, and a binary property list: an array whose first
/// item is the message's name. Within an upload or a download the same lengths frame raw blocks.
/// Lengths that the phone announces are checked before anything is kept for them, and read in
/// pieces; any byte that comes gives the phone its time anew.
final class DeviceLink {
    /// How long a phone may be silent. Minutes are usual: it makes a snapshot of itself, works on
    /// the manifest, or waits for its passcode.
    struct Patience: Sendable {
        var beforeFirstFile: Duration = .seconds(300)
        var afterwards: Duration = .seconds(900)
    }

    /// One message of the phone.
    struct Message {
        let name: String
        /// What stands behind the name.
        let items: ArraySlice<PropertyList>

        /// The item at `position`, the name being at 0.
        subscript(position: Int) -> PropertyList? {
            items.indices.contains(position) ? items[position] : nil
        }
    }

    /// A list of the paths of 200,000 files takes some 40 MB.
    private static let messageLimits = PropertyList.Limits(
        bytes: 64 << 20, depth: 16, elements: 1_000_000, text: 1 << 20)
    /// The largest raw block that is taken for one.
    private static let blockLimit = 64 << 20
    private static let nameLimit = 4096
    /// What is asked of the connection at once.
    private static let piece = 256 << 10
    /// How often `idle` is called while nothing comes.
    private static let pulse = Duration.milliseconds(250)
    static let noText = "___EmptyParameterString___"

    private let connection: any ServiceConnection
    private let patience: Patience
    /// A clock that only counts.
    let now: () -> Duration
    private let idle: () throws(DeviceError) -> Void
    private var lastIdle: Duration?
    /// Set with the first file that is transferred.
    var hasBegun = false

    /// A link over `connection`. `idle` is called at least four times a second while the link waits
    /// and now and then otherwise; what it throws ends the call. `now` is a clock that only counts.
    init(
        _ connection: any ServiceConnection, patience: Patience = Patience(),
        now: @escaping () -> Duration, idle: @escaping () throws(DeviceError) -> Void
    ) {
        self.connection = connection
        self.patience = patience
        self.now = now
        self.idle = idle
    }

    private var limit: Duration { hasBegun ? patience.afterwards : patience.beforeFirstFile }

    // MARK: Messages

    /// The next message.
    func receive() throws(DeviceError) -> Message {
        let count = try length()
        guard (1...Self.messageLimits.bytes).contains(count) else {
            throw DeviceError(
                .limitExceeded, "The phone announced a message of \(count) bytes",
                advice: Self.restart)
        }
        var bytes: [UInt8] = []
        try receive(count) { piece throws(DeviceError) in bytes += piece }
        let list = try PropertyList.decode(bytes, limits: Self.messageLimits)
        guard let items = list.items, let name = items.first?.text else {
            throw DeviceError(.protocolViolation, "The phone sent a message without a name")
        }
        return Message(name: name, items: items.dropFirst())
    }

    /// Sends a message.
    func send(_ items: [PropertyList]) throws(DeviceError) {
        let body = PropertyList.array(items).encodeBinary()
        try write(Self.length(body.count) + body)
    }

    /// Leaves without a word too many: the phone puts its own things in order then. Failing to is
    /// no matter.
    func disconnect() {
        let bye = PropertyList.array([.string("DLMessageDisconnect"), .string(Self.noText)])
            .encodeBinary()
        // The phone may be gone already, which is the same end.
        try? connection.write(Self.length(bye.count) + bye, within: .seconds(2))
        connection.close()
    }

    // MARK: Raw blocks

    /// A name of at most 4,096 bytes; nil at the end of a list of files.
    func name() throws(DeviceError) -> [UInt8]? {
        let count = try length()
        guard count > 0 else { return nil }
        guard count <= Self.nameLimit else {
            throw DeviceError(
                .limitExceeded, "The phone named a path of \(count) bytes", advice: Self.restart)
        }
        return try connection.read(count, within: limit)
    }

    /// The kind of the next raw block and the count of bytes that follow it.
    func block() throws(DeviceError) -> (kind: UInt8, count: Int) {
        let count = try length()
        guard (1...Self.blockLimit).contains(count) else {
            throw DeviceError(
                .limitExceeded, "The phone announced a block of \(count) bytes",
                advice: Self.restart)
        }
        return (try connection.read(1, within: limit)[0], count - 1)
    }

    /// Exactly `count` bytes, in pieces.
    func receive(
        _ count: Int, _ use: ([UInt8]) throws(DeviceError) -> Void
    ) throws(DeviceError) {
        var left = count
        while left > 0 {
            let piece = try connection.read(min(left, Self.piece), within: limit)
            left -= piece.count
            try use(piece)
        }
    }

    /// Sends bytes that are framed already.
    func write(_ bytes: [UInt8]) throws(DeviceError) {
        try pulse()
        try connection.write(bytes, within: limit)
    }

    /// A length as it travels.
    static func length(_ count: Int) -> [UInt8] {
        let value = UInt32(clamping: count)
        return [24, 16, 8, 0].map { UInt8(truncatingIfNeeded: value >> $0) }
    }

    // MARK: Waiting

    /// The next length, waiting for it as long as the phone may be silent.
    private func length() throws(DeviceError) -> Int {
        let start = now()
        try pulse()
        while !(try connection.hasInput(within: Self.pulse)) {
            try pulse()
            guard now() - start < limit else { throw silence }
        }
        return try connection.read(4, within: limit).reduce(0) { $0 << 8 | Int($1) }
    }

    private func pulse() throws(DeviceError) {
        let time = now()
        if let lastIdle, time - lastIdle < Self.pulse { return }
        lastIdle = time
        try idle()
    }

    private var silence: DeviceError {
        DeviceError(
            .timedOut, "The phone was silent for \(limit.components.seconds / 60) minutes",
            advice: Self.restart)
    }

    private static let restart = "Restart the phone, then run the backup again."
}
