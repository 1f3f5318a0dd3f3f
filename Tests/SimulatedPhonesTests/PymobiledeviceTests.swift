import Foundation
import SimulatedPhones
import Testing

/// pymobiledevice3, a second host nobody here wrote: it makes other certificates, shows the
/// host's own instead of the root's, and asks in binary lists where libimobiledevice asks in XML.
@Suite(.serialized, .enabled(if: Pymobiledevice.program != nil))
struct PymobiledeviceTests {
    private func run(_ run: borrowing IPhoneRun, _ arguments: String...) throws -> ProgramResult {
        // It takes the path bare, and keeps files of its own at home.
        let variables = ["USBMUXD_SOCKET_ADDRESS": run.mux.socketPath, "HOME": run.folder]
        return try ProgramResult.run(
            try #require(Pymobiledevice.program), arguments, environment: variables,
            outputIn: run.folder)
    }

    @Test func itPairsAndReadsTheValues() throws {
        let phones = try IPhoneRun()
        let output = try run(phones, "lockdown", "info").output
        #expect(output.contains(#""SerialNumber": "SIMXK0A1B2""#), "\(output)")
        #expect(phones.phone.counters.pairings == 1)
        let again = try run(phones, "diagnostics", "mg", "PasswordConfigured").output
        #expect(again.contains(#""PasswordConfigured": true"#), "\(again)")
        #expect(phones.phone.counters.pairings == 1)
        #expect(phones.phone.counters.problems == [])
    }

    @Test func itReadsTheSameBytes() throws {
        let phones = try IPhoneRun()
        let target = phones.folder + "/out"
        try FileManager.default.createDirectory(atPath: target, withIntermediateDirectories: true)
        let result = try run(phones, "afc", "pull", "/DCIM/100APPLE", target)
        #expect(result.exitCode == 0, "\(result.output)")
        let difference = try phones.run(
            "diff", "-r", target + "/100APPLE", phones.phone.mediaFolder + "/DCIM/100APPLE")
        #expect(difference.exitCode == 0, "\(difference.output)")
    }

    @Test func itSeesTheApps() throws {
        let phones = try IPhoneRun()
        let output = try run(phones, "apps", "list").output
        #expect(output.contains("net.whatsapp.WhatsApp"), "\(output)")
    }
}

private enum Pymobiledevice {
    /// scripts/install-packages puts it below the build folder, in which the tests lie.
    static let program: String? = {
        let own = try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe")
        let checkout = (own ?? "").components(separatedBy: "/.build/")[0]
        let path = checkout + "/.build/pymobiledevice3/bin/pymobiledevice3"
        guard FileManager.default.isExecutableFile(atPath: path) else {
            print("Skipped: pymobiledevice3 is not installed.")
            return nil
        }
        return path
    }()
}
