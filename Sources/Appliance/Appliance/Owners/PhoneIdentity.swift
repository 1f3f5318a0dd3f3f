package import BackupCore
import ResticFormat

/// How a phone's id comes about.
package enum PhoneIdentity {
    /// `<family>-<16 hex digits>` of SHA-256 over the drive set's id, a line feed and the phone's
    /// identity. Any box with the same drives computes the same id, and a drive that is found
    /// tells no serial.
    package static func phoneID(
        family: PhoneFamily, identity: String, set: DriveSetID
    ) -> PhoneID {
        let digest = ContentID.sha256(of: Array("\(set.rawValue)\n\(identity)".utf8))
        return PhoneID(trusted: "\(family.rawValue)-\(digest.hex.prefix(16))")
    }
}
