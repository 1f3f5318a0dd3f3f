import BackupCore

/// An installation with an Android phone that is backed up twice: `older` and `whole` are what
/// there was after each.
final class StateBox: TrialInstallation {
    init(in folder: String) throws {
        try super.init(
            in: folder,
            phone: [
                "android", "--name", "Anna", "--bay", "1", "--serial", "TRIAL01", "--folder",
                folder + "/phone",
            ])
        for (number, name) in ["older", "whole"].enumerated() {
            var numbers = TrialNumbers(seed: 1, trial: number)
            for file in 0..<6 {
                TrialFiles.write(
                    "\(folder)/phone/IMG_\(number)\(file).jpg", numbers.bytes(20_000 + file))
            }
            let backup = try holdfast("backup", "--wait", "20")
            guard backup.code == 0 else { throw NotReady(description: "backup: \(backup.story)") }
            keep(as: name)
        }
    }
}
