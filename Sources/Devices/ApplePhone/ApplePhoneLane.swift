package import BackupCore

/// The lane of an iPhone: its media folder over AFC, and its own backup.
///
/// It opens also when the phone is locked or does not trust this box yet, so that it can be told
/// by its name; ``storages()`` is what takes one step towards trust each time it is asked, and
/// its error is the sentence for the phone's owner.
package struct ApplePhoneLane: ~Copyable, DeviceLane {
    /// The one storage's number.
    static let storage: UInt64 = 1
    /// What one read asks for. Each is a round trip of some 0.3 ms: 1 % of the time at 40 MB/s, and
    /// within AFC's patience also on a line that crawls.
    static let readLength = 2 << 20

    let session: LockdownSession
    let alive: () -> Void
    private let facts: PublicFacts
    private var openedFiles: AFCClient?
    /// Folders listed in this session by their number less one; a file's number is its folder's
    /// with ``fileFlag``, its name travels with it.
    private var folders: [EntryPath] = []

    /// Opens the phone that usbmuxd numbers `device`. `alive` is called after each valid answer.
    ///
    /// Throws `gone`, or `unsuitable` (recovery mode).
    package static func open(
        device: UInt32, alive: @escaping () -> Void
    ) throws(DeviceError) -> ApplePhoneLane {
        guard let phone = MuxClient.phones().first(where: { $0.device == device }) else {
            throw DeviceError(.gone, "The phone is not plugged in any more")
        }
        let session = try LockdownSession(udid: phone.udid)
        return ApplePhoneLane(session: session, facts: try session.publicFacts(), alive: alive)
    }

    private init(session: LockdownSession, facts: PublicFacts, alive: @escaping () -> Void) {
        self.session = session
        self.facts = facts
        self.alive = alive
    }

    package mutating func attributes() throws(DeviceError) -> PhoneAttributes {
        PhoneAttributes(
            identity: session.udid, name: facts.name.isEmpty ? model : facts.name,
            manufacturer: "Apple", model: model, osVersion: facts.productVersion,
            batteryPercent: battery(), notes: ["lane: AFC"], encryptsBackups: encryptsBackups())
    }

    package mutating func storages() throws(DeviceError) -> [PhoneStorage] {
        let space = try files().space()
        return [
            PhoneStorage(
                handle: Self.storage, name: "Media", volumeIdentifier: "", type: 0,
                totalBytes: space.total, freeBytes: space.free)
        ]
    }

    package mutating func drive(
        _ job: PushedJob, over tree: any CaptureTree
    ) throws(DeviceError) {
        try MobileBackup.perform(job, on: session, over: tree)
    }

    package consuming func close() { openedFiles?.close() }

    private var model: String { ProductNames.name(of: facts.productType) }

    private func battery() -> Int? {
        told("com.apple.mobile.battery", "BatteryCurrentCapacity")??.number.flatMap {
            (0...100).contains($0) ? Int($0) : nil
        }
    }

    private func encryptsBackups() -> Bool? {
        told("com.apple.mobile.backup", "WillEncrypt").map { $0?.flag ?? false }
    }

    /// What a phone that trusts this box says, the inner nil being that it has no such value; one
    /// that does not trust it is not asked to for this.
    private func told(_ domain: String, _ key: String) -> PropertyList?? {
        guard session.hasRecord() else { return nil }
        do {
            return .some(try session.value(domain: domain, key: key))
        } catch {
            // Whatever keeps the phone from telling stands in the way of more than this, and is
            // told when storages are asked for.
            return nil
        }
    }

    /// The file service, opened when it is needed and again after it broke.
    mutating func files() throws(DeviceError) -> AFCClient {
        if let openedFiles, !openedFiles.isBroken { return openedFiles }
        let opened = AFCClient(try session.start(AFCClient.service))
        openedFiles = opened
        return opened
    }
}

// MARK: - Folders

extension ApplePhoneLane {
    private static var fileFlag: UInt64 { 1 << 63 }

    package mutating func list(
        _ folder: FolderReference, limit: Int
    ) throws(DeviceError) -> FolderListing {
        let path = try path(of: folder)
        let files = try files()
        let number = UInt64(folders.count)
        var entries: [PhoneEntry] = []
        var undescribed = 0
        let names = try files.list(path).filter { MediaSelection.includes($0, in: path) }
        guard names.count <= limit else {
            throw DeviceError(
                .limitExceeded, "A folder on the phone has \(names.count) entries", path: path)
        }
        folders.append(path)
        for name in names {
            alive()
            do throws(DeviceError) {
                let info = try files.info(path.appending(name))
                guard let entry = entry(name, info, in: path, number: number) else { continue }
                entries.append(entry)
            } catch {
                // Deleted since it was listed: as if it had never been there.
                if error.nativeCode == AFCStatus.notFound.rawValue { continue }
                guard error.concernsOneEntry, !files.isBroken else { throw error }
                undescribed += 1
            }
        }
        return FolderListing(entries, undescribedCount: undescribed)
    }

    /// What is saved of an entry; nil for links and devices, which are never followed.
    private mutating func entry(
        _ name: EntryName, _ info: AFCFileInfo, in path: EntryPath, number: UInt64
    ) -> PhoneEntry? {
        let object: UInt64
        switch info.kind {
        case .other: return nil
        case .file: object = Self.fileFlag | number
        case .folder:
            folders.append(path.appending(name))
            object = UInt64(folders.count)
        }
        return PhoneEntry(
            storage: Self.storage, object: object, name: name, isFolder: info.kind == .folder,
            byteCount: info.kind == .folder ? nil : info.byteCount, modified: info.modified)
    }

    private func path(of folder: FolderReference) throws(DeviceError) -> EntryPath {
        guard let object = folder.object else { return .root }
        return try path(object)
    }

    private func path(_ object: UInt64) throws(DeviceError) -> EntryPath {
        guard (1...UInt64(max(folders.count, 1))).contains(object), !folders.isEmpty else {
            throw DeviceError(.unreadable, "There is no such folder on this phone")
        }
        return folders[Int(object) - 1]
    }
}

// MARK: - Content

extension ApplePhoneLane {
    package mutating func read(
        _ entry: PhoneEntry, emit: (UnsafeRawBufferPointer) -> Bool
    ) throws(DeviceError) {
        let folder = try path((entry.object & ~Self.fileFlag) + 1)
        let path = folder.appending(entry.name)
        let files = try files()
        let handle = try files.open(path, .read)
        // A file that cannot be closed ends with the connection, and the next call tells.
        defer { if !files.isBroken { try? files.close(handle) } }
        var count: UInt64 = 0
        while true {
            // One byte more than is left: content beyond the announced size shows at once, and a
            // short answer is the end without another round trip.
            let left = entry.byteCount.map { $0 - count } ?? .max
            let wanted = Int(min(left, UInt64(Self.readLength - 1))) + 1
            let piece = try files.read(handle, wanted)
            count += UInt64(piece.count)
            if let announced = entry.byteCount, count > announced {
                throw DeviceError(.wrongSize, "The file goes on after its \(announced) bytes")
            }
            // Sound: the array lends its bytes for the call.
            if !piece.isEmpty, !(unsafe piece.withUnsafeBytes { unsafe emit($0) }) {
                throw DeviceError(.cancelled, "The reading was stopped")
            }
            if piece.isEmpty || (piece.count < wanted && count == entry.byteCount) { break }
        }
        if let announced = entry.byteCount, count != announced {
            throw DeviceError(.wrongSize, "The file ended after \(count) of \(announced) bytes")
        }
    }
}

// MARK: - What is not here

extension ApplePhoneLane {
    package mutating func onlyInCloud() throws(DeviceError) -> UInt64? {
        let log = try content(of: MediaSelection.photoLog, atMost: SQLiteLog.longest + 1)
        // Of a log that is not seen whole, the beginning may be older than the database.
        guard log.count <= SQLiteLog.longest else { return nil }
        guard let count = try onlyInCloud(log) else { return nil }
        // A log that was begun anew meanwhile is another one's than the database's that was read.
        let head = try content(of: MediaSelection.photoLog, atMost: SQLiteLog.headerLength)
        return head.elementsEqual(log.prefix(SQLiteLog.headerLength)) ? count : nil
    }

    private mutating func onlyInCloud(_ log: [UInt8]) throws(DeviceError) -> UInt64? {
        let files = try files()
        let handle = try files.open(MediaSelection.photoDatabase, .read)
        // As in reading: what cannot be closed shows in the next call.
        defer { if !files.isBroken { try? files.close(handle) } }
        let alive = alive
        do {
            return try CloudPhotos.count(
                { offset, count throws(DeviceError) in
                    alive()
                    try files.seek(handle, to: offset)
                    return try files.read(handle, count)
                }, log: log)
        } catch let error as DeviceError {
            throw error
        } catch {
            return nil
        }
    }

    /// The beginning of a file; nothing when there is no such file.
    private mutating func content(
        of path: EntryPath, atMost most: Int
    ) throws(DeviceError) -> [UInt8] {
        let files = try files()
        let handle: AFCClient.Handle
        do {
            handle = try files.open(path, .read)
        } catch {
            guard error.concernsOneEntry, !files.isBroken else { throw error }
            return []
        }
        // As in reading: what cannot be closed shows in the next call.
        defer { if !files.isBroken { try? files.close(handle) } }
        var bytes: [UInt8] = []
        while bytes.count < most {
            let wanted = min(Self.readLength, most - bytes.count)
            let piece = try files.read(handle, wanted)
            alive()
            bytes += piece
            if piece.count < wanted { break }
        }
        return bytes
    }
}
