import Foundation
import Testing

/// The files of `udev/`, judged as they stand.
@Suite struct UdevTests {
    let root = URL(fileURLWithPath: #filePath)
        .deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()

    func text(_ name: String) throws -> String {
        try String(contentsOf: root.appending(path: "udev/\(name)"), encoding: .utf8)
    }

    func wanted(by device: UdevDevice) throws -> String? {
        try UdevRules(text: text("70-holdfast.rules")).applied(to: device)
            .environment["SYSTEMD_WANTS"]
    }

    @Test func theRuleUsesOnlyKeysAndOperatorsThatUdevHas() throws {
        let rules = try UdevRules(text: text("70-holdfast.rules"))
        #expect(rules.rules.count > 5)
    }

    @Test(arguments: [
        (#"ACTION="add", GOTO="end""#, "ACTION cannot be assigned"),
        (#"RUN=="x""#, "RUN cannot be matched"),
        (#"ENV=="x""#, "ENV needs {attribute}"),
        (#"TAG{x}+="systemd""#, "TAG takes no {attribute}"),
        (#"ACTION=="add", GOTO="nowhere""#, "no label nowhere"),
        (#"ACTION==add"#, "ACTION has no quoted value"),
        (#"ENV{x=="1""#, "no } after ENV{"),
        (#"KERNEL=:"1""#, "KERNEL has no operator but =:"),
    ])
    func aMistakeInARuleIsNamed(line: String, reason: String) {
        #expect {
            _ = try UdevRules(text: line)
        } throws: { error in
            (error as? UdevRules.Problem)?.reason == reason
        }
    }

    @Test(arguments: [
        ["ID_MTP_DEVICE": "1", "ID_USB_INTERFACES": ":ffff00:"],
        ["ID_USB_INTERFACES": ":060101:"],
        ["ID_USB_INTERFACES": ":060101:ff4201:"],
        ["ID_USB_INTERFACES": ":ff4201:"],
    ])
    func aPhoneStartsTheAgentOfItsBay(environment: [String: String]) throws {
        var device = UdevDevice()
        device.attributes["bDeviceClass"] = "00"
        device.environment.merge(environment) { $1 }
        #expect(try wanted(by: device) == "holdfast-agent@1-4.2.service")
        let after = try UdevRules(text: text("70-holdfast.rules")).applied(to: device)
        #expect(after.tags == ["systemd"])
        #expect(after.group == "holdfast" && after.mode == "0660")
        #expect(after.attributes["power/control"] == "on")
        device.action = "bind"
        #expect(try wanted(by: device) != nil)
    }

    @Test(arguments: [
        (":080650:", "00"), (":030101:", "00"), (":020600:0a0000:", "02"), (":e00103:", "ef"),
        (":090000:", "09"), (":060101:", "09"), (":ff4203:", "00"),
    ])
    func whatIsNoPhoneStartsNothing(interfaces: String, deviceClass: String) throws {
        var device = UdevDevice()
        device.attributes["bDeviceClass"] = deviceClass
        device.environment["ID_USB_INTERFACES"] = interfaces
        #expect(try wanted(by: device) == nil)
    }

    @Test func leavingAndInterfacesStartNothing() throws {
        var phone = UdevDevice()
        phone.attributes["bDeviceClass"] = "00"
        phone.environment["ID_MTP_DEVICE"] = "1"
        var leaving = phone
        leaving.action = "remove"
        #expect(try wanted(by: leaving) == nil)
        var interface = phone
        interface.environment["DEVTYPE"] = "usb_interface"
        #expect(try wanted(by: interface) == nil)
    }

    @Test func theAgentIsNeverBoundToTheDevice() throws {
        let unit = try text("holdfast-agent@.service")
        let keys = unit.split(separator: "\n").filter { !$0.hasPrefix("#") }
            .compactMap { $0.split(separator: "=").first }
        #expect(!keys.contains("BindsTo"))
        #expect(!keys.contains("PartOf"))
        #expect(keys.contains("ExecStart"))
    }

    @Test(.enabled(if: FileManager.default.isExecutableFile(atPath: "/usr/bin/systemd-analyze")))
    func systemdAcceptsTheUnitOfTheBuiltProgram() throws {
        let agent = Bundle.main.bundleURL.appending(path: "holdfast-agent")
        let program =
            FileManager.default.isExecutableFile(atPath: agent.path)
            ? agent : builtProducts.appending(path: "holdfast-agent")
        try #require(
            FileManager.default.isExecutableFile(atPath: program.path),
            "holdfast-agent is not built at \(program.path)")
        let folder = FileManager.default.temporaryDirectory
            .appending(path: "holdfast-unit-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: folder) }
        let unit = try text("holdfast-agent@.service")
            .replacing("/usr/bin/holdfast-agent", with: program.path)
        let copy = folder.appending(path: "holdfast-agent@1-4.2.service")
        try unit.write(to: copy, atomically: true, encoding: .utf8)
        let (status, output) = try verify(copy)
        #expect(status == 0, "\(output)")
        #expect(!output.contains("holdfast-agent@"), "\(output)")

        let wrong = unit.replacing("ProtectHome=yes", with: "ProtectHome=perhaps")
        try wrong.write(to: copy, atomically: true, encoding: .utf8)
        #expect(try verify(copy).output.contains("perhaps"))
    }

    /// Where the test run's own products are: the folder above the test bundle.
    private var builtProducts: URL {
        let executable = URL(fileURLWithPath: "/proc/self/exe").resolvingSymlinksInPath()
        return executable.deletingLastPathComponent()
    }

    private func verify(_ unit: URL) throws -> (status: Int32, output: String) {
        let process = Process()
        process.executableURL = URL(fileURLWithPath: "/usr/bin/systemd-analyze")
        process.arguments = ["verify", "--man=no", "--recursive-errors=no", unit.path]
        let pipe = Pipe()
        process.standardError = pipe
        process.standardOutput = pipe
        try process.run()
        let output = pipe.fileHandleForReading.readDataToEndOfFile()
        process.waitUntilExit()
        return (process.terminationStatus, String(decoding: output, as: UTF8.self))
    }
}
