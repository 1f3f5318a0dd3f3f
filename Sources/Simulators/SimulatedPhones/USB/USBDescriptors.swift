/// The descriptors of a phone, as a host reads them over endpoint 0 (USB 2.0, 9.5-9.6).
struct USBDescriptors: Sendable {
    static let bulkIn: UInt32 = 1
    static let bulkOut: UInt32 = 1
    static let interruptIn: UInt32 = 2
    /// Answers Microsoft's OS string descriptor with this vendor request.
    static let microsoftVendorCode: UInt8 = 1

    let identity: USBIdentity

    var device: [UInt8] {
        var writer = ByteWriter()
        writer.put(raw: [18, 1])
        writer.put(UInt16(identity.isSuperSpeed ? 0x0300 : 0x0200))
        writer.put(raw: [0, 0, 0, identity.isSuperSpeed ? 9 : 64])
        writer.put(identity.vendor)
        writer.put(identity.effectiveProduct)
        writer.put(UInt16(0x0504))
        writer.put(raw: [1, 2, 3, 1])
        return writer.bytes
    }

    var interfaces: [(class: UInt8, subclass: UInt8, protocol: UInt8)] {
        let mtp: (UInt8, UInt8, UInt8) =
            identity.hasVendorClass ? (0xFF, 0xFF, 0x00) : (0x06, 0x01, 0x01)
        return switch identity.functions {
        case .mtp: [mtp]
        case .mtpAndDebugging: [mtp, (0xFF, 0x42, 0x01)]
        case .debugging: [(0xFF, 0x42, 0x01)]
        }
    }

    var configuration: [UInt8] {
        var body = ByteWriter()
        for (number, interface) in interfaces.enumerated() {
            let isDebugging = interface.subclass == 0x42
            body.put(raw: [9, 4, UInt8(number), 0, isDebugging ? 2 : 3])
            body.put(raw: [interface.class, interface.subclass, interface.protocol])
            body.put(raw: [isDebugging ? 5 : 4])
            if isDebugging {
                putEndpoint(&body, address: 0x83, attributes: 2, size: identity.bulkPacketSize)
                putEndpoint(&body, address: 0x02, attributes: 2, size: identity.bulkPacketSize)
            } else {
                putEndpoint(&body, address: 0x81, attributes: 2, size: identity.bulkPacketSize)
                putEndpoint(&body, address: 0x01, attributes: 2, size: identity.bulkPacketSize)
                putEndpoint(&body, address: 0x82, attributes: 3, size: 28)
            }
        }
        var writer = ByteWriter()
        writer.put(raw: [9, 2])
        writer.put(UInt16(9 + body.bytes.count))
        writer.put(raw: [UInt8(interfaces.count), 1, 0, 0x80, 250])
        writer.put(raw: body.bytes)
        return writer.bytes
    }

    private func putEndpoint(
        _ writer: inout ByteWriter, address: UInt8, attributes: UInt8, size: Int
    ) {
        writer.put(raw: [7, 5, address, attributes])
        writer.put(UInt16(size))
        writer.put(UInt8(attributes == 3 ? 6 : 0))
        if identity.isSuperSpeed { writer.put(raw: [6, 0x30, 0, 0, 0, 0]) }
    }

    /// String descriptors; 0 is the list of languages, 0xEE Microsoft's mark.
    func string(_ index: UInt8) -> [UInt8]? {
        let text: String
        switch index {
        case 0: return [4, 3, 0x09, 0x04]
        case 1: text = identity.manufacturer
        case 2: text = identity.model
        case 3: text = identity.serial
        case 4: text = "MTP"
        case 5: text = "ADB Interface"
        case 0xEE: return microsoftString
        default: return nil
        }
        var writer = ByteWriter()
        let units = Array(text.utf16.prefix(126))
        writer.put(raw: [UInt8(2 + units.count * 2), 3])
        for unit in units { writer.put(unit) }
        return writer.bytes
    }

    private var microsoftString: [UInt8] {
        var writer = ByteWriter()
        writer.put(raw: [18, 3])
        for unit in "MSFT100".utf16 { writer.put(unit) }
        writer.put(raw: [Self.microsoftVendorCode, 0])
        return writer.bytes
    }

    /// Microsoft's extended compat id descriptor: interface 0 is "MTP".
    var microsoftCompatibleID: [UInt8] {
        var writer = ByteWriter()
        writer.put(UInt32(40))
        writer.put(UInt16(0x0100))
        writer.put(UInt16(4))
        writer.put(raw: [1, 0, 0, 0, 0, 0, 0, 0, 0, 1])
        writer.put(raw: Array("MTP".utf8) + [0, 0, 0, 0, 0])
        writer.put(raw: repeatElement(0, count: 14))
        return writer.bytes
    }
}
