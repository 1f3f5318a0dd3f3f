import Synchronization

/// One backup, full or incremental, in the order of a real phone: read what the host has, choose
/// what is new, ask for space, send everything into Snapshot, move it into place, remove what is
/// gone, say that it is finished.
final class BackupRun {
    let session: BackupSession
    let link: DeviceLink
    /// Folder of the backup on the host: the phone's UDID.
    let root: String
    let isForced: Bool
    let data: PhoneData
    let keyBag: BackupKeyBag?
    /// What goes up and what stays.
    var plan = BackupPlan()
    var status = BackupStatus(isFull: true)
    private var bytesSent: UInt64 = 0

    /// A run for the request.
    init(_ session: BackupSession, _ request: PropertyList) {
        self.session = session
        link = session.link
        root = session.phone.backupFacts.udid
        isForced = request["Options"]?["ForceFullBackup"]?.truth ?? false
        (data, keyBag) = session.agent.state.withLock { ($0.data, $0.keyBag) }
    }

    /// Runs to the end; throws ``BackupFailure`` or what ended the connection.
    func run() throws {
        try session.enter(.status)
        let host = try readHost()
        let path = "\(session.agent.scratch)/new-\(UInt64.random(in: 0 ... .max)).db"
        let manifest = try ManifestWriter(path: path)
        defer {
            ScratchFolder.remove(path)
            if let previous = host.manifest { ScratchFolder.remove(previous.path) }
        }
        status = BackupStatus(isFull: host.manifest == nil)
        try makePlan(against: host.manifest, into: manifest)
        try checkSpace()
        try prepare(host)
        try upload(into: manifest)
        if let previous = host.manifest {
            plan.removals += try manifest.missing(from: previous.path)
        }
        try sendManifest(manifest)
        try moveIntoPlace(host)
        try finish(host)
    }

    // MARK: - What is new

    private func makePlan(against previous: ManifestReader?, into manifest: ManifestWriter) throws {
        try data.forEachItem { item, position in
            guard keyBag != nil || !item.isPrivate else { return }
            let id = item.fileID
            let record = BackupRecord(of: item, id: id)
            let known = try previous?.record(of: id)
            plan.fileCount += 1
            if let known, let old = BackupRecord(encoded: known), old.isUnchanged(record) {
                return try manifest.add(item, id: id, record: known)
            }
            guard item.kind == .file, record.byteCount > 0, let position else {
                // Folders, links and empty files have no content on the host.
                if item.kind == .file, known != nil { plan.removals.append(id) }
                return try manifest.add(item, id: id, record: record.encoded())
            }
            plan.positions.append(UInt32(clamping: position))
            plan.byteCount += record.byteCount
            plan.buckets.insert(String(id.prefix(2)))
        }
    }

    private func checkSpace() throws {
        try session.enter(.space)
        // The manifest comes on top: about 700 bytes a row.
        let needed = plan.byteCount + UInt64(plan.fileCount) * 700 + (128 << 20)
        for attempt in 0..<2 {
            let reply = try link.ask(["DLMessageGetFreeDiskSpace"])
            let free = reply.code == 0 ? reply.payload.unsigned ?? 0 : 0
            if free > needed { return }
            guard attempt == 0 else { break }
            let purge = try link.ask([
                "DLMessagePurgeDiskSpace", .number(needed - free + (2 << 30)), 1,
            ])
            guard purge.code == 0 else { break }
        }
        throw BackupFailure(105, "Insufficient free disk space on drive to back up")
    }

    // MARK: - Sending

    private func prepare(_ host: HostBackup) throws {
        try session.enter(.prepare)
        if host.names.contains("Snapshot") { try remove(["Snapshot"]) }
        var folders = ["Snapshot"] + plan.buckets.sorted().map { "Snapshot/\($0)" }
        // A full backup moves whole folders into place, an incremental one moves files.
        if host.manifest != nil {
            folders += plan.buckets.subtracting(host.names).sorted()
        }
        for folder in folders {
            try link.request(["DLMessageCreateDirectory", .string("\(root)/\(folder)"), [:], 0])
        }
        try send(status: .uploading, to: "Snapshot/Status.plist")
    }

    private func upload(into manifest: ManifestWriter) throws {
        try session.enter(.upload)
        let stream = UploadStream(link, blockSize: session.agent.options.blockSize)
        for batch in plan.batches(data) {
            try stream.begin(progress: progress, total: batch.byteCount)
            for position in batch.positions {
                guard let item = data.item(at: Int(position)) else { continue }
                try upload(item, on: stream, into: manifest)
                bytesSent += item.content.byteCount
            }
            try link.accept(try stream.end(), to: ["DLMessageUploadFiles"])
        }
    }

    private func upload(
        _ item: PhoneItem, on stream: UploadStream, into manifest: ManifestWriter
    ) throws {
        let id = item.fileID
        let path = "\(root)/Snapshot/\(id.prefix(2))/\(id)"
        let fault = session.agent.takeFault { fault in
            if case .fileError(_, let part) = fault { item.path.contains(part) } else { false }
        }
        if case .fileError(let block, _) = fault {
            return try stream.sendError(block, device: item.devicePath, to: path)
        }
        var record = BackupRecord(of: item, id: id)
        let sealed = keyBag.flatMap { SealedKey.make(item.protectionClass, under: $0.classKeys) }
        record.encryptionKey = sealed?.sealed
        record.digest = try stream.send(
            item.content, device: item.devicePath, to: path, key: sealed?.key)
        try manifest.add(item, id: id, record: record.encoded())
        plan.sentCount += 1
        if !status.isFull { plan.sent.append(id) }
    }

    private var progress: Double {
        plan.byteCount == 0 ? 0 : min(95, Double(bytesSent) / Double(plan.byteCount) * 95)
    }

    private func sendManifest(_ manifest: ManifestWriter) throws {
        try session.enter(.seal)
        try manifest.finish()
        let sealed = keyBag.flatMap { SealedKey.make(4, under: $0.classKeys) }
        let blob = try StoredBlob(opening: manifest.path)
        let properties = BackupProperties(keyBag: keyBag, manifestKey: sealed?.sealed).encoded(
            of: session.phone.backupFacts)
        let stream = UploadStream(link, blockSize: session.agent.options.blockSize)
        try stream.begin(progress: 96, total: blob.byteCount)
        _ = try stream.send(
            .stored(blob, offset: 0, count: blob.byteCount), device: "/var/tmp/Manifest.db",
            to: "\(root)/Snapshot/Manifest.db", key: sealed?.key)
        _ = try stream.send(
            .bytes(properties), device: "/var/tmp/Manifest.plist",
            to: "\(root)/Snapshot/Manifest.plist", key: nil)
        try link.accept(try stream.end(), to: ["DLMessageUploadFiles"])
    }

    private func send(status state: BackupStatus.SnapshotState, to path: String) throws {
        status.state = state
        let stream = UploadStream(link, blockSize: 4096)
        let bytes = status.encoded
        try stream.begin(progress: state == .finished ? 100 : progress, total: UInt64(bytes.count))
        _ = try stream.send(
            .bytes(bytes), device: "/var/tmp/Status.plist", to: "\(root)/\(path)", key: nil)
        try link.accept(try stream.end(), to: ["DLMessageUploadFiles"])
    }

    // MARK: - Putting into place

    private func moveIntoPlace(_ host: HostBackup) throws {
        try session.enter(.move)
        try send(status: .moving, to: "Status.plist")
        if host.manifest == nil {
            try remove(host.names.filter { $0.utf8.count == 2 && !plan.buckets.contains($0) })
            try move(plan.buckets.sorted().map { ("Snapshot/\($0)", $0) })
        } else {
            try move(plan.sent.map { ("Snapshot/\($0.prefix(2))/\($0)", "\($0.prefix(2))/\($0)") })
        }
        try move(["Manifest.db", "Manifest.plist"].map { ("Snapshot/\($0)", $0) })
    }

    private func finish(_ host: HostBackup) throws {
        try session.enter(.remove)
        try send(status: .removing, to: "Status.plist")
        if host.manifest != nil { try remove(plan.removals.map { "\($0.prefix(2))/\($0)" }) }
        if session.agent.takeFault({ $0 == .keepSnapshot }) == nil { try remove(["Snapshot"]) }
        try session.enter(.finish)
        try send(status: .finished, to: "Status.plist")
        session.agent.state.withLock { state in
            state.finishedBackups.insert(status.uuid)
            state.counters.backups += 1
            if !status.isFull { state.counters.incrementalBackups += 1 }
            state.counters.filesSent = plan.sentCount
            state.counters.bytesSent = bytesSent
            state.counters.filesListed = plan.fileCount
        }
    }

    private func move(_ moves: [(from: String, to: String)]) throws {
        for start in stride(from: 0, to: moves.count, by: 1_000) {
            var batch: [String: PropertyList] = [:]
            for (from, target) in moves[start..<min(start + 1_000, moves.count)] {
                batch["\(root)/\(from)"] = .string("\(root)/\(target)")
            }
            try link.request(["DLMessageMoveItems", .dictionary(batch), [:], .real(97)])
        }
    }

    private func remove(_ names: some Collection<String>) throws {
        let paths = names.sorted().map { PropertyList.string("\(root)/\($0)") }
        for start in stride(from: 0, to: paths.count, by: 1_000) {
            let batch = Array(paths[start..<min(start + 1_000, paths.count)])
            try link.request(["DLMessageRemoveItems", .array(batch), [:], .real(98)])
        }
    }
}
