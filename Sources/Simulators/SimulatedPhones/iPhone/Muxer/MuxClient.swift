import Foundation

/// One program's connection to usbmuxd: questions and answers in property lists (protocol
/// version 1), until it asks for a connection to a phone, which it becomes.
final class MuxClient: Sendable {
    private let socket: StreamSocket
    private let mux: SimulatedUSBMux
    /// Held while a message goes out; events come from other threads.
    private let sendLock = NSLock()

    private static let version: UInt32 = 1
    private static let propertyListMessage: UInt32 = 8
    private static let longestRequest = 1 << 20

    /// usbmuxd's results.
    private enum Outcome: Int64 {
        case success = 0
        case badCommand = 1
        case badDevice = 2
        case refused = 3
        /// The errno of a record that is not there.
        static let noRecord = Outcome.badDevice
    }

    init(_ socket: StreamSocket, of mux: SimulatedUSBMux) {
        self.socket = socket
        self.mux = mux
    }

    /// Serves the program until it leaves.
    func run() {
        defer {
            mux.forget(self)
            socket.end()
        }
        while let (request, tag) = nextRequest() {
            if request["MessageType"]?.text == "Connect" {
                guard let serve = connect(request, tag: tag) else { continue }
                return serve()
            }
            guard answer(request, tag: tag) else { return }
        }
    }

    func end() {
        socket.end()
    }

    private func nextRequest() -> (PropertyList, tag: UInt32)? {
        guard let head = socket.receive(16) else { return nil }
        var reader = ByteReader(head)
        guard let length: UInt32 = reader.take(), let version: UInt32 = reader.take(),
            let message: UInt32 = reader.take(), let tag: UInt32 = reader.take(),
            version == Self.version, message == Self.propertyListMessage,
            (16...UInt32(Self.longestRequest)).contains(length),
            let body = socket.receive(Int(length) - 16)
        else { return nil }
        // A request that is no property list ends the connection, as the daemon does.
        guard let request = try? PropertyList.decode(body) else { return nil }
        return (request, tag)
    }

    /// False when the program is gone.
    private func answer(_ request: PropertyList, tag: UInt32) -> Bool {
        switch request["MessageType"]?.text {
        case "ListDevices": return send(["DeviceList": .array(mux.attachedPhones)], tag: tag)
        case "ListListeners": return send(["ListenerList": []], tag: tag)
        case "ReadBUID": return send(["BUID": .string(mux.records.systemBUID)], tag: tag)
        case "Listen": return listen(tag: tag)
        case "ReadPairRecord":
            guard let id = request["PairRecordID"]?.text, let bytes = mux.records.record(id) else {
                return send(.noRecord, tag: tag)
            }
            return send(["PairRecordData": .data(bytes)], tag: tag)
        case "SavePairRecord":
            let plug = request["DeviceID"]?.unsigned.flatMap { UInt32(exactly: $0) }
            guard let id = request["PairRecordID"]?.text,
                let bytes = request["PairRecordData"]?.bytes
            else { return send(.badCommand, tag: tag) }
            let isKept = mux.savePairRecord(bytes, as: id, plug: plug)
            return send(isKept ? .success : .badCommand, tag: tag)
        case "DeletePairRecord":
            let isGone = request["PairRecordID"]?.text.map(mux.records.delete) ?? false
            return send(isGone ? .success : .noRecord, tag: tag)
        default: return send(.badCommand, tag: tag)
        }
    }

    private func listen(tag: UInt32) -> Bool {
        // Held over all of it: an event of another thread must not come before the answer.
        sendLock.withLock {
            guard socket.send(message(result(.success), tag: tag)) else { return false }
            return mux.listen(self).allSatisfy { socket.send(message($0, tag: 0)) }
        }
    }

    /// What serves the connection from here on; nil when it was refused.
    private func connect(_ request: PropertyList, tag: UInt32) -> (() -> Void)? {
        guard let id = request["DeviceID"]?.unsigned.flatMap({ UInt32(exactly: $0) }),
            let phone = mux.phone(id)
        else {
            _ = send(.badDevice, tag: tag)
            return nil
        }
        // The port comes in network order, though inside a property list.
        guard let number = request["PortNumber"]?.unsigned, let swapped = UInt16(exactly: number),
            let serve = phone.open(port: swapped.byteSwapped)
        else {
            _ = send(.refused, tag: tag)
            return nil
        }
        guard send(.success, tag: tag) else { return nil }
        let socket = socket
        return { serve(socket) }
    }

    private func result(_ outcome: Outcome) -> PropertyList {
        ["MessageType": "Result", "Number": .integer(outcome.rawValue)]
    }

    private func send(_ outcome: Outcome, tag: UInt32) -> Bool {
        send(result(outcome), tag: tag)
    }

    /// Events have the tag 0.
    @discardableResult
    func send(_ list: PropertyList, tag: UInt32 = 0) -> Bool {
        let bytes = message(list, tag: tag)
        return sendLock.withLock { socket.send(bytes) }
    }

    private func message(_ list: PropertyList, tag: UInt32) -> [UInt8] {
        let body = list.encodeXML()
        var writer = ByteWriter()
        for field in [UInt32(body.count + 16), Self.version, Self.propertyListMessage, tag] {
            writer.put(field)
        }
        writer.put(raw: body)
        return writer.bytes
    }
}
