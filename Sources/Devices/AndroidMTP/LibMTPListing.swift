package import BackupCore

/// Listings that are proven whole, say what they lack, or are errors.
extension LibMTPLane {
    package mutating func list(
        _ folder: FolderReference, limit: Int
    ) throws(DeviceError) -> FolderListing {
        guard let storage = UInt32(exactly: folder.storage),
            folder.object == nil || UInt32(exactly: folder.object ?? 0) != nil
        else { throw DeviceError(.unreadable, "There is no such folder on this phone") }
        guard !isStale else {
            throw DeviceError(
                .gone, "The phone's storage went away and came back, with its files numbered anew")
        }
        let parent = folder.object.map { UInt32(truncatingIfNeeded: $0) }
        let (handles, listed) = try provenListing(storage, parent)
        hasListed = true
        guard handles.count <= limit else {
            throw DeviceError(
                .limitExceeded, "A folder on the phone has \(handles.count) entries")
        }
        let (objects, missing) = try complete(listed, handles)
        let entries = objects.compactMap { entry($0, storage: folder.storage) }
        let undescribed = missing + objects.count - entries.count
        if undescribed > 0 {
            try requireStorage(storage)
            guard !entries.isEmpty else {
                throw DeviceError(
                    .unreadable,
                    "The phone described none of the \(undescribed) entries of a folder")
            }
        }
        return FolderListing(entries, undescribedCount: undescribed)
    }

    /// Tells entries that failed one by one from a phone that was locked, or lost the card,
    /// meanwhile.
    private mutating func requireStorage(_ storage: UInt32) throws(DeviceError) {
        let left = try askStorages()
        guard !left.isEmpty else {
            throw DeviceError(
                .waitingForUser, "The phone no longer shows its storage: it was locked")
        }
        guard left.contains(where: { $0.handle == UInt64(storage) }) else {
            throw DeviceError(.unreadable, "This storage was taken out of the phone")
        }
    }

    /// A listing together with all handles that the phone sent for it. An answer that was busy or
    /// broken is asked for once more.
    private mutating func provenListing(
        _ storage: UInt32, _ parent: UInt32?
    ) throws(DeviceError) -> (handles: [UInt32], result: MTPResult<[MTPObject]>) {
        var refusal: UInt16?
        for _ in 0..<2 {
            let result = device.list(storage: storage, folder: parent)
            let answer = result.log.transactions.first.map(Answer.init) ?? .broken
            switch answer {
            case .data(let payload):
                if let handles = longArray(payload) { return (handles, result) }
            case .refused(let code):
                refusal = code
                if Int(code) != PTPCode.deviceBusy { throw try refused(code, storage) }
            case .broken: break
            }
            _ = try askStorages()
        }
        throw DeviceError(
            .unreadable, "The phone's list of this folder did not arrive whole",
            nativeCode: refusal.map { Int($0) })
    }

    /// What a refused listing means: the phone was locked, a card was pulled, or this folder alone.
    private mutating func refused(_ code: UInt16, _ storage: UInt32) throws(DeviceError)
        -> DeviceError
    {
        guard PTPCode.comesFromThePhone(Int(code)) else { return gone }
        let left = try askStorages()
        if left.isEmpty {
            return DeviceError(
                .waitingForUser, "The phone no longer shows its storage: it was locked",
                nativeCode: Int(code))
        }
        let detail =
            left.contains { $0.handle == UInt64(storage) }
            ? "The phone does not list this folder" : "This storage was taken out of the phone"
        return DeviceError(.unreadable, detail, nativeCode: Int(code))
    }

    /// The listed objects in the order of `handles`. libmtp leaves out those whose details failed;
    /// they are asked for once more, and those that stay away are counted.
    private mutating func complete(
        _ listed: MTPResult<[MTPObject]>, _ handles: [UInt32]
    ) throws(DeviceError) -> (objects: [MTPObject], missing: Int) {
        let isDoubtful = !listed.errors.isEmpty
        var rest = listed.value[...]
        var seen: Set<UInt32> = []
        var objects: [MTPObject] = []
        var missing = 0
        for handle in handles {
            let found = rest.first?.handle == handle ? rest.removeFirst() : nil
            guard seen.insert(handle).inserted else { continue }
            if let found, !(isDoubtful && found.byteCount == 0 && !found.isFolder) {
                objects.append(found)
            } else if let again = try askAgain(handle, found) {
                objects.append(again)
            } else {
                missing += 1
            }
        }
        guard rest.isEmpty else {
            throw DeviceError(
                .unreadable, "The phone listed entries of a folder that it does not have")
        }
        return (objects, missing)
    }

    /// Asks for one object again: it was left out, or its size of 0 may be the stand-in for a
    /// size that could not be read. Then the size is unknown.
    private mutating func askAgain(_ handle: UInt32, _ found: MTPObject?) throws(DeviceError)
        -> MTPObject?
    {
        let again = device.details(handle)
        guard var object = again.value else {
            _ = try askStorages()
            return nil
        }
        if !again.errors.isEmpty, object.byteCount == 0, !object.isFolder {
            object.byteCount = Quirks.unknownSize
        }
        return object
    }

    /// The entry, or nil when the phone gives no name for it.
    private func entry(_ object: MTPObject, storage: UInt64) -> PhoneEntry? {
        guard let name = name(object) else { return nil }
        return PhoneEntry(
            storage: storage, object: UInt64(object.handle),
            name: EntryName(bytes: name), isFolder: object.isFolder,
            byteCount: object.isFolder || object.byteCount == Quirks.unknownSize
                ? nil : object.byteCount,
            modified: object.modified > 0
                ? Timestamp(seconds: Int64(object.modified)) : .zero)
    }

    private func name(_ object: MTPObject) -> [UInt8]? {
        if let name = object.name, name != Quirks.nameOfTheNameless { return name }
        let name = device.nameProperty(object.handle)
        return name.isEmpty ? nil : name
    }
}
