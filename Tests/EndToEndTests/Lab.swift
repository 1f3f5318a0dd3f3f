import Foundation
import Glibc
import SimulatedPhones
import Testing

/// An installation in a folder of its own: two drives, a state folder, simulated phones, and the
/// built programs that work on them.
final class Lab {
    let folder: String
    private(set) var phones: [Phone] = []
    private var iPhone: IPhone?
    /// Where drives are, by letter; a test may mount something there before ``setUp()``.
    let driveNames: [String]
    private var mounts: [String] = []

    init(drives: [String] = ["a", "b"]) throws {
        // Short, because Unix socket paths are.
        folder = NSTemporaryDirectory() + "e2e-" + UUID().uuidString.prefix(8)
        driveNames = drives
        for name in ["", "/out"] + drives.map({ "/" + $0 }) {
            try FileManager.default.createDirectory(
                atPath: folder + name, withIntermediateDirectories: true)
        }
    }

    /// The usual beginning: drives are enrolled and a phone with some files is plugged in.
    static func ready(photos: Int = 8, size: Int = 150_000) throws -> Lab {
        let lab = try Lab()
        let phone = try lab.plugIn()
        try phone.storage.fill(photos: photos, size: size)
        try lab.setUp()
        return lab
    }

    /// As ``ready(photos:size:)``, and backed up once.
    static func backedUp(photos: Int = 8, size: Int = 150_000) throws -> Lab {
        let lab = try ready(photos: photos, size: size)
        try lab.expect(0, lab.backup())
        return lab
    }

    deinit {
        for phone in phones { phone.end() }
        iPhone?.end()
        for mount in mounts.reversed() { TemporaryMount.unmount(mount) }
        // Names at the length limit are removed too; what stays costs room, never a result.
        try? FileManager.default.removeItem(atPath: folder)
    }

    // MARK: Places

    var state: String { folder + "/state" }
    var config: String { folder + "/holdfast.yaml" }
    func drive(_ name: String) -> String { folder + "/" + name }

    /// The only owner's id.
    func owner() throws -> String {
        let owners = files(in: state + "/owners")
        try #require(owners.count == 1, "owners: \(owners)")
        return owners[0]
    }

    /// The owner's repository on a drive.
    func repository(_ drive: String) throws -> String {
        "\(folder)/\(drive)/holdfast/repositories/\(try owner())"
    }

    /// All repositories of a drive, locks left out: those of a run come and go.
    func repositories(_ drive: String) -> [String: String] {
        contents(of: "\(folder)/\(drive)/holdfast/repositories")
    }

    /// A filesystem in memory in place of a drive's folder.
    func mount(_ drive: String, bytes: Int) throws {
        try #require(TemporaryMount.mount(self.drive(drive), bytes: bytes))
        mounts.append(self.drive(drive))
    }

    // MARK: Phones

    @discardableResult
    func plugIn(
        _ name: String = "Anna", bay: Int = 1, card: Bool = false, script: String? = nil,
        _ options: [String] = []
    ) throws -> Phone {
        let phone = try Phone(
            in: folder, name: name, bay: bay, hasCard: card, script: script, options)
        phones.append(phone)
        return phone
    }

    var phone: Phone { phones[0] }

    /// Plugs the lab's one iPhone in.
    func plugInIPhone(_ options: [String] = []) throws -> IPhone {
        let phone = try IPhone(in: folder, options)
        iPhone = phone
        return phone
    }

    // MARK: Programs

    private var base: [String: String] {
        [
            "PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "TZ": "UTC", "LC_ALL": "C.UTF-8",
            "HOME": folder, "TMPDIR": folder + "/out", "SWIFT_BACKTRACE": "enable=no",
        ]
    }

    var variables: [String: String] {
        base.merging([
            "LD_LIBRARY_PATH": folder + "/sim/lib", "HOLDFAST_USBIP": folder + "/sim/usb",
            "HOLDFAST_CONFIG": config,
            // Also where there is none: this machine's own phones are nobody's business here.
            "USBMUXD_SOCKET_ADDRESS": "UNIX:" + IPhone.directory(folder) + "/usbmuxd",
        ]) { $1 }
    }

    func start(
        _ arguments: [String], program: String = Programs.holdfast, input: String? = nil,
        variables extra: [String: String] = [:]
    ) throws -> Child {
        var path = "/dev/null"
        if let input {
            path = folder + "/out/" + UUID().uuidString + ".in"
            try Data(input.utf8).write(to: URL(fileURLWithPath: path))
        }
        return try Child(
            [program] + arguments, variables: variables.merging(extra) { $1 }, input: path,
            outputIn: folder + "/out")
    }

    @discardableResult
    func holdfast(
        _ arguments: String..., input: String? = nil, variables: [String: String] = [:]
    ) throws -> Finished {
        try start(arguments, input: input, variables: variables).finish()
    }

    /// A backup with `--json`; waits are short unless told otherwise.
    func backup(_ arguments: String..., wait: Int = 20) throws -> Finished {
        try startBackup(arguments, wait: wait).finish()
    }

    func startBackup(_ arguments: [String] = [], wait: Int = 20) throws -> Child {
        try start(["backup", "--json", "--wait", "\(wait)"] + arguments)
    }

    /// Enrols the drives.
    func setUp() throws {
        let options = driveNames.flatMap { ["--drive", drive($0)] }
        let finished = try start(["setup", "--state", state] + options).finish()
        try expect(0, finished)
        // The default reserve is sized for real drives, and these are small.
        let text = Child.text(config) + "\nreserve: 65536\n"
        try Data(text.utf8).write(to: URL(fileURLWithPath: config))
    }

    /// The exit code, or the whole story as the failure's message. The summary, if there is one,
    /// must agree, and there must be a sentence for people.
    @discardableResult
    func expect(
        _ code: Int32, _ finished: Finished, at location: SourceLocation = #_sourceLocation
    ) throws -> Finished {
        try #require(finished.exitCode == code, "\(finished.story)", sourceLocation: location)
        if finished.command.contains("--json"), finished.output.contains("\"summary\"") {
            let summary = try finished.summary
            #expect(summary["exit_code"].number == Int(code), sourceLocation: location)
            let message = try #require(summary["message"].text, sourceLocation: location)
            #expect(!message.isEmpty && finished.errors.contains(message), sourceLocation: location)
        }
        return finished
    }

    // MARK: restic

    /// restic on a drive's repository; the password comes from the box.
    func restic(
        _ drive: String, _ arguments: String..., variables extra: [String: String] = [:]
    ) throws -> Finished {
        try startRestic(drive, arguments, extra).finish()
    }

    func startRestic(
        _ drive: String, _ arguments: [String], _ extra: [String: String] = [:],
        input: String = "/dev/null"
    ) throws -> Child {
        var variables = base
        variables["RESTIC_PASSWORD"] = Child.text(state + "/owners/\(try owner())/password")
            .trimmingCharacters(in: .whitespacesAndNewlines)
        return try Child(
            [Programs.restic, "--no-cache", "-r", try repository(drive)] + arguments,
            variables: variables.merging(extra) { $1 }, input: input, outputIn: folder + "/out")
    }

    /// What must hold after every journey that ended: both copies are the same bytes, nothing of
    /// ours is left over, and restic finds both whole.
    func expectWholeAndAlike(at location: SourceLocation = #_sourceLocation) throws {
        let (left, right) = (repositories("a"), repositories("b"))
        #expect(differences(left, right) == [], sourceLocation: location)
        expectNoLeftOvers(at: location)
        // The copies are the same bytes: one opinion on them is enough where seconds count.
        let check = try restic("a", "check", "--read-data")
        #expect(check.exitCode == 0, "\(check.story)", sourceLocation: location)
    }

    /// No temporary file and no lock on any drive.
    func expectNoLeftOvers(at location: SourceLocation = #_sourceLocation) {
        for drive in driveNames {
            let all = contents(of: self.drive(drive)).keys
            let left = all.filter {
                $0.contains("-tmp-") || ($0.contains("/locks/") && !$0.hasSuffix("/"))
            }
            #expect(left.isEmpty, "drive \(drive)", sourceLocation: location)
        }
    }

    /// What the phone has, as a restore of everything must look.
    func expectRestores(
        _ snapshot: String = "latest", at location: SourceLocation = #_sourceLocation
    ) throws {
        let target = folder + "/out/restored-" + UUID().uuidString
        let restored = try holdfast("restore", snapshot, "--to", target)
        try #require(restored.exitCode == 0, "\(restored.story)", sourceLocation: location)
        let found = contents(of: target + "/Internal shared storage", dates: true)
        let there = contents(of: phone.storage.path, dates: true)
        #expect(differences(found, there) == [], sourceLocation: location)
    }
}
