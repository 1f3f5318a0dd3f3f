/// What a phone that drives is asked to do.
package enum PushedJob: Hashable, Sendable {
    /// Write its backup into the tree.
    case backup
    /// Take a backup out of the tree.
    case restore(PhoneRestore)
    /// Change what its backups are encrypted with: nil stands for not encrypted.
    case changePassword(from: String?, to: String?)
}

/// How a backup is put onto a phone.
package struct PhoneRestore: Hashable, Sendable {
    /// The identifier of the phone that the backup is of: its folder's name in the tree.
    package var source: String
    /// What the backup is encrypted with.
    package var password: String?
    /// Whether the phone becomes what the backup is, as after an erase; else what the backup has is
    /// put back and the rest of the phone stays.
    package var isMigration: Bool
    /// The backup's size; the phone must have as much room.
    package var byteCount: UInt64

    /// A restore of the backup of `source`.
    package init(source: String, password: String?, isMigration: Bool, byteCount: UInt64) {
        self.source = source
        self.password = password
        self.isMigration = isMigration
        self.byteCount = byteCount
    }
}
