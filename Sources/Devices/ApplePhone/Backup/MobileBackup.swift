package import BackupCore

/// What a phone does over mobilebackup2, for its lane.
package enum MobileBackup {
    /// Lets the phone of `session` do `job` over `tree`; see ``DeviceLane/drive(_:over:)``.
    package static func perform(
        _ job: PushedJob, on session: LockdownSession, over tree: any CaptureTree
    ) throws(DeviceError) {
        let phone = LockdownBackupPhone(session)
        switch job {
        case .backup: try FullBackup(phone, into: tree).run()
        case .restore(let restore): try FullRestore(phone, from: tree).run(restore)
        case .changePassword(let old, let new):
            try BackupPassword(phone, tree).change(from: old, to: new)
        }
    }
}
