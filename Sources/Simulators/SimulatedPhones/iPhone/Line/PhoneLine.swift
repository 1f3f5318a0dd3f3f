import Foundation

/// The cable of an iPhone: what crosses it, how fast, and when it breaks. Services call it on
/// their threads, the control channel on its own.
final class PhoneLine: Sendable {
    private let state: Monitor<State>
    private struct State {
        var isPlugged = false
        /// Runs after the cable was pulled or put in, on the thread that did it.
        var changed: @Sendable (_ isPlugged: Bool) -> Void = { _ in }
        var connections: [ObjectIdentifier: StreamSocket] = [:]
        var model: LinkModel
        var busyUntil = ContinuousClock.now
        var cut: Cut?
        var cutStage: String?
        /// Until when each service says nothing.
        var silence: [String: ContinuousClock.Instant] = [:]
        var bytesOut: [String: UInt64] = [:]
        var bytesIn: [String: UInt64] = [:]
    }

    /// A break that is to come.
    private struct Cut {
        /// Only bytes of this service count; nil counts all.
        var service: String?
        var remaining: UInt64
    }

    /// Bytes that may cross now.
    struct Grant {
        var count: Int
        /// The cable breaks behind them.
        var isLast = false
    }

    /// A cable that is out.
    init(model: LinkModel) {
        state = Monitor(State(model: model))
    }

    /// Names who hears that the cable was pulled or put in.
    func observe(_ changed: @escaping @Sendable (_ isPlugged: Bool) -> Void) {
        state.locked { $0.changed = changed }
    }

    var isPlugged: Bool { state.locked { $0.isPlugged } }
    var model: LinkModel {
        get { state.locked { $0.model } }
        set { state.locked { $0.model = newValue } }
    }
    /// Bytes on the wire by service since the start, encryption included.
    var traffic: (out: [String: UInt64], in: [String: UInt64]) {
        state.locked { ($0.bytesOut, $0.bytesIn) }
    }

    func resetTraffic() {
        state.locked { state in
            state.bytesOut = [:]
            state.bytesIn = [:]
        }
    }

    // MARK: the cable

    /// Pulls the cable: every connection ends.
    func unplug() {
        let cut = state.locked { state -> [StreamSocket]? in
            guard state.isPlugged else { return nil }
            state.isPlugged = false
            state.cut = nil
            state.cutStage = nil
            state.silence = [:]
            defer { state.connections = [:] }
            return Array(state.connections.values)
        }
        guard let cut else { return }
        for socket in cut { socket.end() }
        let changed = state.locked { $0.changed }
        changed(false)
    }

    /// Puts the cable in.
    func plug() {
        let isNew = state.locked { state -> Bool in
            defer { state.isPlugged = true }
            return !state.isPlugged
        }
        guard isNew else { return }
        let changed = state.locked { $0.changed }
        changed(true)
    }

    /// Breaks once `count` more bytes of the service (of all, when nil) have crossed.
    func unplug(afterBytes count: UInt64, of service: String?) {
        state.locked { $0.cut = Cut(service: service, remaining: count) }
    }

    /// Breaks when a service reaches the stage of this name.
    func unplug(atStage stage: String) {
        state.locked { $0.cutStage = stage }
    }

    /// A service has come to a stage where the cable may have been asked to break.
    func reach(_ stage: String) throws(StreamEnd) {
        guard state.locked({ $0.cutStage == stage }) else { return }
        unplug()
        throw StreamEnd()
    }

    /// Lets the service say nothing for a while; its connections stay.
    func silence(_ service: String, for duration: Duration) {
        state.locked { $0.silence[service] = ContinuousClock.now + duration }
    }

    // MARK: connections

    /// False when the cable is out.
    func attach(_ socket: StreamSocket) -> Bool {
        state.locked { state in
            guard state.isPlugged else { return false }
            state.connections[ObjectIdentifier(socket)] = socket
            return true
        }
    }

    func detach(_ socket: StreamSocket) {
        state.locked { $0.connections[ObjectIdentifier(socket)] = nil }
    }

    /// Waits until the cable carries bytes of the service, at most `count`.
    func grant(_ count: Int, to service: String, outward: Bool) throws(StreamEnd) -> Grant {
        try state.waiting { state throws(StreamEnd) in
            guard state.isPlugged else { throw StreamEnd() }
            let now = ContinuousClock.now
            var wait: Duration =
                state.model.bytesPerSecond == nil
                ? .zero : now.duration(to: state.busyUntil)
            if outward, let end = state.silence[service] { wait = max(wait, now.duration(to: end)) }
            // Woken early when the cable is pulled or the rate changes.
            guard wait <= .zero else { return .wait(wait) }
            return .done(Self.grant(count, to: service, outward: outward, &state))
        }
    }

    private static func grant(
        _ count: Int, to service: String, outward: Bool, _ state: inout State
    ) -> Grant {
        var grant = Grant(count: count)
        if state.model.bytesPerSecond != nil || state.model.perTransfer > .zero {
            // Small steps, so that several services share the cable and a break comes in time.
            grant.count = min(grant.count, 1 << 16)
            let start = max(state.busyUntil, ContinuousClock.now)
            state.busyUntil = start + state.model.time(forBytes: grant.count)
        }
        if let cut = state.cut, cut.service == nil || cut.service == service {
            grant.isLast = cut.remaining <= UInt64(grant.count)
            if grant.isLast { grant.count = Int(cut.remaining) }
            state.cut?.remaining -= UInt64(grant.count)
        }
        if outward {
            state.bytesOut[service, default: 0] += UInt64(grant.count)
        } else {
            state.bytesIn[service, default: 0] += UInt64(grant.count)
        }
        return grant
    }
}

/// One connection over the cable.
final class LineConnection: Sendable {
    let service: String
    private let socket: StreamSocket
    private let line: PhoneLine

    init(_ socket: StreamSocket, over line: PhoneLine, service: String) {
        self.socket = socket
        self.line = line
        self.service = service
    }

    func send(_ bytes: [UInt8]) throws(StreamEnd) {
        var sent = 0
        while sent < bytes.count {
            let grant = try line.grant(bytes.count - sent, to: service, outward: true)
            let arrived = socket.send(bytes, from: sent, count: grant.count)
            sent += grant.count
            if grant.isLast { line.unplug() }
            guard arrived, !grant.isLast else { throw StreamEnd() }
        }
    }

    /// What came, at most `limit` bytes and at least one.
    func receive(upTo limit: Int) throws(StreamEnd) -> [UInt8] {
        guard let bytes = socket.receive(upTo: limit) else { throw StreamEnd() }
        var taken = 0
        while taken < bytes.count {
            let grant = try line.grant(bytes.count - taken, to: service, outward: false)
            taken += grant.count
            guard !grant.isLast else {
                line.unplug()
                throw StreamEnd()
            }
        }
        return bytes
    }

    func canReceive(within duration: Duration) -> Bool {
        socket.canReceive(within: duration)
    }

    func end() {
        socket.end()
    }
}
