import BackupCore
import CLibUSB

/// The one user of libusb here. Only calls that every replacement of the library has.
enum USBBus {
    /// Bounds for what a strange device may make us read.
    private static let maximumConfigurations = 8
    private static let maximumInterfaces = 32

    /// All devices, with the names of the interfaces that need one.
    static func devices() -> [USBDevice] {
        var context: OpaquePointer?
        // Sound: the context is a local that the call fills; it is given back below.
        guard unsafe libusb_init(&context) == 0 else { return [] }
        defer { unsafe libusb_exit(context) }
        var list: UnsafeMutablePointer<OpaquePointer?>?
        // Sound: the list holds `count` devices until it is freed below, with its references.
        let count = unsafe libusb_get_device_list(context, &list)
        guard count > 0, let list = unsafe list else { return [] }
        defer { unsafe libusb_free_device_list(list, 1) }
        var found: [USBDevice] = []
        for index in 0..<Int(count) {
            if let device = unsafe list[index], let read = unsafe read(device) {
                found.append(read)
            }
        }
        return found
    }

    private static func read(_ device: OpaquePointer) -> USBDevice? {
        var descriptor = libusb_device_descriptor()
        // Sound: `device` is alive (its list is), and the descriptor is a local.
        guard unsafe libusb_get_device_descriptor(device, &descriptor) == 0,
            descriptor.bDeviceClass != UInt8(LIBUSB_CLASS_HUB.rawValue)
        else { return nil }
        var ports = [UInt8](repeating: 0, count: 7)
        // Sound: the buffer's size is told; 7 is USB's deepest chain.
        let depth = unsafe libusb_get_port_numbers(device, &ports, Int32(ports.count))
        var result = USBDevice(
            bus: unsafe libusb_get_bus_number(device),
            address: unsafe libusb_get_device_address(device),
            ports: Array(ports.prefix(max(0, Int(depth)))), vendor: descriptor.idVendor,
            product: descriptor.idProduct, interfaces: [])
        let configurations = min(Int(descriptor.bNumConfigurations), maximumConfigurations)
        for index in 0..<configurations {
            unsafe result.interfaces += interfaces(device, UInt8(index))
        }
        if result.vendor != Classification.apple, result.interfaces.contains(where: \.needsName) {
            unsafe readNames(device, &result.interfaces)
        }
        return result
    }

    private static func interfaces(_ device: OpaquePointer, _ index: UInt8) -> [USBInterface] {
        var configuration: UnsafeMutablePointer<libusb_config_descriptor>?
        // Sound: on success the configuration lives until it is freed below; the library has
        // checked the counts that bound the two loops against the descriptor's length.
        guard unsafe libusb_get_config_descriptor(device, index, &configuration) == 0,
            let configuration = unsafe configuration
        else { return [] }
        defer { unsafe libusb_free_config_descriptor(configuration) }
        var found: [USBInterface] = []
        for number in 0..<Int(unsafe configuration.pointee.bNumInterfaces) {
            let interface = unsafe configuration.pointee.interface[number]
            for setting in 0..<Int(unsafe max(0, interface.num_altsetting)) {
                guard found.count < maximumInterfaces else { return found }
                found.append(unsafe decode(interface.altsetting[setting]))
            }
        }
        return found
    }

    private static func decode(_ setting: libusb_interface_descriptor) -> USBInterface {
        var interface = USBInterface(
            interfaceClass: unsafe setting.bInterfaceClass,
            subclass: unsafe setting.bInterfaceSubClass,
            proto: unsafe setting.bInterfaceProtocol, nameIndex: unsafe setting.iInterface)
        guard let endpoints = unsafe setting.endpoint else { return interface }
        for index in 0..<Int(unsafe setting.bNumEndpoints) {
            // Sound: the library allocated `bNumEndpoints` endpoints.
            let endpoint = unsafe endpoints[index]
            let isIn = unsafe endpoint.bEndpointAddress & 0x80 != 0
            switch unsafe endpoint.bmAttributes & 0x03 {
            case 0x02 where isIn: interface.bulkIn += 1
            case 0x02: interface.bulkOut += 1
            case 0x03 where isIn: interface.interruptIn += 1
            default: break
            }
        }
        return interface
    }

    /// Opens the device for its interfaces' strings; without leave to open it they stay unknown.
    private static func readNames(_ device: OpaquePointer, _ interfaces: inout [USBInterface]) {
        var handle: OpaquePointer?
        // Sound: the handle is a local that the call fills; it is closed below.
        guard unsafe libusb_open(device, &handle) == 0, let handle = unsafe handle else { return }
        defer { unsafe libusb_close(handle) }
        for index in interfaces.indices where interfaces[index].needsName {
            var text = [UInt8](repeating: 0, count: 256)
            // Sound: the buffer's size is told; the answer's length is checked against it.
            let length = unsafe libusb_get_string_descriptor_ascii(
                handle, interfaces[index].nameIndex, &text, Int32(text.count))
            guard length > 0, length <= text.count else { continue }
            interfaces[index].name = String(decoding: text.prefix(Int(length)), as: UTF8.self)
        }
    }
}
