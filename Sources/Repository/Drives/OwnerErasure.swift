package import BackupCore
import Glibc

/// Erasing a person from a drive: the repository and whatever of it healing moved aside.
extension Drive {
    /// Whether anything of an owner's repository lies here, be it what an interrupted erasure or
    /// initialisation left.
    package func holdsFiles(of owner: OwnerID) async throws(BackendError) -> Bool {
        try await perform(on: reader) { () throws(BackendError) in
            try self.verifyPresent()
            let repositories = try self.system.openFolder("repositories", in: self.root)
            return try self.system.status(PathBytes(owner.rawValue), in: repositories) != nil
        }
    }

    /// Removes an owner's repository and its files in quarantine, durably: the key files first, so
    /// that from then on nobody can read the rest. After an error some of it is gone, and a
    /// repetition does the rest. The journal is told by the caller, before and after.
    ///
    /// Locks of other programs do not hold it up: what they protect is what is to go.
    package func erase(_ owner: OwnerID) async throws(BackendError) {
        try await perform(on: writer) { () throws(BackendError) in
            try self.verifyPresent()
            try self.eraseRepository(of: owner)
            try RepositoryFolder(drive: self, owner: owner).removeQuarantined { _ in true }
            try self.verifyPresent()
        }
    }

    private func eraseRepository(of owner: OwnerID) throws(BackendError) {
        let name = PathBytes(owner.rawValue)
        let repositories = try system.openFolder("repositories", in: root)
        guard let status = try system.status(name, in: repositories) else { return }
        if status.kind == .directory {
            let folder = try system.openFolder(name, in: repositories)
            let keys = PathBytes(FileKind.key.rawValue)
            if try system.status(keys, in: folder)?.kind == .directory {
                let keyFolder = try system.openFolder(keys, in: folder)
                try removeContents(of: keyFolder)
                try system.sync(keyFolder)
            }
            try removeContents(of: folder)
            try system.sync(folder)
            try system.removeFolder(name, in: repositories)
        } else {
            try system.unlink(name, in: repositories)
        }
        try system.sync(repositories)
    }

    /// Removes everything beneath an open folder; links are removed and never followed. A
    /// repository is two folders deep, and what others put there is not much deeper.
    private func removeContents(
        of folder: Descriptor, depth: Int = 0
    ) throws(BackendError) {
        guard depth < 32 else { throw system.error(.damaged, "its folders are nested too deep") }
        for name in try system.names(in: folder) {
            if try system.status(name, in: folder)?.kind == .directory {
                try removeContents(
                    of: try system.openFolder(name, in: folder), depth: depth + 1)
                try system.removeFolder(name, in: folder)
            } else {
                try system.unlink(name, in: folder)
            }
        }
    }
}

extension RepositoryFolder {
    /// Unlinks the owner's files in quarantine that `isWanted` says, durably.
    func removeQuarantined(
        where isWanted: (FileName) -> Bool
    ) throws(BackendError) {
        guard try system.status("quarantine", in: drive.root)?.kind == .directory else { return }
        let quarantine = try system.openFolder("quarantine", in: drive.root)
        var isChanged = false
        for name in try system.names(in: quarantine) {
            guard let file = quarantinedFile(name), isWanted(file) else { continue }
            if try system.unlink(name, in: quarantine) { isChanged = true }
        }
        if isChanged { try system.sync(quarantine) }
    }

    /// The file of this owner that was moved aside as `name` (see ``moveAside(_:)``), or nil.
    private func quarantinedFile(_ name: PathBytes) -> FileName? {
        guard let text = String(validating: name.bytes, as: UTF8.self),
            text.hasPrefix("\(owner)-")
        else { return nil }
        let parts = text.dropFirst(owner.rawValue.count + 1).split(separator: "-")
        guard parts.count == 3, let kind = FileKind(rawValue: String(parts[0])),
            parts[2].allSatisfy(\.isNumber)
        else { return nil }
        if kind == .config { return parts[1] == "config" ? .config : nil }
        return ContentID(hex: String(parts[1])).map { FileName(kind, $0) }
    }
}

extension JournalRecord {
    /// A person is to be erased: from here on nobody brings this owner back.
    package static func erased(_ owner: OwnerID) -> JournalRecord { about(owner, "erased") }

    /// Nothing of this owner is on this drive any more.
    package static func erasureDone(_ owner: OwnerID) -> JournalRecord {
        about(owner, "erasure_done")
    }

    private static func about(_ owner: OwnerID, _ kind: String) -> JournalRecord {
        var fields = FlatJSON()
        fields.set("owner", .text(owner.rawValue))
        return JournalRecord(kind: kind, fields: fields)
    }
}

extension Journal {
    /// The owners that were erased, as this drive was told.
    package func erasedOwners() async throws(BackendError) -> Set<OwnerID> {
        Set(
            try await read().entries.filter { $0.record.kind == "erased" }
                .compactMap { $0.record.text("owner").flatMap(OwnerID.init(rawValue:)) })
    }
}
