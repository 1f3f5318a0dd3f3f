import Foundation
import Synchronization

/// usbmuxd on a Unix socket, with any number of simulated iPhones behind it. Programs reach it
/// with the environment it gives; it lasts until `stop`.
package final class SimulatedUSBMux: Sendable {
    /// Folder of the socket, the pair records and the phones' own folders.
    package let directory: String
    /// Path of the socket; pymobiledevice3 takes it bare.
    package let socketPath: String
    let records: PairRecordStore
    private let listener: ListeningSocket
    private let board = Mutex(Board())

    private struct Board {
        var nextID: UInt32 = 1
        var phones: [UInt32: SimulatediPhone] = [:]
        var listeners: [ObjectIdentifier: MuxClient] = [:]
    }

    /// Listens in `directory` (made when missing); pair records lie in `records`, by default in
    /// a folder of the directory. Throws when the socket cannot be set up.
    package init(directory: String, records: String? = nil) throws(SocketProblem) {
        self.directory = directory
        self.records = try PairRecordStore(folder: records ?? directory + "/lockdown")
        socketPath = directory + "/usbmuxd"
        let listener = try ListeningSocket(path: socketPath)
        self.listener = listener
        Thread.detachNewThread { [weak self] in
            while let socket = listener.accept() {
                guard let mux = self else { return }
                let client = MuxClient(socket, of: mux)
                Thread.detachNewThread { client.run() }
            }
        }
    }

    /// Variables that lead programs on libusbmuxd to these phones.
    package var environment: [String: String] {
        ["USBMUXD_SOCKET_ADDRESS": "UNIX:" + socketPath]
    }

    /// Ends the socket; phones are stopped by their owner.
    package func stop() {
        listener.end()
        let listeners = board.withLock { Array($0.listeners.values) }
        for client in listeners { client.end() }
    }

    // MARK: phones

    /// A phone was plugged in; every plug has a number of its own.
    func attach(_ phone: SimulatediPhone) {
        let (id, listeners) = board.withLock { board in
            let id = board.nextID
            board.nextID += 1
            board.phones[id] = phone
            return (id, Array(board.listeners.values))
        }
        for client in listeners { client.send(Self.attached(phone, as: id)) }
    }

    /// A phone was unplugged.
    func detach(_ phone: SimulatediPhone) {
        let (ids, listeners) = board.withLock { board in
            let ids = board.phones.filter { $0.value === phone }.map(\.key)
            for id in ids { board.phones[id] = nil }
            return (ids, Array(board.listeners.values))
        }
        for id in ids {
            let event: PropertyList = ["MessageType": "Detached", "DeviceID": .number(id)]
            for client in listeners { client.send(event) }
        }
    }

    /// The number of a phone's plug; nil when it is not plugged in.
    func number(of phone: SimulatediPhone) -> UInt32? {
        board.withLock { $0.phones.first { $0.value === phone }?.key }
    }

    // MARK: clients

    func phone(_ id: UInt32) -> SimulatediPhone? {
        board.withLock { $0.phones[id] }
    }

    /// The phones as a listener hears of them, in the order of their plugs.
    var attachedPhones: [PropertyList] {
        board.withLock { board in
            board.phones.sorted { $0.key < $1.key }.map { Self.attached($0.value, as: $0.key) }
        }
    }

    /// From now on the client hears of every change; gives what is there already.
    func listen(_ client: MuxClient) -> [PropertyList] {
        board.withLock { board in
            board.listeners[ObjectIdentifier(client)] = client
            return board.phones.sorted { $0.key < $1.key }
                .map { Self.attached($0.value, as: $0.key) }
        }
    }

    func forget(_ client: MuxClient) {
        board.withLock { $0.listeners[ObjectIdentifier(client)] = nil }
    }

    /// Keeps a record and tells the listeners that the plug is paired.
    func savePairRecord(_ bytes: [UInt8], as id: String, plug: UInt32?) -> Bool {
        guard records.save(bytes, as: id) else { return false }
        guard let plug else { return true }
        let listeners = board.withLock { Array($0.listeners.values) }
        for client in listeners {
            client.send(["MessageType": "Paired", "DeviceID": .number(plug)])
        }
        return true
    }

    private static func attached(_ phone: SimulatediPhone, as id: UInt32) -> PropertyList {
        [
            "MessageType": "Attached",
            "DeviceID": .number(id),
            "Properties": [
                "ConnectionSpeed": 480_000_000,
                "ConnectionType": "USB",
                "DeviceID": .number(id),
                "LocationID": .number(0x10000 + id),
                "ProductID": 0x12A8,
                "SerialNumber": .string(phone.options.udid),
            ],
        ]
    }
}
