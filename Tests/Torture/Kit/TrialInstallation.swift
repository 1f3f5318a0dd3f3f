import BackupCore
import Glibc

/// A whole installation with the built programs: two drives, the state folder, a configuration and
/// simulated phones.
class TrialInstallation {
    struct NotReady: Error, CustomStringConvertible {
        let description: String
    }

    /// What of an installation is not the phone's.
    static let parts = ["a", "b", "state", "holdfast.yaml"]

    let folder: String
    private var phones: TrialProcess?

    /// Makes the folders, starts the simulator with `phone` in its folder `sim`, and enrols the
    /// drives.
    init(in folder: String, phone: [String]) throws {
        self.folder = folder
        for name in ["", "/a", "/b", "/out", "/phone"] { TrialFiles.makeFolder(folder + name) }
        for program in ["holdfast", "holdfast-simulator"] {
            guard access(Self.programs + program, X_OK) == 0 else {
                throw NotReady(description: "\(program) is not built; run swift build first")
            }
        }
        try plugIn(phone)
        let setup = try holdfast(
            "setup", "--state", state, "--drive", folder + "/a", "--drive", folder + "/b")
        guard setup.code == 0 else { throw NotReady(description: "setup: \(setup.story)") }
        // The default reserve is sized for real drives.
        let text = TrialFiles.text(config) + "\nreserve: 65536\n"
        TrialFiles.write(config, Array(text.utf8))
    }

    deinit {
        phones?.signal(SIGTERM)
        _ = phones?.finish(within: 10)
        TrialFiles.remove(folder)
    }

    /// The built programs lie beside this one.
    private static let programs: String = {
        var path = [UInt8](repeating: 0, count: 4096)
        let length = readlink("/proc/self/exe", &path, path.count)
        let own = String(decoding: path.prefix(max(0, length)), as: UTF8.self)
        return String(own[...(own.lastIndex(of: "/") ?? own.startIndex)])
    }()

    var state: String { folder + "/state" }
    var config: String { folder + "/holdfast.yaml" }

    /// The only owner's repository on a drive.
    func repository(_ drive: String) -> String {
        let repositories = "\(folder)/\(drive)/holdfast/repositories"
        return "\(repositories)/\(TrialFiles.names(repositories).first ?? "")"
    }

    // MARK: States

    /// Keeps everything as it is now under a name.
    func keep(as name: String) {
        TrialFiles.makeFolder("\(folder)/\(name)")
        for part in Self.parts { copy(part, from: folder, to: "\(folder)/\(name)") }
    }

    /// Puts everything back as it was kept under a name, or only some parts.
    func putBack(_ parts: [String] = TrialInstallation.parts, as name: String = "whole") {
        for part in parts {
            TrialFiles.remove("\(folder)/\(part)")
            unlink("\(folder)/\(part)")
            copy(part, from: "\(folder)/\(name)", to: folder)
        }
    }

    private func copy(_ part: String, from: String, to: String) {
        // Files on drives are never written to once they have their name; the catalog is.
        if part == "a" || part == "b" {
            TrialFiles.copyLinked("\(from)/\(part)", to: "\(to)/\(part)")
        } else {
            TrialFiles.copy("\(from)/\(part)", to: "\(to)/\(part)")
        }
    }

    // MARK: Programs

    private func plugIn(_ words: [String]) throws {
        let phones = try TrialProcess(
            [Self.programs + "holdfast-simulator", words[0], "--dir", folder + "/sim"]
                + words.dropFirst(), log: folder + "/out/phone")
        self.phones = phones
        for _ in 0..<5000 where phones.outputSoFar.isEmpty { usleep(2000) }
    }

    func holdfast(_ words: String...) throws -> TrialProcess.End {
        try run(
            [Self.programs + "holdfast"] + words,
            [
                "HOME": folder, "TMPDIR": folder + "/out", "HOLDFAST_CONFIG": config,
                "LD_LIBRARY_PATH": folder + "/sim/lib", "HOLDFAST_USBIP": folder + "/sim/usb",
                "USBMUXD_SOCKET_ADDRESS": "UNIX:\(folder)/sim/usbmuxd",
            ])
    }

    /// Tells the simulated phone in a bay something, and gives its answer.
    @discardableResult
    func control(bay: Int = 1, _ words: String...) throws -> String {
        let end = try run(
            [Self.programs + "holdfast-simulator", "control", folder + "/sim", "--bay", "\(bay)"]
                + words, [:])
        guard end.code == 0 else { throw NotReady(description: "the phone: \(end.story)") }
        return end.output
    }

    private func run(
        _ command: [String], _ variables: [String: String]
    ) throws -> TrialProcess.End {
        try TrialProcess(command, variables: variables, log: "\(folder)/out/run")
            .finish(within: 60)
    }

    /// Debian's restic on a drive; nil when it finds nothing wrong.
    func judged(_ drive: String) throws -> String? {
        let owner = TrialFiles.names(state + "/owners").first ?? ""
        let password = TrialFiles.text("\(state)/owners/\(owner)/password")
            .prefix { !$0.isNewline }
        let end = try TrialRestic.start(
            repository(drive), ["check", "--read-data"], log: folder + "/out/restic",
            variables: ["RESTIC_PASSWORD": String(password)]
        ).finish(within: 120)
        return end.code == 0 ? nil : "restic check of \(drive) ends with \(end.story)"
    }
}
