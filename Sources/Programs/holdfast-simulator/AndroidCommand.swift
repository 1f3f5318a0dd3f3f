import ArgumentParser
import Foundation
import SimulatedPhones

/// Runs an Android phone until it is told to stop.
struct AndroidCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "android",
        abstract: "Run a simulated Android phone until SIGINT or SIGTERM.",
        discussion: """
            When the phone is ready, one line of JSON on standard output (or shell exports with \
            --print-env) names the variables under which programs reach it.
            """)

    @Option(help: "Folder for sockets and the replacement libusb; made when missing.")
    var dir: String

    @Option(help: "Serve this folder as the internal storage.")
    var folder: String?
    @Flag(help: "Let hosts change the folders served.")
    var writable = false
    @Option(help: "Serve a generated tree, such as files=20000,bytes=3g,seed=1.")
    var generate: String?
    @Option(help: "Serve what a JSON script describes.")
    var script: String?
    @Option(help: "Add a card that holds this folder.")
    var cardFolder: String?
    @Option(help: "Add a card with a generated tree.")
    var cardGenerate: String?

    @Option(help: "Serial number.") var serial = "SIM0000001"
    @Option(help: "Model.") var model = "Pixel 7"
    @Option(help: "Manufacturer.") var manufacturer = "Google"
    @Option(help: "Name its owner gave it.") var name = "Simulated phone"
    @Option(help: "USB vendor id, hexadecimal.") var vid = "18d1"
    @Option(help: "USB product id, hexadecimal; by default Google's for the functions.")
    var pid: String?
    @Option(help: "USB functions: mtp, \"mtp,adb\" or adb.") var functions = "mtp"
    @Flag(help: "MTP interface of class FF/FF/00 instead of 06/01/01.") var vendorClass = false
    @Flag(help: "SuperSpeed instead of high speed.") var superSpeed = false
    @Option(help: "USB socket it is plugged into (1-8).") var bay = 1
    @Option(help: "Also listen on this TCP port of 127.0.0.1 (for usbip attach).")
    var tcp: UInt16?

    @Option(help: "Megabytes per second; unlimited without.") var bandwidth: Double?
    @Option(help: "Milliseconds per operation.") var latency: Double?
    @Option(help: "Milliseconds per URB.") var urbLatency: Double?
    @Option(help: "Milliseconds per object listed or opened.") var objectLatency: Double?

    @Flag(help: "Start locked: no storages until unlocked.") var locked = false
    @Flag(help: "Charge only; the same as locked until a person allows file transfer.")
    var chargeOnly = false
    @Flag(help: "Keep the session of a host that died: OpenSession answers 0x201E.")
    var staleSession = false
    @Flag(help: "Leave and come back under a new address when the port is reset.")
    var leaveOnReset = false
    @Option(help: "Seconds east of Greenwich of the phone's clock.") var zone: Int64 = 0
    @Option(help: "Path of the replacement libusb; found beside this program by default.")
    var library: String?
    @Flag(help: "Print shell exports instead of JSON.") var printEnv = false

    func validate() throws {
        guard (1...8).contains(bay) else { throw ValidationError("--bay must be 1 to 8.") }
        guard USBIdentity.Functions(rawValue: functions) != nil else {
            throw ValidationError("--functions must be mtp, \"mtp,adb\" or adb.")
        }
        let sources = [folder, generate, script].compactMap { $0 }
        guard sources.count == 1 else {
            throw ValidationError("Give exactly one of --folder, --generate and --script.")
        }
        guard UInt16(vid, radix: 16) != nil, pid.map({ UInt16($0, radix: 16) != nil }) ?? true
        else { throw ValidationError("--vid and --pid take four hexadecimal digits.") }
    }

    func run() throws {
        let end = EndOfRun()
        let phone = try SimulatedAndroidPhone(
            options: options(), storages: storages(), directory: dir, library: library)
        Announcement.print(
            environment: phone.environment, controls: [phone.places.controlSocket],
            asExports: printEnv)
        end.wait()
        phone.stop()
    }

    private func options() -> PhoneOptions {
        var options = PhoneOptions()
        options.identity.serial = serial
        options.identity.model = model
        options.identity.manufacturer = manufacturer
        options.identity.vendor = UInt16(vid, radix: 16) ?? options.identity.vendor
        options.identity.product = pid.flatMap { UInt16($0, radix: 16) }
        options.identity.functions = USBIdentity.Functions(rawValue: functions) ?? .mtp
        options.identity.hasVendorClass = vendorClass
        options.identity.isSuperSpeed = superSpeed
        options.friendlyName = name
        options.bay = bay
        options.tcpPort = tcp
        options.link.bytesPerSecond = bandwidth.map { $0 * 1e6 }
        options.link.perOperation = .milliseconds(latency ?? 0)
        options.link.perTransfer = .milliseconds(urbLatency ?? 0)
        options.link.perObject = .milliseconds(objectLatency ?? 0)
        options.startsLocked = locked || chargeOnly
        options.keepsSessionOfDeadHost = staleSession
        options.leavesOnReset = leaveOnReset
        options.zone = zone
        return options
    }

    private func storages() throws -> [PhoneStorage] {
        var storages = [
            PhoneStorage(name: "Internal shared storage", content: try internalContent())
        ]
        if let cardFolder {
            storages.append(
                PhoneStorage(
                    name: "SD card", isRemovable: true,
                    content: FolderContent(path: cardFolder, isWritable: writable)))
        }
        if let cardGenerate {
            storages.append(
                PhoneStorage(
                    name: "SD card", isRemovable: true,
                    content: GeneratedContent(files: try TreeCommand.files(cardGenerate))))
        }
        return storages
    }

    private func internalContent() throws -> any PhoneContent {
        if let folder { return FolderContent(path: folder, isWritable: writable) }
        if let script {
            let data = try Data(contentsOf: URL(fileURLWithPath: script))
            return ScriptedContent(try ContentScript(json: Array(data)))
        }
        return GeneratedContent(files: try TreeCommand.files(generate ?? ""))
    }
}
