import BackupCore

/// One setting of one interface, as a device's descriptors tell it.
struct USBInterface: Hashable, Sendable {
    var interfaceClass: UInt8
    var subclass: UInt8
    var proto: UInt8
    var bulkIn = 0
    var bulkOut = 0
    var interruptIn = 0
    /// Index of the interface's string descriptor, 0 for none.
    var nameIndex: UInt8 = 0
    /// The interface's string, nil when it has none or was not asked.
    var name: String?

    /// MTP and PTP both have two bulk endpoints and one for events (PIMA 15740, USB still image
    /// class); libmtp takes the first interface that looks so.
    var hasStillImageEndpoints: Bool { bulkIn == 1 && bulkOut == 1 && interruptIn == 1 }
    var isStillImage: Bool { interfaceClass == 0x06 && subclass == 0x01 && proto == 0x01 }
    /// Whether the string decides what it is.
    var needsName: Bool {
        hasStillImageEndpoints && nameIndex != 0 && (isStillImage || interfaceClass == 0xFF)
    }
    var saysMTP: Bool { name?.uppercased().contains("MTP") ?? false }
    var saysPTP: Bool { !saysMTP && name?.uppercased().contains("PTP") ?? false }
}

/// One device on the bus.
struct USBDevice: Hashable, Sendable {
    var bus: UInt8
    var address: UInt8
    /// From the root port down; empty when the library does not tell.
    var ports: [UInt8]
    var vendor: UInt16
    var product: UInt16
    var interfaces: [USBInterface]
}

/// What a device in a bay is, by its interfaces alone: vendors put any id on a phone, and one id
/// on phones in any mode.
enum Classification {
    /// Apple's devices show a still-image interface too; they are another family's.
    static let apple: UInt16 = 0x05AC
    static let debuggingOnly =
        "This phone offers debugging only: choose File transfer in its USB notification"
    static let cameraMode =
        "This phone is in camera mode (PTP): choose File transfer in its USB notification"
    static let bootloader = "This phone is in its bootloader: restart it normally"

    /// The phone that `device` is, or nil when it is none of ours.
    static func phone(_ device: USBDevice) -> DetectedPhone? {
        guard device.vendor != apple, let bay = bay(device) else { return nil }
        let answer: (isPhone: Bool, unsuitable: String?)
        let interfaces = device.interfaces
        if interfaces.contains(where: isMTP) {
            answer = (true, nil)
        } else if interfaces.contains(where: { $0.isStillImage && $0.saysPTP }) {
            answer = (true, cameraMode)
        } else if interfaces.contains(where: { isDebugging($0, proto: 0x01) }) {
            answer = (true, debuggingOnly)
        } else if interfaces.contains(where: { isDebugging($0, proto: 0x03) }) {
            answer = (true, bootloader)
        } else {
            answer = (false, nil)
        }
        guard answer.isPhone else { return nil }
        return DetectedPhone(
            family: .android, bay: bay,
            address: .usb(
                bus: device.bus, address: device.address, vendor: device.vendor,
                product: device.product), unsuitable: answer.unsuitable)
    }

    static let recovery = "This iPhone is in recovery mode: restart it normally"

    /// The iPhone that `device` is, or nil. Apple's ids are a range of their own for phones and
    /// tablets that run, and one each for the two modes below the system (usbmuxd,
    /// 39-usbmuxd.rules).
    static func iPhone(_ device: USBDevice) -> DetectedPhone? {
        guard device.vendor == apple, let bay = bay(device) else { return nil }
        let isRunning = (0x1290...0x12AF).contains(device.product)
        guard isRunning || [0x1227, 0x1281].contains(device.product) else { return nil }
        return DetectedPhone(
            family: .iphone, bay: bay,
            address: .usb(
                bus: device.bus, address: device.address, vendor: device.vendor,
                product: device.product), unsuitable: isRunning ? nil : recovery)
    }

    /// `<bus>-<port.port>`, as sysfs names the socket.
    static func bay(_ device: USBDevice) -> BayID? {
        let chain = device.ports.map { "\($0)" }.joined(separator: ".")
        return BayID(
            rawValue: "\(device.bus)-" + (chain.isEmpty ? "a\(device.address)" : chain))
    }

    /// A still-image interface is taken for MTP unless it says that it is PTP: some phones have no
    /// string there, and the session finds out what the device announces. A vendor's own class
    /// must say MTP.
    private static func isMTP(_ interface: USBInterface) -> Bool {
        guard interface.hasStillImageEndpoints else { return false }
        if interface.isStillImage { return !interface.saysPTP }
        return interface.interfaceClass == 0xFF && interface.saysMTP
    }

    private static func isDebugging(_ interface: USBInterface, proto: UInt8) -> Bool {
        interface.interfaceClass == 0xFF && interface.subclass == 0x42 && interface.proto == proto
    }
}
