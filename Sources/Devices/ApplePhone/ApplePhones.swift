package import BackupCore

/// Which iPhones are plugged in: usbmuxd's list, laid over what is on the USB bus.
package enum ApplePhones {
    static let notAnnounced =
        "This iPhone does not let itself be reached: unlock it, tap Allow if it asks, and plug it "
        + "in again if nothing happens"

    /// The phones that usbmuxd has announced, each in the socket that `bus` shows it in, then
    /// those of `bus` that usbmuxd does not announce (locked for an hour, not allowed yet).
    ///
    /// `bus` is what libusb sees of Apple's phones, addressed by bus and device number. A phone
    /// that is not on it (usbmuxd elsewhere) gets a bay made of its UDID's hash: the same at every
    /// plug. No usbmuxd is no announced phone, and no error.
    package static func detect(onBus bus: [DetectedPhone]) -> [DetectedPhone] {
        merge(MuxClient.phones(), bus)
    }

    static func merge(_ phones: [MuxClient.Phone], _ bus: [DetectedPhone]) -> [DetectedPhone] {
        var silent = bus
        var found: [DetectedPhone] = []
        for phone in phones {
            let place = silent.firstIndex { $0.location == phone.location && phone.location != nil }
            let bay = place.map { silent.remove(at: $0).bay } ?? madeUpBay(phone.udid)
            found.append(
                DetectedPhone(
                    family: .iphone, bay: bay,
                    address: .usbmux(device: phone.device, udid: phone.udid)))
        }
        let unreached = silent.map { phone in
            DetectedPhone(
                family: .iphone, bay: phone.bay, address: phone.address,
                unsuitable: phone.unsuitable ?? notAnnounced)
        }
        return (found + unreached).sorted { $0.bay < $1.bay }
    }

    /// FNV-1a: a bay's name stands in files that everybody on the box may read, a UDID may not.
    private static func madeUpBay(_ udid: String) -> BayID {
        let hash = udid.utf8.reduce(UInt64(0xCBF2_9CE4_8422_2325)) {
            ($0 ^ UInt64($1)) &* 0x100_0000_01B3
        }
        let digits = String(hash, radix: 16)
        return BayID(trusted: "mux-" + String(repeating: "0", count: 16 - digits.count) + digits)
    }
}

extension DetectedPhone {
    fileprivate var location: MuxClient.Location? {
        guard case .usb(let bus, let address, _, _) = address else { return nil }
        return MuxClient.Location(bus: bus, address: address)
    }
}
