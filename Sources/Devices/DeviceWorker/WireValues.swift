import BackupCore

/// The session port's values as frame bodies. Encoding cuts what is beyond a limit, decoding
/// refuses it.
extension WireWriter {
    mutating func error(_ error: DeviceError) {
        text(error.code.rawValue)
        text(error.detail)
        optional(error.nativeCode) { writer, code in
            writer.unsigned64(UInt64(bitPattern: Int64(code)))
        }
        optional(error.advice) { writer, advice in writer.text(advice) }
    }

    mutating func attributes(_ value: PhoneAttributes) {
        text(value.identity)
        text(value.name)
        text(value.manufacturer)
        text(value.model)
        text(value.osVersion)
        optional(value.batteryPercent) { writer, percent in
            writer.unsigned8(UInt8(clamping: percent))
        }
        let notes = value.notes.prefix(WireLimit.notes)
        unsigned16(UInt16(notes.count))
        for note in notes { text(note) }
        optional(value.encryptsBackups) { writer, flag in writer.unsigned8(flag ? 1 : 0) }
    }

    mutating func storage(_ value: PhoneStorage) {
        unsigned64(value.handle)
        blob(value.name.bytes, limit: WireLimit.name)
        text(value.volumeIdentifier)
        unsigned16(value.type)
        unsigned64(value.totalBytes)
        unsigned64(value.freeBytes)
    }

    /// An entry of a folder whose storage both sides know.
    mutating func entry(_ value: PhoneEntry) {
        unsigned64(value.object)
        blob(value.name.bytes, limit: WireLimit.name)
        unsigned8(value.isFolder ? 1 : 0)
        optional(value.byteCount) { writer, count in writer.unsigned64(count) }
        unsigned64(UInt64(bitPattern: value.modified.seconds))
        unsigned32(value.modified.nanoseconds)
    }

    mutating func folder(_ value: FolderReference) {
        unsigned64(value.storage)
        optional(value.object) { writer, object in writer.unsigned64(object) }
    }

    mutating func phone(_ value: DetectedPhone) {
        text(value.family.rawValue)
        text(value.bay.rawValue)
        switch value.address {
        case .usb(let bus, let address, let vendor, let product):
            unsigned8(1)
            unsigned8(bus)
            unsigned8(address)
            unsigned16(vendor)
            unsigned16(product)
        case .usbmux(let device, let udid):
            unsigned8(2)
            unsigned32(device)
            text(udid)
        }
        optional(value.unsuitable) { writer, reason in writer.text(reason) }
    }
}

extension WireReader {
    mutating func error() throws(DeviceError) -> DeviceError {
        let name = try text()
        guard let code = DeviceError.Code(rawValue: name) else {
            throw .wireViolation("an unknown kind of error")
        }
        let detail = HostileText.harmless(try text())
        let native = try optional { reader throws(DeviceError) in
            Int(Int64(bitPattern: try reader.unsigned64()))
        }
        let advice = try optional { reader throws(DeviceError) in
            HostileText.harmless(try reader.text())
        }
        return DeviceError(code, detail, nativeCode: native, advice: advice)
    }

    mutating func attributes() throws(DeviceError) -> PhoneAttributes {
        var value = PhoneAttributes(
            identity: try text(), name: try text(), manufacturer: try text(), model: try text(),
            osVersion: try text(), batteryPercent: nil, notes: [])
        value.batteryPercent = try optional { reader throws(DeviceError) in
            Int(try reader.unsigned8())
        }
        guard (0...100).contains(value.batteryPercent ?? 0) else {
            throw .wireViolation("a battery of more than 100 %")
        }
        let count = Int(try unsigned16())
        guard count <= WireLimit.notes else { throw .wireViolation("\(count) notes") }
        for _ in 0..<count { value.notes.append(try text()) }
        value.encryptsBackups = try optional { reader throws(DeviceError) in
            try reader.boolean()
        }
        return value
    }

    mutating func storage() throws(DeviceError) -> PhoneStorage {
        PhoneStorage(
            handle: try unsigned64(), name: EntryName(bytes: try blob(limit: WireLimit.name)),
            volumeIdentifier: try text(), type: try unsigned16(), totalBytes: try unsigned64(),
            freeBytes: try unsigned64())
    }

    mutating func entry(storage: UInt64) throws(DeviceError) -> PhoneEntry {
        PhoneEntry(
            storage: storage, object: try unsigned64(),
            name: EntryName(bytes: try blob(limit: WireLimit.name)), isFolder: try boolean(),
            byteCount: try optional { reader throws(DeviceError) in try reader.unsigned64() },
            modified: try date())
    }

    mutating func date() throws(DeviceError) -> Timestamp {
        let seconds = Int64(bitPattern: try unsigned64())
        let nanoseconds = try unsigned32()
        guard (-WireLimit.seconds...WireLimit.seconds).contains(seconds),
            nanoseconds < 1_000_000_000
        else { throw .wireViolation("an impossible date") }
        return Timestamp(seconds: seconds, nanoseconds: nanoseconds)
    }

    mutating func folder() throws(DeviceError) -> FolderReference {
        FolderReference(
            storage: try unsigned64(),
            object: try optional { reader throws(DeviceError) in try reader.unsigned64() })
    }

    mutating func phone() throws(DeviceError) -> DetectedPhone {
        guard let family = PhoneFamily(rawValue: try text()), let bay = BayID(rawValue: try text())
        else { throw .wireViolation("a phone without a family or socket") }
        return DetectedPhone(
            family: family, bay: bay, address: try address(),
            unsuitable: try optional { reader throws(DeviceError) in
                HostileText.harmless(try reader.text())
            })
    }

    private mutating func address() throws(DeviceError) -> DetectedPhone.Address {
        switch try unsigned8() {
        case 1:
            .usb(
                bus: try unsigned8(), address: try unsigned8(), vendor: try unsigned16(),
                product: try unsigned16())
        case 2: .usbmux(device: try unsigned32(), udid: try text())
        default: throw .wireViolation("an unknown kind of address")
        }
    }
}

extension HostileText {
    /// `text` itself when it is harmless already (an honest worker escapes once), else escaped.
    static func harmless(_ text: String) -> String {
        let escaped = escaped(text, limit: WireLimit.text)
        return escaped == String(text.flatMap { $0 == "\\" ? "\\\\" : String($0) })
            ? text : escaped
    }
}
