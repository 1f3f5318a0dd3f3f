/// What a phone shows on the bus: its numbers, its strings and the functions it offers.
package struct USBIdentity: Sendable {
    /// Which functions the phone offers; with them go the interfaces and, on Google's phones,
    /// the product id.
    package enum Functions: String, Sendable, CaseIterable {
        /// File transfer, or charging only: both show the MTP interface.
        case mtp
        /// File transfer and debugging.
        case mtpAndDebugging = "mtp,adb"
        /// Debugging without file transfer.
        case debugging = "adb"
    }

    /// Vendor id; Google by default.
    package var vendor: UInt16 = 0x18D1
    /// Product id, or nil for the one Google uses with these functions.
    package var product: UInt16?
    /// Name of the maker.
    package var manufacturer = "Google"
    /// Name of the model.
    package var model = "Pixel 7"
    /// Serial number, in the device descriptor and in DeviceInfo.
    package var serial = "SIM0000001"
    /// Functions on offer.
    package var functions = Functions.mtp
    /// Whether the MTP interface says FF/FF/00 as older phones do, instead of 06/01/01.
    package var hasVendorClass = false
    /// SuperSpeed (1,024-byte packets) instead of high speed (512).
    package var isSuperSpeed = false

    /// A Pixel that transfers files over USB 2.
    package init() {}

    /// Largest packet of the bulk endpoints, in bytes.
    package var bulkPacketSize: Int { isSuperSpeed ? 1024 : 512 }

    /// The product id in use.
    var effectiveProduct: UInt16 {
        if let product { return product }
        return switch functions {
        case .mtp: 0x4EE1
        case .mtpAndDebugging: 0x4EE2
        case .debugging: 0x4EE7
        }
    }
}
