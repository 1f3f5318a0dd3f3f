/// Operations the responder knows (ISO 15740, MTP 1.1 appendix D, Android's MtpTypes).
package enum PTPOperation: UInt16, Sendable, CaseIterable {
    case getDeviceInfo = 0x1001
    case openSession = 0x1002
    case closeSession = 0x1003
    case getStorageIDs = 0x1004
    case getStorageInfo = 0x1005
    case getNumObjects = 0x1006
    case getObjectHandles = 0x1007
    case getObjectInfo = 0x1008
    case getObject = 0x1009
    case deleteObject = 0x100B
    case sendObjectInfo = 0x100C
    case sendObject = 0x100D
    case getDevicePropDesc = 0x1014
    case getDevicePropValue = 0x1015
    case setDevicePropValue = 0x1016
    case resetDevicePropValue = 0x1017
    case getPartialObject = 0x101B
    case getObjectPropsSupported = 0x9801
    case getObjectPropDesc = 0x9802
    case getObjectPropValue = 0x9803
    case setObjectPropValue = 0x9804
    case getObjectPropList = 0x9805
    case getObjectReferences = 0x9810
    case setObjectReferences = 0x9811
    case getPartialObject64 = 0x95C1

    /// Whether the host sends data after the command.
    var hostSendsData: Bool {
        switch self {
        case .sendObjectInfo, .sendObject, .setDevicePropValue, .setObjectPropValue,
            .setObjectReferences:
            true
        default: false
        }
    }
}

/// Response codes (ISO 15740, 11; the 0xA8xx ones are MTP's).
package enum PTPResponse: UInt16, Sendable {
    case ok = 0x2001
    case generalError = 0x2002
    case sessionNotOpen = 0x2003
    case operationNotSupported = 0x2005
    case parameterNotSupported = 0x2006
    case incompleteTransfer = 0x2007
    case invalidStorageID = 0x2008
    case invalidObjectHandle = 0x2009
    case devicePropNotSupported = 0x200A
    case storeFull = 0x200C
    case storeReadOnly = 0x200E
    case noValidObjectInfo = 0x2015
    case invalidParentObject = 0x201A
    case invalidParameter = 0x201D
    case sessionAlreadyOpen = 0x201E
    case transactionCancelled = 0x201F
    case invalidObjectPropCode = 0xA801
    case specificationByGroupUnsupported = 0xA807
    case specificationByDepthUnsupported = 0xA808
    case objectTooLarge = 0xA809
    case objectPropNotSupported = 0xA80A
}

/// Events on the interrupt endpoint.
package enum PTPEvent: UInt16, Sendable {
    case objectAdded = 0x4002
    case objectRemoved = 0x4003
    case storeAdded = 0x4004
    case storeRemoved = 0x4005
    case devicePropChanged = 0x4006
}

/// Properties of objects that Android's responder offers for every format.
package enum ObjectProperty: UInt16, Sendable, CaseIterable {
    case storageID = 0xDC01
    case objectFormat = 0xDC02
    case protectionStatus = 0xDC03
    case objectSize = 0xDC04
    case objectFileName = 0xDC07
    case dateModified = 0xDC09
    case parentObject = 0xDC0B
    case persistentUID = 0xDC41
    case name = 0xDC44
    case dateAdded = 0xDC4E
    case displayName = 0xDCE0

    /// MTP's data type code.
    var dataType: UInt16 {
        switch self {
        case .storageID, .parentObject: 0x0006
        case .objectFormat, .protectionStatus: 0x0004
        case .objectSize: 0x0008
        case .persistentUID: 0x000A
        case .objectFileName, .dateModified, .name, .dateAdded, .displayName: 0xFFFF
        }
    }
}

/// Properties of the device.
package enum DeviceProperty: UInt16, Sendable, CaseIterable {
    case synchronizationPartner = 0xD401
    case friendlyName = 0xD402
    case imageSize = 0x5003
    case batteryLevel = 0x5001
    case perceivedDeviceType = 0xD407
}

/// Formats of objects.
package enum ObjectFormat {
    /// A file of no known kind.
    package static let undefined: UInt16 = 0x3000
    /// A folder.
    package static let association: UInt16 = 0x3001

    /// What Android lists as playback formats.
    static let supported: [UInt16] = [
        0x3000, 0x3001, 0x3004, 0x3005, 0x3008, 0x3009, 0x300B, 0x3801, 0x3802, 0x3804, 0x3807,
        0x3808, 0x380B, 0x380D, 0x3811, 0x3812, 0xB901, 0xB902, 0xB903, 0xB906, 0xB982, 0xB983,
        0xB984, 0xBA05, 0xBA10, 0xBA11, 0xBA14, 0xBA82,
    ]

    private static let byExtension: [String: UInt16] = [
        "txt": 0x3004, "html": 0x3005, "htm": 0x3005, "wav": 0x3008, "mp3": 0x3009,
        "mpg": 0x300B, "mpeg": 0x300B, "jpg": 0x3801, "jpeg": 0x3801, "bmp": 0x3804,
        "gif": 0x3807, "png": 0x380B, "tif": 0x380D, "tiff": 0x380D, "dng": 0x3811,
        "heic": 0x3812, "heif": 0x3812, "wma": 0xB901, "ogg": 0xB902, "aac": 0xB903,
        "flac": 0xB906, "mp4": 0xB982, "m4a": 0xB982, "3gp": 0xB984, "m3u": 0xBA11,
        "wpl": 0xBA10, "pls": 0xBA14, "xml": 0xBA82,
    ]

    /// The format Android derives from a file name's extension.
    static func ofFile(named name: [UInt16]) -> UInt16 {
        guard let dot = name.lastIndex(of: 0x2E) else { return undefined }
        let suffix = String(decoding: name[name.index(after: dot)...], as: UTF16.self)
        return byExtension[suffix.lowercased()] ?? undefined
    }
}
