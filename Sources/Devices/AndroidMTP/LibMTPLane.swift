package import BackupCore

/// The lane that speaks with Android phones through libmtp: it knows every odd device.
///
/// libmtp reports little of what goes wrong. Here every listing is compared with the list of
/// handles that the phone really sent, every file's bytes are counted, and after a failure that
/// could mean anything the phone is asked for its storages, to tell a refusal from a phone that
/// has gone. See README.md in this folder.
package struct LibMTPLane: ~Copyable, DeviceLane {
    let device: LibMTPDevice
    private let vendor: UInt16
    private let product: UInt16
    /// The storages last seen, and whether anything was listed since the session began.
    private var shown: Set<UInt64> = []
    var hasListed = false
    /// Whether all storages went away after something was listed. Phones number files anew then,
    /// while libmtp goes on to answer from what it remembers by number.
    private(set) var isStale = false

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
        var lane = LibMTPLane(device: device, vendor: vendor, product: product)
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
    mutating func askStorages() throws(DeviceError) -> [PhoneStorage] {
        let first = device.storages()
        if let storages = try storages(first) { return note(storages) }
        // One that was being mounted or taken away is another now.
        if let storages = try storages(device.storages()) { return note(storages) }
        throw DeviceError(
            .unreadable, "The phone does not describe its storage",
            nativeCode: first.errors.first)
    }

    private mutating func note(_ storages: [PhoneStorage]) -> [PhoneStorage] {
        let now = Set(storages.map(\.handle))
        if hasListed, shown.isDisjoint(with: now) { isStale = true }
        shown = now
        return storages
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

    var gone: DeviceError { DeviceError(.gone, "The phone has gone away") }
}
