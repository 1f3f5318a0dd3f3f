package import BackupCore

/// Which phones are plugged in, by libusb's device list alone.
///
/// Never by libmtp's own detection: that opens every device it does not know, other bays
/// included, and asks it for vendor descriptors.
package enum USBPhones {
    /// The phones on the bus, in order of bus and ports. A phone is opened only for the string of
    /// an interface that could be MTP, and a phone that cannot be opened is listed all the same.
    /// No bus is an empty list.
    package static func detect() -> [DetectedPhone] {
        USBBus.devices().compactMap(Classification.phone).sorted { $0.bay < $1.bay }
    }

    /// Apple's phones on the bus, told by their ids and without opening any. Whether one can be
    /// reached is usbmuxd's to say; only one in recovery mode is unsuitable here.
    package static func iPhones() -> [DetectedPhone] {
        USBBus.devices().compactMap(Classification.iPhone).sorted { $0.bay < $1.bay }
    }
}
