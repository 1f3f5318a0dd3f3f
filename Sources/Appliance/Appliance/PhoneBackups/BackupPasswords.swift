package import BackupCore

/// What a phone encrypts its own backups with, kept by the box like a key: a backup that nobody
/// knows the password of is lost however many copies there are.
///
/// `owners/<owner>/backup/<phone>` has a password a line, the one in force first. Older ones stay,
/// because the backups made with them do; so does one that the phone was asked to take and perhaps
/// did.
extension StateStore {
    private func path(_ phone: PhoneID, of owner: OwnerID) -> String {
        "\(folder(of: owner))/backup/\(phone)"
    }

    /// The passwords known of a phone's backups, the likeliest first.
    package func backupPasswords(
        of phone: PhoneID, _ owner: OwnerID
    ) throws(ApplianceError) -> [String] {
        guard let bytes = try StateFiles.read(path(phone, of: owner)) else { return [] }
        return bytes.split(separator: UInt8(ascii: "\n")).compactMap {
            String(validating: $0, as: UTF8.self)
        }
    }

    /// Makes a password durable: as the one in force, or behind those that are known.
    package func remember(
        backupPassword password: String, isInForce: Bool, of phone: PhoneID, _ owner: OwnerID
    ) throws(ApplianceError) {
        guard Self.isPassword(password) else {
            throw ApplianceError(
                .usage,
                "This cannot be a backup password: it is empty, too long or has a line end.",
                whatToDo: "Choose one of 1 to 200 characters on one line.")
        }
        var passwords = try backupPasswords(of: phone, owner)
        guard isInForce || !passwords.contains(password) else { return }
        passwords.removeAll { $0 == password }
        passwords.insert(password, at: isInForce ? 0 : passwords.count)
        try StateFiles.makeFolder(folder(of: owner) + "/backup")
        try StateFiles.write(
            Array((passwords.joined(separator: "\n") + "\n").utf8), to: path(phone, of: owner))
    }

    private static func isPassword(_ text: String) -> Bool {
        (1...800).contains(text.utf8.count) && !text.contains(where: \.isNewline)
            && !text.utf8.contains(0)
    }
}
