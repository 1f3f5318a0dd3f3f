import Synchronization

/// The backup that a host already has, as far as the phone reads it.
struct HostBackup {
    /// Names in the backup's folder.
    var names: Set<String>
    var status: BackupStatus?
    var properties: BackupProperties?
    /// Manifest.db, plain, as a file of this machine; present when a new backup can build on it.
    var manifest: ManifestReader?
}

extension BackupSession {
    /// Fetches Manifest.db and decrypts it when there is a key. Throws 104 when it is none.
    func fetchManifest(_ root: String, key: [UInt8]?) throws -> ManifestReader {
        let place = "\(agent.scratch)/manifest-\(UInt64.random(in: 0 ... .max)).db"
        let writer = try DownloadWriter(
            path: place, cipher: key.map { FileCipher(key: $0, encrypts: false) })
        var isThere = true
        let reply = try link.download(["\(root)/Manifest.db"]) { event in
            switch event {
            case .data(let bytes): try writer.append(bytes)
            case .failed: isThere = false
            case .begin, .end: break
            }
        }
        guard isThere, reply.code == 0, writer.finish() else {
            ScratchFolder.remove(place)
            throw BackupFailure(104, "Error reading manifest")
        }
        do {
            return try ManifestReader(path: place)
        } catch {
            ScratchFolder.remove(place)
            throw BackupFailure(104, "Error opening manifest: \(error.description)")
        }
    }
}

extension BackupRun {
    /// Reads what there is, as far as it matters, and fetches the manifest a new backup can build
    /// on. Throws 103, 104 or 205 when it is damaged.
    func readHost() throws -> HostBackup {
        guard let names = try link.contents(of: root) else {
            try link.request(["DLMessageCreateDirectory", .string(root), [:], 0])
            return HostBackup(names: [])
        }
        var host = HostBackup(names: names)
        if names.contains("Status.plist") {
            let bytes = try link.download(whole: "\(root)/Status.plist")
            guard let status = bytes.flatMap(BackupStatus.init) else {
                throw BackupFailure(103, "Error reading status")
            }
            host.status = status
        }
        if names.contains("Manifest.plist") {
            let bytes = try link.download(whole: "\(root)/Manifest.plist") ?? []
            if !isHostMade(host.status, manifest: bytes) {
                host.properties = try BackupProperties(bytes)
            }
        }
        try session.enter(.manifest)
        if canBuildOn(host) {
            guard !names.contains("Snapshot") else {
                throw BackupFailure(205, "A snapshot was left in the backup")
            }
            host.manifest = try session.fetchManifest(root, key: try manifestKey(host))
        }
        return host
    }

    /// Some hosts write a status of their own and an empty manifest when they want a full backup.
    private func isHostMade(_ status: BackupStatus?, manifest: [UInt8]) -> Bool {
        guard manifest.isEmpty, let status, status.isFull else { return false }
        return session.agent.state.withLock { !$0.finishedBackups.contains(status.uuid) }
    }

    private func canBuildOn(_ host: HostBackup) -> Bool {
        guard !isForced, let status = host.status, status.state == .finished,
            let properties = host.properties, host.names.contains("Manifest.db"),
            properties.isEncrypted == (keyBag != nil)
        else { return false }
        guard keyBag != nil else { return true }
        // Files that were encrypted with other keys have to be sent again.
        guard let uuid = properties.keyBag.flatMap(BackupKeyBag.uuid(of:)) else { return false }
        return session.agent.state.withLock { $0.keyBagHistory.contains(uuid) }
    }

    private func manifestKey(_ host: HostBackup) throws -> [UInt8]? {
        guard let keyBag else { return nil }
        guard let sealed = host.properties?.manifestKey,
            let key = SealedKey.open(sealed, under: keyBag.classKeys)
        else { throw BackupFailure(205, "The manifest's key is damaged") }
        return key
    }
}
