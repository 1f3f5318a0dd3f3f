/// The messages of USB/IP (Linux, Documentation/usb/usbip_protocol.rst), big-endian.
package enum USBIP {
    /// Protocol version 1.1.1, in every list and import message.
    package static let version: UInt16 = 0x0111
    /// Length of an URB header in both directions, in bytes.
    package static let headerSize = 48
    /// Length of a bus id such as "1-1", padded with zeros.
    package static let busIDSize = 32
    /// The largest transfer this server accepts, in bytes; bounds its memory.
    package static let largestTransfer = 64 << 20

    /// Codes of the messages before a device is imported. Claiming and releasing are ours:
    /// USB/IP attaches whole devices, libusb's claims are per interface.
    package enum Operation: UInt16 {
        /// List the devices.
        case list = 0x8005
        /// Attach one device to this connection.
        case importDevice = 0x8003
        /// Take an interface for oneself while the connection lasts.
        case claim = 0x80F0
        /// Give it back.
        case release = 0x80F1
    }

    /// Status of a reply to an operation.
    package enum OperationStatus: UInt32 {
        /// Done.
        case ok = 0
        /// Held by another client.
        case busy = 1
        /// No such device.
        case noDevice = 4
    }

    /// How an URB ended, as negated Linux error numbers.
    package enum TransferStatus: Int32 {
        /// Complete.
        case ok = 0
        /// The endpoint refused (EPIPE).
        case stall = -32
        /// Broken off on the bus (EPROTO).
        case protocolError = -71
        /// The answer did not fit (EOVERFLOW).
        case overflow = -75
        /// Taken back by the host (ECONNRESET).
        case unlinked = -104
        /// The device is gone (ESHUTDOWN).
        case gone = -108
    }

    /// What a host sends on an imported device, before its data.
    package struct Request: Equatable, Sendable {
        /// Submit or unlink.
        package enum Command: UInt32, Sendable {
            /// A transfer to perform.
            case submit = 1
            /// A transfer to take back.
            case unlink = 2
        }
        /// Which of the two.
        package var command: Command
        /// Number of this message, repeated in the answer.
        package var sequence: UInt32
        /// Whether data flows from the device to the host.
        package var isIn: Bool
        /// Endpoint number without direction bit.
        package var endpoint: UInt32
        /// Linux URB flags; 0x40 asks for a zero-length packet at the end.
        package var flags: UInt32
        /// Bytes offered or wanted.
        package var length: UInt32
        /// The setup packet of control transfers (little-endian inside).
        package var setup: [UInt8]
        /// For unlink: the number of the submit that is meant.
        package var unlinkSequence: UInt32 { flags }

        /// Nil when the 48 bytes are no known command.
        package init?(_ bytes: [UInt8]) {
            var reader = ByteReader(bytes)
            guard let code = reader.takeBig(UInt32.self), let command = Command(rawValue: code),
                let sequence = reader.takeBig(UInt32.self), reader.takeBig(UInt32.self) != nil,
                let direction = reader.takeBig(UInt32.self),
                let endpoint = reader.takeBig(UInt32.self),
                let flags = reader.takeBig(UInt32.self),
                let length = reader.takeBig(UInt32.self), reader.take(raw: 12) != nil,
                let setup = reader.take(raw: 8)
            else { return nil }
            self.command = command
            self.sequence = sequence
            self.isIn = direction == 1
            self.endpoint = endpoint
            self.flags = flags
            self.length = length
            self.setup = setup
        }
    }

    /// The header of an answer to a submit; the data of an IN transfer follows it.
    package static func submitReply(
        to sequence: UInt32, status: TransferStatus, actual: Int
    ) -> [UInt8] {
        var writer = ByteWriter()
        writer.putBig(UInt32(3))
        writer.putBig(sequence)
        for _ in 0..<3 { writer.putBig(UInt32(0)) }
        writer.putBig(status.rawValue)
        writer.putBig(UInt32(actual))
        writer.put(raw: repeatElement(0, count: 20))
        return writer.bytes
    }

    /// The answer to an unlink.
    package static func unlinkReply(to sequence: UInt32, status: TransferStatus) -> [UInt8] {
        var writer = ByteWriter()
        writer.putBig(UInt32(4))
        writer.putBig(sequence)
        for _ in 0..<3 { writer.putBig(UInt32(0)) }
        writer.putBig(status.rawValue)
        writer.put(raw: repeatElement(0, count: 24))
        return writer.bytes
    }

    /// The header of an answer to an operation.
    package static func operationReply(
        to operation: Operation, status: OperationStatus
    ) -> [UInt8] {
        var writer = ByteWriter()
        writer.putBig(version)
        writer.putBig(operation.rawValue & 0x7FFF)
        writer.putBig(status.rawValue)
        return writer.bytes
    }
}
