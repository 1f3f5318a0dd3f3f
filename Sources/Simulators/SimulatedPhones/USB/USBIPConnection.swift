import Foundation

/// One client of the USB/IP server, served on a thread of its own.
final class USBIPConnection: Sendable {
    private let socket: StreamSocket
    private let device: USBDeviceFront
    /// Keeps answers whole: the MTP service and this connection's thread both send.
    private let sending = NSLock()

    init(_ socket: StreamSocket, to device: USBDeviceFront) {
        self.socket = socket
        self.device = device
    }

    func end() {
        socket.end()
    }

    var isGone: Bool { socket.peerIsGone }

    func send(_ message: [UInt8]) {
        sending.withLock {
            // A client that is gone needs no answer; its thread ends on its own.
            _ = socket.send(message)
        }
    }

    func reply(to sequence: UInt32, status: USBIP.TransferStatus, actual: Int) {
        send(USBIP.submitReply(to: sequence, status: status, actual: actual))
    }

    /// Serves until the client leaves.
    func run() {
        guard let head = socket.receive(8) else { return }
        var reader = ByteReader(head, from: 2)
        guard let code = reader.takeBig(UInt16.self),
            let operation = USBIP.Operation(rawValue: code)
        else { return }
        switch operation {
        case .list: send(listReply())
        case .importDevice: serveDevice()
        case .claim: holdClaim()
        case .release: return
        }
    }

    private func listReply() -> [UInt8] {
        var writer = ByteWriter()
        writer.put(raw: USBIP.operationReply(to: .list, status: .ok))
        guard device.link.isPlugged else {
            writer.putBig(UInt32(0))
            return writer.bytes
        }
        writer.putBig(UInt32(1))
        writer.put(raw: device.description(address: device.link.address))
        for interface in device.descriptors.interfaces {
            writer.put(raw: [interface.class, interface.subclass, interface.protocol, 0])
        }
        return writer.bytes
    }

    private func receiveBusID() -> Bool {
        guard let bytes = socket.receive(USBIP.busIDSize) else { return false }
        return Array(bytes.prefix { $0 != 0 }) == Array(device.busID.utf8)
    }

    private func serveDevice() {
        guard receiveBusID(), let address = device.link.attach(self) else {
            send(USBIP.operationReply(to: .importDevice, status: .noDevice))
            return
        }
        send(
            USBIP.operationReply(to: .importDevice, status: .ok)
                + device.description(address: address))
        while let header = socket.receive(USBIP.headerSize),
            let request = USBIP.Request(header), serve(request)
        {}
        device.link.detach(self)
    }

    /// False when the stream can no longer be understood.
    private func serve(_ request: USBIP.Request) -> Bool {
        if request.command == .unlink {
            let found = device.link.unlink(request.unlinkSequence, of: self)
            send(USBIP.unlinkReply(to: request.sequence, status: found ? .unlinked : .ok))
            return true
        }
        guard request.length <= USBIP.largestTransfer else { return false }
        var data: [UInt8] = []
        if !request.isIn, request.length > 0 {
            guard let received = socket.receive(Int(request.length)) else { return false }
            data = received
        }
        if request.endpoint == 0 {
            answerControl(request, data: data)
            return true
        }
        let transfer = PendingTransfer(
            connection: self, sequence: request.sequence, length: Int(request.length), data: data,
            wantsZeroPacket: request.flags & 0x40 != 0)
        let exists = device.link.submit(
            transfer, endpoint: request.endpoint, isIn: request.isIn)
        if !exists { reply(to: request.sequence, status: .stall, actual: 0) }
        return true
    }

    private func answerControl(_ request: USBIP.Request, data: [UInt8]) {
        guard let answer = device.control(request.setup, data: data) else {
            reply(to: request.sequence, status: .stall, actual: 0)
            return
        }
        let kept = Array(answer.prefix(Int(request.length)))
        let actual = request.isIn ? kept.count : data.count
        send(
            USBIP.submitReply(to: request.sequence, status: .ok, actual: actual)
                + (request.isIn ? kept : []))
    }

    private func holdClaim() {
        guard receiveBusID(), let bytes = socket.receive(4) else { return }
        var reader = ByteReader(bytes)
        guard let interface = reader.takeBig(UInt32.self) else { return }
        guard device.link.isPlugged else {
            send(USBIP.operationReply(to: .claim, status: .noDevice))
            return
        }
        guard device.link.claim(interface, for: self) else {
            send(USBIP.operationReply(to: .claim, status: .busy))
            return
        }
        send(USBIP.operationReply(to: .claim, status: .ok))
        // Whatever comes next, a release or the end of the client, the claim is over.
        let released = socket.receive(8 + USBIP.busIDSize + 4) != nil
        device.link.release(interface, by: self)
        if released { send(USBIP.operationReply(to: .release, status: .ok)) }
    }
}
