package import BackupCore
import BlockingThread
import Drives
import ResticFormat

/// One key file of a repository, as it tells of itself.
package struct KeyFacts: Hashable, Sendable {
    /// Why a key file is there.
    package enum Origin: String, Sendable {
        /// It opens with the password or the words that the box has.
        case current
        /// Holdfast made it, for secrets that this box does not have: another box's, or an older
        /// sheet's.
        case holdfast
        /// Another program added it, as `restic key add` does.
        case foreign
    }

    package let id: ContentID
    package let origin: Origin
    /// Who made it and where, escaped; from a drive, and proof of nothing.
    package let maker: String
    /// When, as the file has it, escaped.
    package let created: String

    /// The facts of a key file's bytes; what they do not tell is empty.
    init(id: ContentID, bytes: [UInt8], isCurrent: Bool) {
        // A file that is no JSON tells nothing of itself.
        let json = try? JSONValue.read(bytes)
        func text(_ key: String) -> String {
            HostileText.escaped(json?[key]?.text ?? "", limit: 60)
        }
        self.id = id
        maker = "\(text("username"))@\(text("hostname"))"
        created = String(text("created").prefix(19))
        origin = isCurrent ? .current : text("username") == "holdfast" ? .holdfast : .foreign
    }

    /// For people: the short id and what it tells of itself.
    package var description: String { "\(id.short) (\(maker), \(created))" }
}

extension Box {
    /// The key files of an owner, on the box and on the drives that are there, without those that
    /// were retired or are being added; current are those that `passwords` open.
    func keyFacts(
        of owner: OwnerID, on copies: [DriveBackend], openedBy passwords: [String]
    ) async throws(ApplianceError) -> [KeyFacts] {
        var files: [ContentID: [UInt8]] = [:]
        for key in try store.seed(of: owner)?.keys ?? [] { files[key.id] = key.bytes }
        for copy in copies {
            // A drive that fails here is told by what follows; another one may have the files.
            for file in (try? await copy.list(.key)) ?? [] where files[file.name.id] == nil {
                // As above; what is damaged is for a repair.
                guard let bytes = try? await copy.read(file.name, range: nil, copy: 0),
                    ContentID.sha256(of: bytes) == file.name.id
                else { continue }
                files[file.name.id] = bytes
            }
        }
        let left = try store.retiredKeys(of: owner).retired
            .union((try store.rotation(of: owner))?.keys.map(\.id) ?? [])
        let found = files.filter { !left.contains($0.key) }.sorted { $0.key < $1.key }
        // scrypt takes a second on a small board; that is too long for a shared thread.
        return await DedicatedThread(name: "try-keys").run {
            found.map { id, bytes in
                // What no password could open is not the box's own.
                let isCurrent = passwords.contains { password in
                    (try? KeyFile.open(bytes, password: password)).flatMap { $0 } != nil
                }
                return KeyFacts(id: id, bytes: bytes, isCurrent: isCurrent)
            }
        }
    }
}
