import BackupCore
import Glibc

/// A whole installation with the built programs: two drives, the state folder, a configuration and
/// a simulated phone.
final class StateBox {
    struct NotReady: Error, CustomStringConvertible {
        let description: String
    }

    /// What of an installation a trial may damage; everything else is the phone's.
    static let parts = ["a", "b", "state", "holdfast.yaml"]

    let folder: String
    private var phone: TrialProcess?
    private var logs = 0

    /// Sets everything up in `folder` and backs up twice. `older` and `whole` keep what there was
    /// after the first backup and after the second.
    init(in folder: String) throws {
        self.folder = folder
        for name in ["", "/a", "/b", "/out", "/phone"] { TrialFiles.makeFolder(folder + name) }
        for program in ["holdfast", "holdfast-simulator"] {
            guard access(Self.programs + program, X_OK) == 0 else {
                throw NotReady(description: "\(program) is not built; run swift build first")
            }
        }
        try plugIn()
        let setup = try holdfast(
            "setup", "--state", state, "--drive", folder + "/a", "--drive", folder + "/b")
        guard setup.code == 0 else { throw NotReady(description: "setup: \(setup.story)") }
        // The default reserve is sized for real drives.
        let text = TrialFiles.text(config) + "\nreserve: 65536\n"
        TrialFiles.write(config, Array(text.utf8))
        for (number, keep) in ["older", "whole"].enumerated() {
            var numbers = TrialNumbers(seed: 1, trial: number)
            for file in 0..<6 {
                TrialFiles.write(
                    "\(folder)/phone/IMG_\(number)\(file).jpg", numbers.bytes(20_000 + file))
            }
            let backup = try holdfast("backup", "--wait", "20")
            guard backup.code == 0 else { throw NotReady(description: "backup: \(backup.story)") }
            TrialFiles.makeFolder("\(folder)/\(keep)")
            for part in Self.parts { copy(part, from: folder, to: "\(folder)/\(keep)") }
        }
    }

    deinit {
        phone?.signal(SIGTERM)
        _ = phone?.finish(within: 10)
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

    /// Puts everything back as it was after the second backup, or only some parts.
    func putBack(_ parts: [String] = StateBox.parts) {
        for part in parts {
            TrialFiles.remove("\(folder)/\(part)")
            unlink("\(folder)/\(part)")
            copy(part, from: folder + "/whole", to: folder)
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

    private func plugIn() throws {
        let phone = try TrialProcess(
            [
                Self.programs + "holdfast-simulator", "android", "--dir", folder + "/sim",
                "--name", "Anna", "--bay", "1", "--serial", "TRIAL01", "--folder",
                folder + "/phone",
            ], log: folder + "/out/phone")
        self.phone = phone
        for _ in 0..<5000 where phone.outputSoFar.isEmpty { usleep(2000) }
    }

    func holdfast(_ words: String...) throws -> TrialProcess.End {
        logs += 1
        return try TrialProcess(
            [Self.programs + "holdfast"] + words,
            variables: [
                "HOME": folder, "TMPDIR": folder + "/out", "HOLDFAST_CONFIG": config,
                "LD_LIBRARY_PATH": folder + "/sim/lib", "HOLDFAST_USBIP": folder + "/sim/usb",
            ], log: "\(folder)/out/run"
        ).finish(within: 60)
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
