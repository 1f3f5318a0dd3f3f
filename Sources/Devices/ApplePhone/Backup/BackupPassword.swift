import BackupCore

/// What a phone encrypts its backups with. The phone keeps it; a host can only ask for a change.
struct BackupPassword {
    private let phone: any BackupPhone
    private let tree: any CaptureTree

    init(_ phone: any BackupPhone, _ tree: any CaptureTree) {
        self.phone = phone
        self.tree = tree
    }

    /// Whether the next backup will be encrypted.
    static func isSet(on phone: any BackupPhone) throws(DeviceError) -> Bool {
        try phone.value(domain: "com.apple.mobile.backup", key: "WillEncrypt")?.flag ?? false
    }

    /// Has the phone change it, which it asks its user for; nil stands for none. Throws
    /// `wrongPassword` when the old one is not what the phone has.
    func change(from old: String?, to new: String?) throws(DeviceError) {
        guard try Self.isSet(on: phone) == (old != nil) else {
            throw old == nil
                ? DeviceError(
                    .wrongPassword, "This phone encrypts its backups already",
                    advice: "Give the password that was set, or reset it in the phone's settings "
                        + "(Reset All Settings), which keeps its data.")
                : DeviceError(
                    .wrongPassword,
                    "This phone does not encrypt its backups, so it has no password to change",
                    advice: "Set one.")
        }
        let notices = try phone.notices()
        defer { notices.close() }
        try notices.observe(PhoneSigns.all)
        let signs = PhoneSigns(notices: notices, tree: tree, phase: .waiting)
        let service = try BackupService(phone, over: tree) { () throws(DeviceError) in
            try signs.pass()
        }
        var fields: [String: PropertyList] = ["TargetIdentifier": .string(phone.udid)]
        if let old { fields["OldPassword"] = .string(old) }
        if let new { fields["NewPassword"] = .string(new) }
        try service.perform("ChangePassword", fields, as: .changePassword)
        // A backup that follows at once would still be made the old way.
        phone.pause(.seconds(5))
    }
}
