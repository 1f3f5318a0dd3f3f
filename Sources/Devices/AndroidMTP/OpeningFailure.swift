import BackupCore

/// Why libmtp could not open a phone. It returns nothing but NULL; the reason is in what it prints
/// to its error stream.
enum OpeningFailure {
    /// The error for what was printed; nothing printed means that the device was not found.
    static func error(_ printed: String) -> DeviceError {
        if printed.contains("reports device is busy") {
            return DeviceError(.busy, "Another program holds the phone", nativeCode: -6)
        }
        if printed.contains("error returned by libusb_claim_interface() = -4")
            || printed.contains("No such device")
        {
            return gone
        }
        if printed.contains("libusb_open() failed") {
            let detail =
                "The phone's USB device may not be opened by this user (a udev rule is missing, "
                + "or the program runs outside its group)"
            return DeviceError(printed.contains("Permission") ? .unsuitable : .busy, detail)
        }
        if printed.contains("Unable to find interface") {
            return DeviceError(.unsuitable, "This device offers no file transfer (MTP)")
        }
        let hints = ["open session", "init USB", "initialize device", "device information"]
        if hints.contains(where: printed.contains) {
            return DeviceError(.timedOut, "The phone did not let a session be opened")
        }
        return gone
    }

    private static let gone = DeviceError(
        .gone, "The phone is no longer where it was plugged in")
}
