import BackupCore
import Testing

@testable import USBPresence

@Suite struct ClassificationTests {
    /// A still-image or vendor interface with the three endpoints of MTP.
    static func transfer(
        _ interfaceClass: UInt8 = 6, _ subclass: UInt8 = 1, _ proto: UInt8 = 1, name: String?
    ) -> USBInterface {
        USBInterface(
            interfaceClass: interfaceClass, subclass: subclass, proto: proto, bulkIn: 1,
            bulkOut: 1, interruptIn: 1, nameIndex: name == nil ? 0 : 4, name: name)
    }

    static let adb = USBInterface(
        interfaceClass: 0xFF, subclass: 0x42, proto: 1, bulkIn: 1, bulkOut: 1)
    static let fastboot = USBInterface(
        interfaceClass: 0xFF, subclass: 0x42, proto: 3, bulkIn: 1, bulkOut: 1)
    static let storage = USBInterface(
        interfaceClass: 8, subclass: 6, proto: 0x50, bulkIn: 1, bulkOut: 1)
    static let keyboard = USBInterface(interfaceClass: 3, subclass: 1, proto: 1, interruptIn: 1)

    static func device(_ interfaces: [USBInterface], vendor: UInt16 = 0x18D1) -> USBDevice {
        USBDevice(
            bus: 1, address: 9, ports: [4, 2, 3], vendor: vendor, product: 0x4EE1,
            interfaces: interfaces)
    }

    @Test(arguments: [
        [transfer(name: "MTP")], [transfer(name: nil)], [transfer(0xFF, 0xFF, 0, name: "mtp")],
        [adb, transfer(name: "MTP")], [storage, transfer(0xFF, 0, 0, name: "Samsung MTP")],
    ])
    func fileTransferModeIsAPhone(interfaces: [USBInterface]) throws {
        let phone = try #require(Classification.phone(Self.device(interfaces)))
        #expect(phone.unsuitable == nil)
        #expect(phone.bay.rawValue == "1-4.2.3")
        #expect(phone.family == .android)
        #expect(
            phone.address == .usb(bus: 1, address: 9, vendor: 0x18D1, product: 0x4EE1))
    }

    @Test(arguments: [
        ([transfer(name: "PTP")], Classification.cameraMode),
        ([transfer(name: "PTP"), adb], Classification.cameraMode),
        ([adb], Classification.debuggingOnly), ([fastboot], Classification.bootloader),
    ])
    func otherModesOfAPhoneAreNamed(interfaces: [USBInterface], reason: String) throws {
        #expect(Classification.phone(Self.device(interfaces))?.unsuitable == reason)
    }

    @Test(arguments: [
        [storage], [keyboard], [], [transfer(0xFF, 0xFF, 0, name: nil)],
        [transfer(0xFF, 0xFF, 0, name: "Serial")],
    ])
    func otherDevicesAreNoPhones(interfaces: [USBInterface]) {
        #expect(Classification.phone(Self.device(interfaces)) == nil)
    }

    @Test func appleDevicesAreLeftToTheirFamily() {
        let device = Self.device([Self.transfer(name: "PTP")], vendor: 0x05AC)
        #expect(Classification.phone(device) == nil)
    }

    @Test func bayWithoutPortsFallsBackToTheAddress() {
        var device = Self.device([Self.transfer(name: "MTP")])
        device.ports = []
        #expect(Classification.bay(device)?.rawValue == "1-a9")
    }

    @Test func detectingNeverFails() {
        // Whatever bus this machine has: at worst an empty list.
        #expect(USBPhones.detect().allSatisfy { !$0.bay.rawValue.isEmpty })
    }
}
