import Foundation

/// Why the phone's MTP service has to drop what it is doing.
enum LinkInterruption: Error {
    /// The cable was pulled, the bus was reset or the host's program ended.
    case broken
    /// The host cancelled the transaction (class request 0x64).
    case cancelled
    /// The simulator is shutting down.
    case closed
}

/// A URB that waits for the phone.
struct PendingTransfer: Sendable {
    let connection: USBIPConnection
    let sequence: UInt32
    let length: Int
    let data: [UInt8]
    let wantsZeroPacket: Bool
}

/// The phone's end of the cable: transfers that hosts submitted, claims, and the plug itself.
/// Connections put transfers in on their threads; the MTP service takes them out on its own.
final class PhoneLink: Sendable {
    private let state: Monitor<State>
    let packetSize: Int

    private struct State {
        var address: UInt8
        var isPlugged = true
        var isFrozen = false
        var isClosed = false
        var isCancelled = false
        /// Counts what broke the running transaction; the service compares it with what it saw.
        var generation = 0
        var seenGeneration = 0
        var sessionMustEnd = false
        var claims: [UInt32: USBIPConnection] = [:]
        var connections: [ObjectIdentifier: USBIPConnection] = [:]
        /// Who sent the last bulk data: when it dies, its session is left over.
        var bulkUser: USBIPConnection?
        var bulkIn: [PendingTransfer] = []
        var bulkOut: [PendingTransfer] = []
        var interruptIn: [PendingTransfer] = []
        var events: [[UInt8]] = []
        var model: LinkModel
        var busyUntil = ContinuousClock.now
        var bytesMoved: UInt64 = 0
        var unplugAt: UInt64?
    }

    init(address: UInt8, packetSize: Int, model: LinkModel) {
        self.packetSize = packetSize
        state = Monitor(State(address: address, model: model))
    }

    var isPlugged: Bool { state.locked { $0.isPlugged } }
    var address: UInt8 { state.locked { $0.address } }
    var isFrozen: Bool { state.locked { $0.isFrozen } }
    var bytesMoved: UInt64 { state.locked { $0.bytesMoved } }
    var model: LinkModel {
        get { state.locked { $0.model } }
        set { state.locked { $0.model = newValue } }
    }

    // MARK: the cable

    /// Pulls the cable: everything under way ends with "no device".
    func unplug() {
        let cut = state.locked { state -> [USBIPConnection] in
            state.isPlugged = false
            state.generation += 1
            state.sessionMustEnd = true
            state.unplugAt = nil
            state.bulkIn = []
            state.bulkOut = []
            state.interruptIn = []
            state.events = []
            state.claims = [:]
            state.bulkUser = nil
            return Array(state.connections.values)
        }
        for connection in cut { connection.end() }
    }

    /// Plugs the phone in again; the bus gives it a new address.
    func replug() {
        state.locked { state in
            state.address = state.address > 110 ? state.address % 8 + 8 : state.address + 8
            state.isPlugged = true
            state.isFrozen = false
        }
    }

    /// Unplugs itself once `count` more bytes have crossed the bulk endpoints.
    func unplug(afterBytes count: UInt64) {
        state.locked { $0.unplugAt = $0.bytesMoved + count }
    }

    /// Stops or resumes answering on the MTP endpoints, as a hung service does.
    func setFrozen(_ frozen: Bool) {
        state.locked { $0.isFrozen = frozen }
    }

    func close() {
        state.locked { $0.isClosed = true }
        unplug()
    }

    // MARK: hosts

    func attach(_ connection: USBIPConnection) -> UInt8? {
        state.locked { state in
            guard state.isPlugged else { return nil }
            state.connections[ObjectIdentifier(connection)] = connection
            return state.address
        }
    }

    /// False when another living client holds the interface.
    func claim(_ interface: UInt32, for connection: USBIPConnection) -> Bool {
        state.locked { state in
            if let holder = state.claims[interface], holder !== connection {
                // A killed program's sockets are closed before its death is known to anyone,
                // though our thread may not have seen it yet.
                guard holder.isGone else { return false }
            }
            if let user = state.bulkUser, user.isGone { forget(user, &state) }
            state.claims[interface] = connection
            return true
        }
    }

    func release(_ interface: UInt32, by connection: USBIPConnection) {
        state.locked { state in
            if state.claims[interface] === connection { state.claims[interface] = nil }
        }
    }

    func detach(_ connection: USBIPConnection) {
        state.locked { state in
            state.connections[ObjectIdentifier(connection)] = nil
            forget(connection, &state)
        }
    }

    private func forget(_ connection: USBIPConnection, _ state: inout State) {
        state.bulkIn.removeAll { $0.connection === connection }
        state.bulkOut.removeAll { $0.connection === connection }
        state.interruptIn.removeAll { $0.connection === connection }
        if state.bulkUser === connection {
            state.bulkUser = nil
            state.generation += 1
        }
    }

    /// Takes a transfer in; false when there is no such endpoint.
    func submit(_ transfer: PendingTransfer, endpoint: UInt32, isIn: Bool) -> Bool {
        let event = state.locked { state -> [UInt8]?? in
            switch (endpoint, isIn) {
            case (USBDescriptors.bulkIn, true):
                state.bulkIn.append(transfer)
            case (USBDescriptors.bulkOut, false):
                state.bulkUser = transfer.connection
                state.bulkOut.append(transfer)
            case (USBDescriptors.interruptIn, true):
                guard !state.events.isEmpty, !state.isFrozen else {
                    state.interruptIn.append(transfer)
                    return .some(nil)
                }
                return .some(state.events.removeFirst())
            default: return nil
            }
            return .some(nil)
        }
        guard let event else { return false }
        if let event { deliver(event, to: transfer) }
        return true
    }

    /// Whether the transfer still waited; then it is taken back.
    func unlink(_ sequence: UInt32, of connection: USBIPConnection) -> Bool {
        state.locked { state in
            let isMeant = { (transfer: PendingTransfer) in
                transfer.connection === connection && transfer.sequence == sequence
            }
            for queue in [\State.bulkIn, \State.bulkOut, \State.interruptIn] {
                guard let index = state[keyPath: queue].firstIndex(where: isMeant) else {
                    continue
                }
                state[keyPath: queue].remove(at: index)
                return true
            }
            return false
        }
    }

    /// A reset of the port: transfers end, the MTP session with them.
    func reset() {
        let dropped = state.locked { state -> [PendingTransfer] in
            let all = state.bulkIn + state.bulkOut + state.interruptIn
            state.bulkIn = []
            state.bulkOut = []
            state.interruptIn = []
            state.events = []
            state.generation += 1
            state.sessionMustEnd = true
            return all
        }
        for transfer in dropped {
            transfer.connection.reply(to: transfer.sequence, status: .protocolError, actual: 0)
        }
    }

    /// The host gave the running transaction up.
    func cancelTransaction() {
        let dropped = state.locked { state -> [PendingTransfer] in
            state.isCancelled = true
            defer { state.bulkOut = [] }
            return state.bulkOut
        }
        for transfer in dropped {
            transfer.connection.reply(
                to: transfer.sequence, status: .ok, actual: transfer.data.count)
        }
    }

    // MARK: the MTP service

    /// Whether the session has to end because the bus was reset or the cable pulled; asking
    /// clears it and catches up with what broke.
    func acknowledgeBreak() -> Bool {
        state.locked { state in
            defer { state.sessionMustEnd = false }
            state.seenGeneration = state.generation
            return state.sessionMustEnd
        }
    }

    /// Starts a new transaction: an older cancel no longer counts.
    func clearCancel() {
        state.locked { $0.isCancelled = false }
    }

    private func take(
        from queue: WritableKeyPath<State, [PendingTransfer]>
    ) throws(LinkInterruption) -> (transfer: PendingTransfer, limit: UInt64?) {
        while true {
            switch try next(from: queue) {
            case .transfer(let transfer, let limit): return (transfer, limit)
            case .busy(let time): sleep(for: time)
            }
        }
    }

    private enum Next {
        case transfer(PendingTransfer, limit: UInt64?)
        /// The bus carries what went before for so long.
        case busy(Duration)
    }

    private func next(
        from queue: WritableKeyPath<State, [PendingTransfer]>
    ) throws(LinkInterruption) -> Next {
        try state.waiting { state throws(LinkInterruption) in
            if state.isClosed { throw .closed }
            if state.generation != state.seenGeneration { throw .broken }
            if state.isCancelled { throw .cancelled }
            // A host that sent whole packets closes them with an empty one and waits for it,
            // although the announced length is complete and the answer already under way.
            if queue == \.bulkIn, let first = state.bulkOut.first, first.data.isEmpty {
                state.bulkOut.removeFirst()
                first.connection.reply(to: first.sequence, status: .ok, actual: 0)
                return .wait(.zero)
            }
            guard state.isPlugged, !state.isFrozen, !state[keyPath: queue].isEmpty else {
                return .wait(nil)
            }
            let wait = ContinuousClock.now.duration(to: state.busyUntil)
            if wait > .zero { return .done(.busy(wait)) }
            let limit = state.unplugAt.map { $0 - min($0, state.bytesMoved) }
            return .done(.transfer(state[keyPath: queue].removeFirst(), limit: limit))
        }
    }

    private func account(_ count: Int) {
        state.locked { state in
            state.bytesMoved += UInt64(count)
            let start = max(state.busyUntil, ContinuousClock.now)
            state.busyUntil = start + state.model.time(forBytes: count)
        }
    }

    /// Data of the next bulk OUT transfer, once the bus has carried it.
    func receive() throws(LinkInterruption) -> [UInt8] {
        let (transfer, limit) = try take(from: \.bulkOut)
        if let limit, UInt64(transfer.data.count) >= limit {
            transfer.connection.reply(to: transfer.sequence, status: .gone, actual: Int(limit))
            account(Int(limit))
            unplug()
            throw .broken
        }
        account(transfer.data.count)
        transfer.connection.reply(to: transfer.sequence, status: .ok, actual: transfer.data.count)
        return transfer.data
    }

    /// Fills the next bulk IN transfer with at most `available` bytes; `fill` writes `count`
    /// bytes into the buffer from `index` on. Returns how many went and how many were wanted.
    func send(
        upTo available: UInt64,
        fill: (_ buffer: inout [UInt8], _ index: Int, _ count: Int) -> Void
    ) throws(LinkInterruption) -> (sent: Int, wanted: Int) {
        let (transfer, limit) = try take(from: \.bulkIn)
        let count = Int(min(UInt64(transfer.length), available))
        let header = USBIP.submitReply(to: transfer.sequence, status: .ok, actual: count)
        var message = header
        message.append(contentsOf: repeatElement(0, count: count))
        if count > 0 { fill(&message, header.count, count) }
        if let limit, UInt64(count) >= limit {
            let kept = Int(limit)
            let cut = USBIP.submitReply(to: transfer.sequence, status: .gone, actual: kept)
            message.replaceSubrange(0..<header.count, with: cut)
            transfer.connection.send(Array(message.prefix(header.count + kept)))
            account(kept)
            unplug()
            throw .broken
        }
        account(count)
        transfer.connection.send(message)
        return (count, transfer.length)
    }

    /// Sends an event on the interrupt endpoint; kept (at most 64) until a host asks.
    func post(_ event: [UInt8]) {
        let waiting = state.locked { state -> PendingTransfer? in
            guard state.isPlugged else { return nil }
            guard !state.interruptIn.isEmpty, !state.isFrozen else {
                if state.events.count < 64 { state.events.append(event) }
                return nil
            }
            return state.interruptIn.removeFirst()
        }
        if let waiting { deliver(event, to: waiting) }
    }

    /// Events are for an open session only.
    func dropEvents() {
        state.locked { $0.events = [] }
    }

    private func deliver(_ event: [UInt8], to transfer: PendingTransfer) {
        let count = min(event.count, transfer.length)
        let header = USBIP.submitReply(to: transfer.sequence, status: .ok, actual: count)
        transfer.connection.send(header + event.prefix(count))
    }
}

/// Sleeps this thread; the simulator's threads are its own and may block.
func sleep(for duration: Duration) {
    let (seconds, attoseconds) = duration.components
    Thread.sleep(forTimeInterval: Double(seconds) + Double(attoseconds) / 1e18)
}
