/// The phone as the bus sees it: where it is plugged in, its descriptors and its endpoint 0.
final class USBDeviceFront: Sendable {
    let link: PhoneLink
    let descriptors: USBDescriptors
    let busID: String
    /// What a reset of the port does besides ending the session.
    private let afterReset: @Sendable () -> Void

    init(
        link: PhoneLink, identity: USBIdentity, bay: Int,
        afterReset: @escaping @Sendable () -> Void
    ) {
        self.link = link
        self.descriptors = USBDescriptors(identity: identity)
        self.busID = "1-\(bay)"
        self.afterReset = afterReset
    }

    /// USB/IP's 312-byte record of a device.
    func description(address: UInt8) -> [UInt8] {
        var writer = ByteWriter()
        writer.put(raw: padded("/sys/devices/simulated/usb1/\(busID)", to: 256))
        writer.put(raw: padded(busID, to: USBIP.busIDSize))
        writer.putBig(UInt32(1))
        writer.putBig(UInt32(address))
        writer.putBig(UInt32(descriptors.identity.isSuperSpeed ? 5 : 3))
        writer.putBig(descriptors.identity.vendor)
        writer.putBig(descriptors.identity.effectiveProduct)
        writer.putBig(UInt16(0x0504))
        writer.put(raw: [0, 0, 0, 1, 1, UInt8(descriptors.interfaces.count)])
        return writer.bytes
    }

    private func padded(_ text: String, to count: Int) -> [UInt8] {
        let bytes = Array(text.utf8.prefix(count - 1))
        return bytes + repeatElement(0, count: count - bytes.count)
    }

    /// The answer of a control request (empty for one without data), nil for a stall.
    func control(_ setup: [UInt8], data: [UInt8]) -> [UInt8]? {
        var reader = ByteReader(setup)
        guard let type: UInt8 = reader.take(), let request: UInt8 = reader.take(),
            let value: UInt16 = reader.take(), let index: UInt16 = reader.take()
        else { return nil }
        switch (type, request) {
        case (0x80, 6): return descriptor(value)
        case (0x80...0x82, 0): return [0, 0]
        case (0x80, 8): return [1]
        case (0x81, 10): return [0]
        case (0x00, 9), (0x01, 11), (0x00...0x02, 1), (0x00...0x02, 3): return []
        case (0x23, 3) where value == 4:
            link.reset()
            afterReset()
            return []
        case (0xC0, USBDescriptors.microsoftVendorCode) where index == 4:
            return descriptors.microsoftCompatibleID
        default: return stillImageClass(type, request)
        }
    }

    private func descriptor(_ value: UInt16) -> [UInt8]? {
        switch value >> 8 {
        case 1: descriptors.device
        case 2 where value & 0xFF == 0: descriptors.configuration
        case 3: descriptors.string(UInt8(value & 0xFF))
        default: nil
        }
    }

    /// The class requests of the Still Image class (PIMA 15740 over USB, D.5).
    private func stillImageClass(_ type: UInt8, _ request: UInt8) -> [UInt8]? {
        switch (type, request) {
        case (0x21, 0x64):
            link.cancelTransaction()
            return []
        case (0x21, 0x66):
            link.reset()
            return []
        case (0xA1, 0x67):
            var status = ByteWriter()
            status.put(UInt16(4))
            status.put(PTPResponse.ok.rawValue)
            return status.bytes
        default: return nil
        }
    }
}
