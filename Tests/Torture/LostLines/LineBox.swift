import BackupCore

/// An installation with an iPhone, whose own backup is in the state `whole` once and in the state
/// `empty` not yet, and an erased second one to restore to.
final class LineBox: TrialInstallation {
    private static let udid = "00008110-000A1B2C3D4E801E"
    private static let second = "00008110-000A1B2C3D4E802E"
    private var phone = ""
    private var newPhone = ""

    init(in folder: String) throws {
        try super.init(
            in: folder,
            phone: [
                "iphone", "--photos", "0", "--trust", "trust", "--passcode", "enter",
                "--backup-rounds", "20", "--phone",
                "udid=\(Self.udid),name=Old,backup-files=60,backup-bytes=3000000", "--phone",
                "udid=\(Self.second),name=New,backup-files=0,backup-bytes=0",
            ])
        phone = try id("Old")
        newPhone = try id("New")
        keep(as: "empty")
        let first = try backUp()
        guard first.code == 0 else { throw NotReady(description: "backup: \(first.story)") }
        keep(as: "whole")
    }

    /// The id of the phone with a name, as the table of phones has it.
    private func id(_ name: String) throws -> String {
        let phones = try holdfast("phones")
        for line in phones.output.split(separator: "\n") where line.contains(name) {
            if let id = line.split(separator: " ").first { return String(id) }
        }
        throw NotReady(description: "no phone \(name): \(phones.story)")
    }

    func backUp(wait: Int = 30) throws -> TrialProcess.End {
        try holdfast(
            "backup", "--capture", "backup", "--phone", phone, "--wait", "\(wait)")
    }

    /// How many snapshots are listed, and whether each is complete.
    func snapshots() throws -> (count: Int, areComplete: Bool) {
        let listed = try holdfast("snapshots", "--json").output.filter { !$0.isWhitespace }
        func count(_ text: String) -> Int { listed.split(separator: text).count - 1 }
        let complete = count("\"complete\":true")
        return (complete + count("\"complete\":false"), count("\"complete\":false") == 0)
    }

    /// The newest backup, restored to a folder; nil when that fails.
    func newest() throws -> [String: [UInt8]?]? {
        let target = folder + "/restored"
        TrialFiles.makeFolder(target)
        let end = try holdfast("restore", "latest", "--capture", "backup", "--to", target)
        return end.code == 0 ? TrialFiles.tree(target) : nil
    }

    /// Restores the newest backup to the second phone; nil when it then has the first one's data,
    /// bit for bit.
    func differenceOnTheSecondPhone() throws -> String? {
        // It has restarted after the restore before.
        try control(bay: 2, "unlock")
        let end = try holdfast(
            "restore", "latest", "--capture", "backup", "--to-phone", newPhone, "--yes", "New")
        guard end.code == 0 else { return "restoring to the second phone ends with \(end.story)" }
        let digests = try [1, 2].map { bay in
            let answer = try control(bay: bay, "backup", "digest", "plain")
            guard let key = answer.firstRange(of: "\"digest\":\"") else {
                throw NotReady(description: "no digest in \(answer)")
            }
            return answer[key.upperBound...].prefix { $0 != "\"" }
        }
        return digests[0] == digests[1] ? nil : "the second phone has other data than the first"
    }
}
