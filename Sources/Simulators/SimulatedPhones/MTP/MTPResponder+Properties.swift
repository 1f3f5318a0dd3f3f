extension MTPResponder {
    // MARK: the device's

    func devicePropertyDescription(_ command: Command) -> Answer {
        guard let property = deviceProperty(command.parameter(0)) else {
            return .failed(.devicePropNotSupported)
        }
        var writer = ByteWriter()
        writer.put(property.rawValue)
        switch property {
        case .synchronizationPartner, .friendlyName, .imageSize:
            writer.put(UInt16(0xFFFF))
            writer.put(UInt8(property == .imageSize ? 0 : 1))
            writer.put(text: "")
        case .batteryLevel:
            writer.put(UInt16(0x0002))
            writer.put(raw: [0, 0])
        case .perceivedDeviceType:
            writer.put(UInt16(0x0006))
            writer.put(UInt8(0))
            writer.put(UInt32(0))
        }
        writer.put(raw: value(of: property))
        if property == .batteryLevel {
            writer.put(raw: [1, 0, 100, 1])
        } else {
            writer.put(UInt8(0))
        }
        return .data(writer.bytes)
    }

    private func deviceProperty(_ code: UInt32) -> DeviceProperty? {
        UInt16(exactly: code).flatMap(DeviceProperty.init(rawValue:))
    }

    private func value(of property: DeviceProperty) -> [UInt8] {
        var writer = ByteWriter()
        switch property {
        case .synchronizationPartner: writer.put(text: partner)
        case .friendlyName: writer.put(text: friendlyName)
        case .imageSize: writer.put(text: "1080x2400")
        case .batteryLevel: writer.put(board.battery)
        // 3 is "mobile handset" (MTP 1.1, 5.1.1.? "Perceived Device Type").
        case .perceivedDeviceType: writer.put(UInt32(3))
        }
        return writer.bytes
    }

    func devicePropertyValue(_ command: Command) -> Answer {
        guard let property = deviceProperty(command.parameter(0)) else {
            return .failed(.devicePropNotSupported)
        }
        return .data(value(of: property))
    }

    func setDeviceProperty(_ command: Command) -> Answer {
        var reader = ByteReader(command.data)
        guard let property = deviceProperty(command.parameter(0)),
            property == .synchronizationPartner || property == .friendlyName
        else { return .failed(.devicePropNotSupported) }
        guard let units = reader.takeUnits() else { return .failed(.invalidParameter) }
        let text = String(decoding: units, as: UTF16.self)
        if property == .friendlyName { friendlyName = text } else { partner = text }
        return .ok
    }

    // MARK: objects'

    private func objectProperty(_ code: UInt32) -> ObjectProperty? {
        UInt16(exactly: code).flatMap(ObjectProperty.init(rawValue:))
    }

    func objectPropertyDescription(_ command: Command) -> Answer {
        guard let property = objectProperty(command.parameter(0)) else {
            return .failed(.objectPropNotSupported)
        }
        var writer = ByteWriter()
        writer.put(property.rawValue)
        writer.put(property.dataType)
        writer.put(UInt8(property == .objectFileName ? 1 : 0))
        switch property.dataType {
        case 0x0004: writer.put(UInt16(0))
        case 0x0006: writer.put(UInt32(0))
        case 0x0008: writer.put(UInt64(0))
        case 0x000A: writer.put(raw: repeatElement(0, count: 16))
        default: writer.put(text: "")
        }
        writer.put(UInt32(0))
        let isDate = property == .dateModified || property == .dateAdded
        writer.put(UInt8(isDate ? 3 : 0))
        return .data(writer.bytes)
    }

    private func put(
        _ property: ObjectProperty, of object: ObjectTable.Object, into writer: inout ByteWriter
    ) {
        switch property {
        case .storageID: writer.put(board.ids[object.storage])
        case .objectFormat: writer.put(format(of: object))
        case .protectionStatus: writer.put(UInt16(0))
        case .objectSize: writer.put(object.entry.byteCount)
        case .objectFileName, .name, .displayName: writer.put(units: object.entry.name)
        case .dateModified, .dateAdded: writer.put(units: dateUnits(object))
        case .parentObject: writer.put(object.parent)
        case .persistentUID:
            // Android: the id of the path in the low half, the storage in the high one.
            writer.put(object.entry.node)
            writer.put(UInt64(object.storage + 1))
        }
    }

    func objectPropertyValue(_ command: Command) throws(ContentProblem) -> Answer {
        let object = try object(command.parameter(0))
        if let response = object.entry.quirks.infoResponse { throw ContentProblem(code: response) }
        guard let property = objectProperty(command.parameter(1)) else {
            return .failed(.objectPropNotSupported)
        }
        var writer = ByteWriter()
        put(property, of: object, into: &writer)
        return .data(writer.bytes)
    }

    /// Only a new file name is taken; dates are refused, as on Android.
    func setObjectProperty(_ command: Command) throws(ContentProblem) -> Answer {
        var object = try object(command.parameter(0))
        guard objectProperty(command.parameter(1)) == .objectFileName else {
            return .failed(.objectPropNotSupported)
        }
        var reader = ByteReader(command.data)
        guard let name = reader.takeUnits(), isAcceptable(name) else {
            return .failed(.invalidParameter)
        }
        try storages[object.storage].content.rename(object.entry.node, to: name)
        object.entry.name = name
        _ = table.enter(object.entry, storage: object.storage, parent: object.parent)
        return .ok
    }

    /// GetObjectPropList as Android's MtpDatabase answers it: groups and depths beyond 1 are
    /// refused, depth 1 gives the folder itself after its entries.
    func objectPropertyList(_ command: Command) throws(ContentProblem) -> Answer {
        var handle = command.parameter(0)
        let format = command.parameter(1)
        let property = command.parameter(2)
        var depth = command.parameter(4)
        if property == 0 {
            return .failed(
                command.parameter(3) == 0
                    ? .parameterNotSupported : .specificationByGroupUnsupported)
        }
        if depth == 0xFFFF_FFFF, handle == 0 || handle == 0xFFFF_FFFF {
            handle = 0xFFFF_FFFF
            depth = 0
        }
        guard depth <= 1 else { return .failed(.specificationByDepthUnsupported) }
        guard !board.ids.isEmpty else { return .failed(.invalidObjectHandle) }
        let objects = try listed(handle, depth: depth).filter {
            format == 0 || UInt32(self.format(of: $0)) == format
        }
        guard let properties = properties(property) else {
            return .failed(.invalidObjectPropCode)
        }
        return .data(propertyList(of: objects, properties))
    }

    private func properties(_ code: UInt32) -> [ObjectProperty]? {
        if code == 0xFFFF_FFFF { return ObjectProperty.allCases }
        return objectProperty(code).map { [$0] }
    }

    private func listed(
        _ handle: UInt32, depth: UInt32
    ) throws(ContentProblem) -> [ObjectTable.Object] {
        if handle == 0xFFFF_FFFF { return try select(storage: 0xFFFF_FFFF, parent: 0) }
        if handle == 0 { return try select(storage: 0xFFFF_FFFF, parent: 0xFFFF_FFFF) }
        let object = try object(handle)
        var found: [ObjectTable.Object] = []
        if depth == 1 { found = try list(handle, storage: object.storage) }
        if let response = object.entry.quirks.infoResponse { throw ContentProblem(code: response) }
        return found + [object]
    }

    private func propertyList(
        of objects: [ObjectTable.Object], _ properties: [ObjectProperty]
    ) -> [UInt8] {
        // An entry whose properties fail is left out, as a phone's database would.
        let shown = objects.filter { $0.entry.quirks.infoResponse == nil }
        var writer = ByteWriter()
        writer.put(UInt32(shown.count * properties.count))
        for object in shown {
            for property in properties {
                writer.put(object.handle)
                writer.put(property.rawValue)
                writer.put(property.dataType)
                put(property, of: object, into: &writer)
            }
        }
        return writer.bytes
    }
}
