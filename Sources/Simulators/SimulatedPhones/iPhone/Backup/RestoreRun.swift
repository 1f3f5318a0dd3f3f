import Synchronization

/// One restore: checks, the manifest, every file with its size and digest, then all at once into
/// the phone's data.
final class RestoreRun {
    private let session: BackupSession
    private let link: DeviceLink
    /// Folder of the backup on the host: the UDID of the phone it comes from.
    private let root: String
    private let options: RestoreOptions
    private var keys: [UInt32: [UInt8]]?

    /// A run for the request.
    init(_ session: BackupSession, _ request: PropertyList) {
        self.session = session
        link = session.link
        root = request["SourceIdentifier"]?.text ?? session.phone.backupFacts.udid
        options = RestoreOptions(request["Options"] ?? [:])
    }

    /// An item that comes back.
    private struct Incoming {
        var row: ManifestReader.Row
        var record: BackupRecord
    }

    /// Runs to the end; throws ``BackupFailure`` or what ended the connection. The phone's data
    /// are as before unless it returns.
    func run() throws {
        try checkPhone()
        try session.enter(.status)
        let properties = try readProperties()
        try session.enter(.manifest)
        let manifest = try openManifest(properties)
        defer { ScratchFolder.remove(manifest.path) }
        let incoming = try choose(from: manifest)
        try session.enter(.space)
        try checkSpace(incoming)
        try session.enter(.copy)
        if options.copiesBackup {
            try link.request([
                "DLMessageCopyItem", .string(root), .string("\(root)-restored"), [:], 0,
            ])
        }
        try session.enter(.download)
        let items = try download(incoming)
        try session.enter(.apply)
        let restarts = session.phone.backupFacts.restartCount
        session.agent.state.withLock { state in
            state.data = state.data.replaced(by: items, keepingOthers: !options.removesOthers)
            state.unfinishedRestore = restarts
            state.counters.restores += 1
        }
    }

    // MARK: - Checks

    private func checkPhone() throws {
        let facts = session.phone.backupFacts
        if facts.hasFindMy { throw BackupFailure(211, "Find My iPhone must be turned off") }
        if !facts.isSetUp { throw BackupFailure(212, "The set-up assistant is not finished") }
        let unfinished = session.agent.state.withLock { $0.unfinishedRestore }
        guard unfinished != facts.restartCount else {
            throw BackupFailure(102, "Error moving restored items: restart first")
        }
    }

    private func readProperties() throws -> BackupProperties {
        guard let names = try link.contents(of: root), names.contains("Status.plist") else {
            throw BackupFailure(4, "No backup of \(root.prefix(64))")
        }
        let bytes = try link.download(whole: "\(root)/Status.plist")
        guard let status = bytes.flatMap(BackupStatus.init), status.state == .finished else {
            throw BackupFailure(103, "Error reading status")
        }
        let properties = try BackupProperties(
            try link.download(whole: "\(root)/Manifest.plist") ?? [])
        guard let info = try link.download(whole: "\(root)/Info.plist"),
            // What is no property list tells no version.
            let version = (try? PropertyList.decode(info))?["Product Version"]?.text
        else { throw BackupFailure(205, "Error reading Info.plist") }
        let own = session.phone.backupFacts.productVersion
        guard !BackupPhoneFacts.isOlder(own, than: version) else {
            throw BackupFailure(1, "The backup is of iOS \(version.prefix(16)), this is \(own)")
        }
        return properties
    }

    private func openManifest(_ properties: BackupProperties) throws -> ManifestReader {
        guard properties.isEncrypted else { return try session.fetchManifest(root, key: nil) }
        guard let bag = properties.keyBag, let sealed = properties.manifestKey else {
            throw BackupFailure(205, "The backup has no key bag")
        }
        guard let password = options.password,
            let keys = BackupKeyBag.open(bag, password: password)
        else { throw BackupFailure(207, "Invalid password") }
        guard let key = SealedKey.open(sealed, under: keys) else {
            throw BackupFailure(205, "The manifest's key is damaged")
        }
        self.keys = keys
        return try session.fetchManifest(root, key: key)
    }

    private func choose(from manifest: ManifestReader) throws -> [Incoming] {
        var incoming: [Incoming] = []
        let facts = session.phone.backupFacts
        try manifest.forEachRow { row in
            guard
                options.brings(
                    domain: row.domain, path: row.path, apps: facts.apps, isProtected: keys != nil,
                    isSamePhone: root == facts.udid)
            else { return }
            guard let record = BackupRecord(encoded: row.record), record.path == row.path,
                row.id == PhoneItem.fileID(domain: row.domain, path: row.path)
            else { throw BackupFailure(205, "Error reading the record of \(row.id.prefix(40))") }
            incoming.append(Incoming(row: row, record: record))
        }
        return incoming
    }

    private func checkSpace(_ incoming: [Incoming]) throws {
        let needed = incoming.reduce(UInt64(0)) { $0 &+ $1.record.byteCount }
        guard needed <= session.phone.backupFacts.freeBytes else {
            throw BackupFailure(105, "Insufficient free disk space on device to restore")
        }
    }

    // MARK: - Files

    private func download(_ incoming: [Incoming]) throws -> [PhoneItem] {
        let blob = try StoredBlob(in: session.agent.scratch)
        var items: [PhoneItem] = []
        items.reserveCapacity(incoming.count)
        var offset: UInt64 = 0
        var batch: [Incoming] = []
        for (index, entry) in incoming.enumerated() {
            if entry.row.kind == .file, entry.record.byteCount > 0 {
                batch.append(entry)
            } else {
                items.append(item(entry, content: .bytes(Array((entry.record.target ?? "").utf8))))
            }
            guard batch.count == 256 || index + 1 == incoming.count, !batch.isEmpty else {
                continue
            }
            let progress = Double(index) / Double(incoming.count) * 90
            items += try download(batch, into: blob, at: &offset, progress: progress)
            batch = []
        }
        return items
    }

    private func download(
        _ batch: [Incoming], into blob: StoredBlob, at offset: inout UInt64, progress: Double
    ) throws -> [PhoneItem] {
        var items: [PhoneItem] = []
        var place = offset
        var writer: DownloadWriter?
        var failure: BackupFailure?
        var index = -1
        let paths = batch.map { "\(root)/\($0.row.id.prefix(2))/\($0.row.id)" }
        // Whatever is wrong with a file, the list is read to its end; the first mistake counts.
        let reply = try link.download(paths, progress: progress) { event in
            do {
                switch event {
                case .begin(let path):
                    index += 1
                    writer = nil
                    guard index < batch.count, path == paths[index] else {
                        throw BackupFailure(205, "The host sent a file that was not asked for")
                    }
                    writer = DownloadWriter(
                        appendingTo: blob, at: place, cipher: try cipher(batch[index]))
                case .data(let bytes): try writer?.append(bytes)
                case .failed(let text):
                    throw BackupFailure(205, "Multiple errors downloading files: \(text)")
                case .end:
                    guard let written = writer else { return }
                    items.append(try verified(written, batch[index], in: blob, at: place))
                    place += written.byteCount
                }
            } catch let problem as BackupFailure {
                failure = failure ?? problem
            }
        }
        if let failure { throw failure }
        guard reply.code == 0, items.count == batch.count else {
            throw BackupFailure(205, "Multiple errors downloading files: \(reply.text)")
        }
        offset = place
        return items
    }

    private func cipher(_ entry: Incoming) throws -> FileCipher? {
        guard let keys else { return nil }
        guard let sealed = entry.record.encryptionKey,
            let key = SealedKey.open(sealed, under: keys)
        else { throw BackupFailure(205, "No key for \(entry.row.id)") }
        return FileCipher(key: key, encrypts: false)
    }

    private func verified(
        _ writer: DownloadWriter, _ entry: Incoming, in blob: StoredBlob, at offset: UInt64
    ) throws -> PhoneItem {
        guard writer.finish(), writer.byteCount == entry.record.byteCount else {
            throw BackupFailure(205, "Size of \(entry.row.id) differs from the manifest's")
        }
        if let digest = entry.record.digest, digest != writer.digest() {
            throw BackupFailure(205, "Digest of \(entry.row.id) differs from the manifest's")
        }
        return item(
            entry, content: .stored(blob, offset: offset, count: entry.record.byteCount))
    }

    private func item(_ entry: Incoming, content: PhoneFileContent) -> PhoneItem {
        PhoneItem(
            domain: entry.row.domain, path: entry.row.path, kind: entry.row.kind,
            permissions: entry.record.mode & 0o7777, modified: entry.record.modified,
            born: entry.record.born, protectionClass: entry.record.protectionClass,
            content: content)
    }
}
