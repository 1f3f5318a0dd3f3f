import BackupCore

/// Apple's own full backup of one phone, written into a tree.
struct FullBackup {
    private let phone: any BackupPhone
    private let tree: any CaptureTree
    private let patience: DeviceLink.Patience

    /// A backup of `phone`; the tree holds the last complete one, or nothing.
    init(
        _ phone: any BackupPhone, into tree: any CaptureTree,
        patience: DeviceLink.Patience = DeviceLink.Patience()
    ) {
        self.phone = phone
        self.tree = tree
        self.patience = patience
    }

    /// Runs it until the phone has said that it succeeded and what it left proves it.
    ///
    /// What was saved before and cannot be continued costs one more try: a full backup into an
    /// empty folder. Content that is the same takes no room again.
    func run() throws(DeviceError) {
        let isIncremental = try prepare()
        let failure: DeviceError
        let needsFull: Bool
        do throws(DeviceError) {
            guard let fault = try attempt(isFull: !isIncremental) else { return }
            (failure, needsFull) = (Self.unproven(fault), true)
        } catch {
            (failure, needsFull) = (error, JobError.asksForFullBackup(error))
        }
        if JobError.asksForAnotherTry(failure) {
            try tell("backup_again", "\(failure.whatHappened) It is tried once more.")
            return try attemptAgain(isFull: !isIncremental)
        }
        guard isIncremental, needsFull else { throw failure }
        try tell(
            "backup_full",
            "\(failure.whatHappened) What was saved before cannot be continued, so the phone is "
                + "asked for a full backup.")
        try attemptAgain(isFull: true)
    }

    private func attemptAgain(isFull: Bool) throws(DeviceError) {
        phone.pause(.seconds(5))
        if let fault = try attempt(isFull: isFull) { throw Self.unproven(fault) }
    }

    private static func unproven(_ fault: String) -> DeviceError {
        DeviceError(
            .protocolViolation, "The phone said that its backup is done, but \(fault)",
            advice: "Restart the phone, then run the backup again.")
    }

    private var folder: EntryPath {
        get throws(DeviceError) { try PhonePath.parseBelowRoot(phone.udid) }
    }

    /// Clears what an earlier attempt may have left. Whether there is a backup to continue.
    private func prepare() throws(DeviceError) -> Bool {
        let folder = try folder
        return try tree.demanding { tree throws(CaptureTreeError) in
            // Uploads that were never moved to their places break the next incremental.
            try tree.remove(folder.appending("Snapshot"))
            for name in ["Manifest.db", "Manifest.plist", "Status.plist", "Info.plist"] {
                if try tree.stat(folder.appending(EntryName(name))) == nil { return false }
            }
            return true
        }
    }

    /// One backup by the phone. Gives why what it left is no backup, nil when it is one.
    private func attempt(isFull: Bool) throws(DeviceError) -> String? {
        let notices = try phone.notices()
        defer { notices.close() }
        try notices.observe(PhoneSigns.all)
        let media = try phone.mediaFolder()
        defer { media.close() }
        let signs = PhoneSigns(notices: notices, tree: tree, phase: .listing)
        let service = try BackupService(phone, over: tree, patience: patience) {
            () throws(DeviceError) in
            try signs.pass()
        }
        do throws(DeviceError) {
            let lock = try SyncLock(phone, notices, media)
            defer { lock.end() }
            try request(service, media, isFull: isFull)
        } catch {
            service.leave()
            throw error
        }
        try tree.demanding { tree throws(CaptureTreeError) in try tree.settle() }
        return try BackupProof.fault(of: phone.udid, in: tree)
    }

    private func request(
        _ service: BackupService, _ media: any MediaFolder, isFull: Bool
    ) throws(DeviceError) {
        let folder = try folder
        if isFull {
            try tree.demanding { tree throws(CaptureTreeError) in
                try tree.remove(folder)
                try tree.makeDirectory(folder)
            }
        }
        try tree.put(
            try BackupInfo(phone, media).list().encodeXML(), at: folder.appending("Info.plist"))
        var fields: [String: PropertyList] = ["TargetIdentifier": .string(phone.udid)]
        if isFull { fields["Options"] = .dictionary(["ForceFullBackup": .boolean(true)]) }
        try service.perform("Backup", fields, as: .backup)
    }

    private func tell(_ code: String, _ message: String) throws(DeviceError) {
        try tree.demanding { tree throws(CaptureTreeError) in try tree.notice(code, message) }
    }
}
