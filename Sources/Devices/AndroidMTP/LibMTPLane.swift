package import BackupCore

/// The lane that speaks with Android phones through libmtp: it knows every odd device.
///
/// libmtp reports little of what goes wrong. Here every listing is compared with the list of
/// handles that the phone really sent, every file's bytes are counted, and after a failure that
/// could mean anything the phone is asked for its storages, to tell a refusal from a phone that
/// has gone. See README.md in this folder.
package struct LibMTPLane: ~Copyable, DeviceLane {
    private let device: LibMTPDevice
    private let vendor: UInt16
    private let product: UInt16

    private init(device: consuming LibMTPDevice, vendor: UInt16, product: UInt16) {
        self.device = device
        self.vendor = vendor
        self.product = product
    }

    /// Opens the phone at a USB address. To be done once in a process. `alive` is called after
    /// each valid answer.
    ///
    /// Throws `busy`, `gone`, `unsuitable` (a camera, or no leave to open it) or `timedOut`.
    package static func open(
        bus: UInt8, address: UInt8, vendor: UInt16, product: UInt16,
        alive: @escaping () -> Void = {}
    ) throws(DeviceError) -> LibMTPLane {
        let device = try LibMTPDevice(
            bus: bus, address: address, vendor: vendor, product: product, alive: alive)
        guard !device.extensions.isEmpty else {
            throw DeviceError(
                .unsuitable,
                "This device speaks the camera protocol only (PTP): on a phone choose File "
                    + "transfer in its USB notification")
        }
        let lane = LibMTPLane(device: device, vendor: vendor, product: product)
        // The log is what proves listings: a libmtp that writes another one shows here.
        _ = try lane.askStorages()
        return lane
    }

    package mutating func attributes() throws(DeviceError) -> PhoneAttributes {
        let serial = text(device.text(.serial))
        let model = text(device.text(.model))
        let friendly = device.friendlyName()
        let battery = device.battery()
        let silent = (friendly.errors + battery.errors).contains {
            !PTPCode.comesFromThePhone($0) && $0 != PTPCode.dataExpected
        }
        if silent { _ = try askStorages() }
        let name = text(friendly.value)
        return PhoneAttributes(
            identity: serial + "\n" + model, name: name.isEmpty ? model : name,
            manufacturer: text(device.text(.manufacturer)), model: model,
            osVersion: text(device.text(.version)), batteryPercent: battery.value,
            notes: notes)
    }

    package mutating func storages() throws(DeviceError) -> [PhoneStorage] {
        try askStorages()
    }

    package consuming func close() { device.release() }

    private var notes: [String] {
        ["lane: libmtp \(LibMTPDevice.version)"]
            + (LibMTPDevice.knows(vendor: vendor, product: product)
                ? [] : ["quirk: unknown to libmtp, sizes are asked for one by one"])
    }

    /// At most 1 KiB of UTF-8.
    private func text(_ bytes: [UInt8]) -> String {
        String(decoding: bytes.prefix(1024), as: UTF8.self)
    }
}

// MARK: - Storages

extension LibMTPLane {
    /// The storages, and the proof that the phone is there: `gone` when it does not answer at all.
    /// A phone that says that it has none is locked or charging only.
    private func askStorages() throws(DeviceError) -> [PhoneStorage] {
        let first = device.storages()
        if let storages = try storages(first) { return storages }
        // One that was being mounted or taken away is another now.
        if let storages = try storages(device.storages()) { return storages }
        throw DeviceError(
            .unreadable, "The phone does not describe its storage",
            nativeCode: first.errors.first)
    }

    private func storages(_ result: MTPResult<[PhoneStorage]>) throws(DeviceError)
        -> [PhoneStorage]?
    {
        guard let ids = result.log.transactions.first(where: { $0.operation == 0x1004 }) else {
            throw gone
        }
        switch Answer(ids) {
        case .broken: throw gone
        case .refused(let code):
            guard PTPCode.comesFromThePhone(Int(code)) else { throw gone }
            if PTPCode.meansNoStorage(code) { return [] }
            throw DeviceError(
                .waitingForUser, "The phone does not show its storage yet", nativeCode: Int(code))
        case .data(let payload):
            guard let announced = longArray(payload) else { throw gone }
            if announced.isEmpty { return [] }
            return result.value.count == announced.count ? result.value : nil
        }
    }

    private var gone: DeviceError { DeviceError(.gone, "The phone has gone away") }
}

// MARK: - Listing

extension LibMTPLane {
    package mutating func list(
        _ folder: FolderReference, limit: Int
    ) throws(DeviceError) -> [PhoneEntry] {
        guard let storage = UInt32(exactly: folder.storage),
            folder.object == nil || UInt32(exactly: folder.object ?? 0) != nil
        else { throw DeviceError(.unreadable, "There is no such folder on this phone") }
        let parent = folder.object.map { UInt32(truncatingIfNeeded: $0) }
        let (handles, listed) = try provenListing(storage, parent)
        guard handles.count <= limit else {
            throw DeviceError(
                .limitExceeded, "A folder on the phone has \(handles.count) entries")
        }
        let objects = try complete(listed, handles)
        var entries: [PhoneEntry] = []
        entries.reserveCapacity(objects.count)
        for object in objects { entries.append(try entry(object, storage: folder.storage)) }
        return entries
    }

    /// A listing together with all handles that the phone sent for it. An answer that was busy or
    /// broken is asked for once more.
    private func provenListing(
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
    private func refused(_ code: UInt16, _ storage: UInt32) throws(DeviceError) -> DeviceError {
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
    /// they are asked for once more, and if one stays away the folder is not readable.
    private func complete(
        _ listed: MTPResult<[MTPObject]>, _ handles: [UInt32]
    ) throws(DeviceError) -> [MTPObject] {
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
        guard missing == 0, rest.isEmpty else {
            throw DeviceError(
                .unreadable,
                "The phone gave no details of \(missing) of the \(handles.count) entries of a "
                    + "folder")
        }
        return objects
    }

    /// Asks for one object again: it was left out, or its size of 0 may be the stand-in for a
    /// size that could not be read. Then the size is unknown.
    private func askAgain(_ handle: UInt32, _ found: MTPObject?) throws(DeviceError) -> MTPObject? {
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

    private func entry(_ object: MTPObject, storage: UInt64) throws(DeviceError) -> PhoneEntry {
        PhoneEntry(
            storage: storage, object: UInt64(object.handle),
            name: EntryName(bytes: try name(object)), isFolder: object.isFolder,
            byteCount: object.isFolder || object.byteCount == Quirks.unknownSize
                ? nil : object.byteCount,
            modified: object.modified > 0
                ? Timestamp(seconds: Int64(object.modified)) : .zero)
    }

    private func name(_ object: MTPObject) throws(DeviceError) -> [UInt8] {
        if let name = object.name, name != Quirks.nameOfTheNameless { return name }
        let name = device.nameProperty(object.handle)
        if !name.isEmpty { return name }
        throw DeviceError(.unreadable, "The phone gave no name for an entry of a folder")
    }
}

// MARK: - Reading

extension LibMTPLane {
    package mutating func read(
        _ entry: PhoneEntry, emit: (UnsafeRawBufferPointer) -> Bool
    ) throws(DeviceError) {
        guard let handle = UInt32(exactly: entry.object) else {
            throw DeviceError(.unreadable, "There is no such file on this phone")
        }
        var count: UInt64 = 0
        var isTooLong = false
        var isStopped = false
        let announced = entry.byteCount
        let errors = unsafe device.read(handle) { piece in
            count += UInt64(piece.count)
            isTooLong = count > announced ?? .max
            if !isTooLong { isStopped = unsafe !emit(piece) }
            return !isTooLong && !isStopped
        }
        if isStopped { throw DeviceError(.cancelled, "The reading was stopped") }
        if isTooLong {
            throw DeviceError(
                .wrongSize, "The file goes on after its \(announced ?? 0) bytes")
        }
        if let error = errors.first { throw try readingFailed(error, count, announced) }
        if let announced, count != announced {
            throw DeviceError(.wrongSize, "The file ended after \(count) of \(announced) bytes")
        }
    }

    /// A refusal concerns this file; anything else may be the end of the phone, so it is asked.
    private func readingFailed(
        _ code: Int, _ count: UInt64, _ announced: UInt64?
    ) throws(DeviceError) -> DeviceError {
        let isRefusal = PTPCode.comesFromThePhone(code) || code == PTPCode.dataExpected
        if !isRefusal || count > 0 {
            do throws(DeviceError) {
                _ = try askStorages()
            } catch {
                guard error.code == .gone else { throw error }
                let size = announced.map { " of \($0)" } ?? ""
                return DeviceError(
                    .gone, "The phone went away after \(count)\(size) bytes of a file")
            }
        }
        return DeviceError(.unreadable, "The phone refuses to give this file", nativeCode: code)
    }
}
