import BackupCore
import Glibc

/// A client of usbmuxd for what libusbmuxd does not tell: where on the bus a phone is.
///
/// Each request is a connection of its own: a header of 16 bytes (length with itself, version 1,
/// message 8, a tag; little endian) and an XML property list, and the same back. The socket is
/// the one libusbmuxd takes: `USBMUXD_SOCKET_ADDRESS` as `UNIX:<path>`, else /var/run/usbmuxd.
struct MuxClient {
    /// A phone that usbmuxd has announced.
    struct Phone: Hashable, Sendable {
        /// usbmuxd's number of this plug.
        let device: UInt32
        let udid: String
        /// libusb's bus number and device address; nil when usbmuxd does not tell.
        let location: Location?
    }

    /// Where on the bus a phone is.
    struct Location: Hashable, Sendable {
        let bus: UInt8
        let address: UInt8
    }

    private static let headerLength = 16
    private static let limits = PropertyList.Limits(
        bytes: 4 << 20, depth: 8, elements: 50_000, text: 64 << 10)
    /// Long enough for a loaded box, short enough for a look at the bus.
    private static let patience = timeval(tv_sec: 5, tv_usec: 0)

    /// The phones on USB; none when there is no usbmuxd. What has no acceptable UDID is left out.
    static func phones() -> [Phone] {
        let answer = ask(["MessageType": .string("ListDevices")])
        return (answer?["DeviceList"]?.items ?? []).prefix(256).compactMap(phone)
    }

    /// The pair record of a phone as it is stored, nil when there is none.
    static func pairRecord(_ udid: String) -> PropertyList? {
        let answer = ask([
            "MessageType": .string("ReadPairRecord"), "PairRecordID": .string(udid),
        ])
        guard let bytes = answer?["PairRecordData"]?.bytes else { return nil }
        // A record that cannot be read is as good as none: pairing makes a new one.
        return try? PropertyList.decode(bytes, limits: limits)
    }

    /// Has a pair record thrown away.
    static func deletePairRecord(_ udid: String) {
        _ = ask(["MessageType": .string("DeletePairRecord"), "PairRecordID": .string(udid)])
    }

    private static func phone(_ entry: PropertyList) -> Phone? {
        guard let properties = entry["Properties"],
            properties["ConnectionType"]?.text == "USB",
            let device = properties["DeviceID"]?.unsignedNumber.flatMap({ UInt32(exactly: $0) }),
            let serial = properties["SerialNumber"]?.text, let udid = udid(serial)
        else { return nil }
        return Phone(
            device: device, udid: udid,
            location: properties["LocationID"]?.unsignedNumber.flatMap(location))
    }

    /// The UDID in a USB serial number: letters, digits and hyphens, because it becomes a file's
    /// name at usbmuxd. Newer phones' 24 characters get the hyphen that their UDID has.
    static func udid(_ serial: String) -> String? {
        let bytes = Array(serial.utf8)
        guard (1...64).contains(bytes.count), bytes.first != UInt8(ascii: "-"),
            bytes.allSatisfy({ byte in
                (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte)
                    || (UInt8(ascii: "A")...UInt8(ascii: "Z")).contains(byte)
                    || (UInt8(ascii: "a")...UInt8(ascii: "z")).contains(byte)
                    || byte == UInt8(ascii: "-")
            })
        else { return nil }
        guard bytes.count == 24, !bytes.contains(UInt8(ascii: "-")) else { return serial }
        return "\(serial.prefix(8))-\(serial.dropFirst(8))"
    }

    /// usbmuxd on Linux puts the bus number above 16 bits of device address.
    static func location(_ number: UInt64) -> Location? {
        guard let bus = UInt8(exactly: number >> 16), bus > 0,
            let address = UInt8(exactly: number & 0xFFFF), address > 0
        else { return nil }
        return Location(bus: bus, address: address)
    }

    // MARK: - The socket

    private static func ask(_ request: [String: PropertyList]) -> PropertyList? {
        let socket = connect()
        guard socket >= 0 else { return nil }
        defer { close(socket) }
        guard send(message(request), to: socket) else { return nil }
        guard let head = receive(headerLength, from: socket) else { return nil }
        let length = head.prefix(4).reversed().reduce(0) { $0 << 8 | Int($1) }
        guard (headerLength...(headerLength + limits.bytes)).contains(length),
            let body = receive(length - headerLength, from: socket)
        else { return nil }
        // A daemon that talks nonsense is as good as none.
        return try? PropertyList.decode(body, limits: limits)
    }

    /// A request as it is sent.
    static func message(_ request: [String: PropertyList]) -> [UInt8] {
        var fields = request
        fields["ClientVersionString"] = .string("holdfast")
        fields["ProgName"] = .string("holdfast")
        fields["kLibUSBMuxVersion"] = .integer(3)
        let payload = PropertyList.dictionary(fields).encodeXML()
        let header = [UInt32(headerLength + payload.count), 1, 8, 1].flatMap(littleEndian)
        return header + payload
    }

    private static func littleEndian(_ value: UInt32) -> [UInt8] {
        (0..<4).map { UInt8(truncatingIfNeeded: value >> UInt32(8 * $0)) }
    }

    private static func path(_ given: String?) -> String? {
        // Sound: the text is copied before anything could change the environment.
        let variable = unsafe getenv("USBMUXD_SOCKET_ADDRESS").map { unsafe String(cString: $0) }
        guard let text = given ?? variable else { return "/var/run/usbmuxd" }
        return text.hasPrefix("UNIX:") ? String(text.dropFirst(5)) : nil
    }

    /// Connects to usbmuxd; -1 when there is none. `address` is as in `USBMUXD_SOCKET_ADDRESS`,
    /// nil for that variable's.
    static func connect(to address: String? = nil) -> Int32 {
        guard let path = path(address) else { return -1 }
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        let bytes = Array(path.utf8)
        guard !bytes.isEmpty, bytes.count < MemoryLayout.size(ofValue: address.sun_path) else {
            return -1
        }
        // Sound: the path is shorter than the field, whose rest is zero.
        unsafe withUnsafeMutableBytes(of: &address.sun_path) { unsafe $0.copyBytes(from: bytes) }
        let type = Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue)
        let descriptor = socket(AF_UNIX, type, 0)
        guard descriptor >= 0 else { return -1 }
        var patience = patience
        let size = socklen_t(MemoryLayout<timeval>.size)
        // Sound: each call reads a local of the size it is told.
        unsafe setsockopt(descriptor, SOL_SOCKET, SO_RCVTIMEO, &patience, size)
        unsafe setsockopt(descriptor, SOL_SOCKET, SO_SNDTIMEO, &patience, size)
        let status = unsafe withUnsafePointer(to: &address) { pointer in
            unsafe pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                unsafe Glibc.connect(
                    descriptor, $0, socklen_t(MemoryLayout<sockaddr_un>.size))
            }
        }
        guard status == 0 else {
            close(descriptor)
            return -1
        }
        return descriptor
    }

    /// Sends all of it; false when that cannot be.
    static func send(_ bytes: [UInt8], to descriptor: Int32) -> Bool {
        var rest = bytes[...]
        while !rest.isEmpty {
            // Sound: the slice lends its bytes for the call.
            let count = unsafe rest.withUnsafeBytes {
                unsafe Glibc.send(descriptor, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL))
            }
            guard count > 0 else { return false }
            rest = rest.dropFirst(count)
        }
        return true
    }

    private static func receive(_ count: Int, from descriptor: Int32) -> [UInt8]? {
        var bytes: [UInt8] = []
        var piece = [UInt8](repeating: 0, count: min(max(count, 1), 64 << 10))
        while bytes.count < count {
            // Sound: the buffer lends its bytes and is told its size.
            let got = unsafe recv(descriptor, &piece, min(piece.count, count - bytes.count), 0)
            guard got > 0 else { return nil }
            bytes += piece.prefix(got)
        }
        return bytes
    }
}
