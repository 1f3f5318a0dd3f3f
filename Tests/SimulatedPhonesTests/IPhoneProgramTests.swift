import Foundation
import SimulatedPhones
import Testing

/// The program around the simulated iPhones.
struct IPhoneProgramTests {
    /// The build's folder: the programs lie beside the tests.
    private static let simulator: String = {
        let own = try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe")
        let folder = (own ?? "").split(separator: "/").dropLast().joined(separator: "/")
        return "/\(folder)/holdfast-simulator"
    }()

    @Test func twoPhonesStandBehindOneSocket() throws {
        let folder = NSTemporaryDirectory() + "pr-" + UUID().uuidString.prefix(8)
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(atPath: folder) }  // only room is lost
        let program = try BackgroundProgram(
            Self.simulator,
            [
                "iphone", "--dir", folder + "/run", "--trust", "ask", "--photos", "2", "--phone",
                "name=Old", "--phone", "udid=00008110-000000000000002E,name=New,ios=18.1",
            ], environment: [:], outputIn: folder)
        defer { program.stop() }
        try eventually { program.output.contains("\n") }
        let ready = try JSONDecoder().decode(
            [String: String].self, from: Data(program.output.utf8))
        let socket = try #require(ready["USBMUXD_SOCKET_ADDRESS"])
        func run(_ program: String, _ arguments: String...) throws -> ProgramResult {
            try ProgramResult.run(
                program, arguments, environment: ["USBMUXD_SOCKET_ADDRESS": socket],
                outputIn: folder)
        }
        let second = ["-u", "00008110-000000000000002E"]
        #expect(try run("idevice_id", "-l").output.split(separator: "\n").count == 2)
        #expect(
            try run("ideviceinfo", second[0], second[1], "-s", "-k", "ProductVersion").output
                == "18.1\n")
        #expect(try run("idevicepair", second[0], second[1], "pair").exitCode != 0)
        let control = try #require(ready["control2"])
        let status = try PhoneControl.send(["status"], to: folder + "/run", bay: 2)
        let sameStatus = try PhoneControl.send(["status"], to: control)
        #expect(status == sameStatus)
        #expect(status.contains(#""dialogIsUp":true"#))
        #expect(try PhoneControl.send(["trust"], to: control) == #"{"ok":true}"#)
        #expect(try run("idevicepair", second[0], second[1], "pair").exitCode == 0)
        let refused = try PhoneControl.send(["trust"], to: control)
        #expect(refused == #"{"ok":false,"error":"nothing to answer"}"#)
    }

    @Test(arguments: [
        "lock", "before-first-unlock", "trust", "enter-passcode", "forget-hosts", "restart",
        "unplug-after 1000", "unplug-after 1000 com.apple.afc", "unplug-at afc.read",
        "silence com.apple.afc 3", "post a.b", "afc-fault huge 2", "afc-fault none",
        "set trust MCProtected", "set passcode ask", "set bandwidth 30", "set find-my true",
        "set battery 12", "set free 1000", "value - DeviceName Anna", "status",
    ])
    func everyCommandIsKnown(text: String) {
        #expect(PhoneControl.isCommand(text.split(separator: " ").map { String($0) }))
    }

    @Test(arguments: [
        "", "explode", "unplug-after x", "afc-fault odd", "set bandwidth -1", "set find-my x",
        "set passcode x", "silence com.apple.afc", "set battery 101", "trust me",
    ])
    func whatIsNoCommandIsRefused(text: String) {
        #expect(!PhoneControl.isCommand(text.split(separator: " ").map { String($0) }))
    }

    @Test(arguments: [
        ("name=Anna,ios=16.5,trust=ask", true), ("photos=7,photo-bytes=10,free=5", true),
        ("udid=../../x", false), ("colour=red", false), ("photos=x", false), ("name", false),
        ("lock=ajar", false), ("passcode=none", true), ("passcode=x", false),
    ])
    func phonesAreDescribedInWords(text: String, isOne: Bool) {
        #expect((IPhoneOptions(text) != nil) == isOne)
    }
}
