package import BackupCore
import ResticFormat

/// What opens one owner's repository.
package struct OwnerSecrets: Sendable, CustomStringConvertible {
    /// restic's password: 64 hexadecimal digits of 256 random bits, or the sheet's words when the
    /// box was lost and the drives were adopted with them.
    package let password: String
    /// The recovery sheet's words; nil when an owner was adopted with the password itself.
    package let words: SheetWords?

    /// Secrets with every field given.
    package init(password: String, words: SheetWords?) {
        self.password = password
        self.words = words
    }

    /// What may open the key files, the likeliest first: each of the two has a key file of its
    /// own, so either makes up for the other.
    var passwords: [String] {
        guard let words = words?.canonical, words != password else { return [password] }
        return [password, words]
    }

    /// Fresh random secrets.
    package static func random() -> OwnerSecrets? {
        let digits = secureRandomBytes(32).map { byte in
            let text = String(byte, radix: 16)
            return text.count == 1 ? "0" + text : text
        }
        return SheetWords(bytes: secureRandomBytes(SheetWords.byteCount)).map {
            OwnerSecrets(password: digits.joined(), words: $0)
        }
    }

    /// Says nothing, so that no log can.
    package var description: String { "OwnerSecrets(hidden)" }
}

extension StateStore {
    /// An owner's secrets.
    package func secrets(of owner: OwnerID) throws(ApplianceError) -> OwnerSecrets {
        let folder = folder(of: owner)
        // Garbled words do not stop a backup; key sheet says that they are lost.
        let words = try line(folder + "/words").flatMap { try? SheetWords(reading: $0) }
        if let password = try line(folder + "/password") {
            return OwnerSecrets(password: password, words: words)
        }
        guard let words else {
            throw ApplianceError(
                .key, "The password of owner \(owner) is not in the state folder.",
                whatToDo: "Run holdfast setup with the drives and the words of the recovery "
                    + "sheet.")
        }
        return OwnerSecrets(password: words.canonical, words: words)
    }

    /// Makes an owner's secrets durable. The password is written last: an owner exists once it is
    /// there.
    package func remember(_ secrets: OwnerSecrets, of owner: OwnerID) throws(ApplianceError) {
        let folder = folder(of: owner)
        try StateFiles.makeFolder(folder)
        if let words = secrets.words {
            try StateFiles.write(Array((words.canonical + "\n").utf8), to: folder + "/words")
        }
        try StateFiles.write(Array((secrets.password + "\n").utf8), to: folder + "/password")
    }

    private func line(_ path: String) throws(ApplianceError) -> String? {
        guard let bytes = try StateFiles.read(path),
            let text = String(validating: bytes, as: UTF8.self)
        else { return nil }
        let trimmed = text.split(whereSeparator: \.isNewline).first.map(String.init)
        return trimmed.flatMap { $0.isEmpty ? nil : $0 }
    }
}
