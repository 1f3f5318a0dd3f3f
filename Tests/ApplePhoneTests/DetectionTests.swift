import BackupCore
import Testing

@testable import ApplePhone

/// Which iPhone is in which socket.
@Suite struct DetectionTests {
    private func onBus(_ bus: UInt8, _ address: UInt8, _ bay: String, _ reason: String? = nil)
        -> DetectedPhone
    {
        DetectedPhone(
            family: .iphone, bay: BayID(trusted: bay),
            address: .usb(bus: bus, address: address, vendor: 0x05AC, product: 0x12A8),
            unsuitable: reason)
    }

    private func announced(_ device: UInt32, _ udid: String, _ location: UInt64?) -> MuxClient.Phone
    {
        MuxClient.Phone(
            device: device, udid: udid, location: location.flatMap(MuxClient.location))
    }

    @Test func anAnnouncedPhoneIsInTheSocketThatTheBusShows() {
        let found = ApplePhones.merge(
            [announced(5, "A-1", 3 << 16 | 7), announced(6, "B-2", 3 << 16 | 8)],
            [onBus(3, 7, "3-1"), onBus(3, 8, "3-2.4")])
        #expect(found.map(\.bay.rawValue) == ["3-1", "3-2.4"])
        #expect(
            found.map(\.address) == [
                .usbmux(device: 5, udid: "A-1"), .usbmux(device: 6, udid: "B-2"),
            ])
        #expect(found.allSatisfy { $0.unsuitable == nil })
    }

    @Test func aPhoneThatIsNotAnnouncedSaysWhatToDo() {
        let found = ApplePhones.merge([], [onBus(1, 2, "1-2"), onBus(1, 3, "1-3", "recovery")])
        #expect(found.first?.unsuitable?.contains("unlock it") == true)
        #expect(found.last?.unsuitable == "recovery")
    }

    @Test func aPhoneWithoutASocketHasABayThatStaysAndTellsNothing() {
        let first = ApplePhones.merge([announced(1, "00008110-000A", nil)], [])
        let again = ApplePhones.merge([announced(9, "00008110-000A", 77)], [])
        #expect(first.first?.bay == again.first?.bay)
        #expect(first.first?.bay.rawValue.hasPrefix("mux-") == true)
        #expect(first.first?.bay.rawValue.contains("00008110") == false)
        #expect(
            ApplePhones.merge([announced(1, "00008110-000B", nil)], []).first?.bay
                != first.first?.bay)
    }

    @Test(
        arguments: [
            ("0000811000" + "0A1B2C3D4E801E", "00008110-000A1B2C3D4E801E"),
            ("00008110-000A1B2C3D4E801E", "00008110-000A1B2C3D4E801E"),
            (String(repeating: "a", count: 40), String(repeating: "a", count: 40)),
            ("../../etc/passwd", nil), ("", nil), ("-rf", nil), ("a b", nil), ("a\u{0}b", nil),
            (String(repeating: "a", count: 65), nil), ("ä", nil),
        ] as [(String, String?)])
    func onlyPlainIdentifiersAreTaken(serial: String, udid: String?) {
        #expect(MuxClient.udid(serial) == udid)
    }

    @Test func productNamesAreWhatPhonesAreSoldAs() {
        #expect(ProductNames.name(of: "iPhone14,5") == "iPhone 13")
        #expect(ProductNames.name(of: "iPhone99,1") == "iPhone99,1")
        #expect(ProductNames.name(of: "") == "iPhone")
    }
}
