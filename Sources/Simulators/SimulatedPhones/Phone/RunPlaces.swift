import Foundation

/// The paths of a run: `usb/` with one socket per phone, `lib/` with the replacement libusb,
/// and the control sockets.
package struct RunPlaces: Sendable {
    /// Socket of the USB/IP server.
    package let usbSocket: String
    /// Socket of the control channel.
    package let controlSocket: String
    /// Variables for programs that shall see the phones of this folder.
    package let environment: [String: String]

    init(directory: String, bay: Int, library: String?) throws(SocketProblem) {
        let usb = directory + "/usb"
        let lib = directory + "/lib"
        guard let library = library ?? Self.builtLibrary() else {
            throw SocketProblem(
                description: "The replacement libusb (\(Self.libraryName)) is not beside the "
                    + "program. Build the product HoldfastUSBIP first.")
        }
        let link = lib + "/libusb-1.0.so.0"
        do {
            let files = FileManager.default
            try files.createDirectory(atPath: usb, withIntermediateDirectories: true)
            try files.createDirectory(atPath: lib, withIntermediateDirectories: true)
            // Sound: the path lives through the call.
            unsafe unlink(link)
            try files.createSymbolicLink(atPath: link, withDestinationPath: library)
        } catch {
            throw SocketProblem(
                description: "Cannot prepare the folder \(directory): \(error).")
        }
        usbSocket = "\(usb)/bay\(bay).sock"
        controlSocket = "\(directory)/bay\(bay).control"
        environment = ["LD_LIBRARY_PATH": lib, "HOLDFAST_USBIP": usb]
    }

    static let libraryName = "libHoldfastUSBIP.so"

    /// The library lies beside the program, or beside the test bundle that runs it.
    private static func builtLibrary() -> String? {
        var candidates: [String] = []
        if let own = try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe") {
            candidates.append(own)  // unreadable only without /proc
        }
        candidates += CommandLine.arguments
        for path in candidates {
            let folder = URL(fileURLWithPath: path).deletingLastPathComponent()
            let library = folder.appendingPathComponent(libraryName).path
            if FileManager.default.fileExists(atPath: library) { return library }
        }
        return nil
    }
}
