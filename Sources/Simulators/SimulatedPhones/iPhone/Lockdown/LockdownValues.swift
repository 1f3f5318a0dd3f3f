import Synchronization

/// What GetValue tells, by domain ("" is the one without a name) and key.
package final class LockdownValues: Sendable {
    private let values: Mutex<[String: [String: PropertyList]]>

    /// What a phone tells whoever plugs it in.
    private static let openKeys: Set<String> = [
        "BuildVersion", "CPUArchitecture", "DeviceClass", "DeviceName", "DevicePublicKey",
        "HardwareModel", "HardwarePlatform", "ProductName", "ProductType", "ProductVersion",
        "ProtocolVersion", "TelephonyCapability", "UniqueDeviceID", "WiFiAddress",
    ]

    /// Domains in which hosts may write, and keys without a domain.
    private static let writableDomains: Set<String> = [
        "com.apple.international", "com.apple.mobile.data_sync", "com.apple.mobile.iTunes",
        "com.apple.mobile.iTunes.store", "com.apple.mobile.wireless_lockdown",
        "com.apple.xcode.developerdomain",
    ]
    private static let writableKeys: Set<String> = [
        "DeviceName", "TimeIntervalSince1970", "TimeZone", "Uses24HourClock",
    ]

    init(_ values: [String: [String: PropertyList]]) {
        self.values = Mutex(values)
    }

    /// A value; nil when there is none.
    package subscript(domain: String?, key: String) -> PropertyList? {
        get { values.withLock { $0[domain ?? ""]?[key] } }
        set { values.withLock { $0[domain ?? "", default: [:]][key] = newValue } }
    }

    /// Everything of a domain; empty when there is no such domain.
    func all(of domain: String?) -> [String: PropertyList] {
        values.withLock { $0[domain ?? ""] ?? [:] }
    }

    static func isOpen(domain: String?, key: String) -> Bool {
        domain == nil && openKeys.contains(key)
    }

    static func isWritable(domain: String?, key: String) -> Bool {
        domain.map(writableDomains.contains) ?? writableKeys.contains(key)
    }
}

extension LockdownValues {
    /// The values of a new phone.
    convenience init(options: IPhoneOptions, publicKey: [UInt8]) {
        self.init([
            "": Self.general(options, publicKey: publicKey),
            "com.apple.disk_usage": Self.diskUsage(options),
            "com.apple.disk_usage.factory": Self.diskUsage(options),
            "com.apple.fmip": ["IsAssociated": .boolean(options.findMyIsOn)],
            "com.apple.international": [
                "Keyboard": "en_GB", "Language": "en", "Locale": "en_GB",
                "SupportedLanguages": ["en", "de", "fr"],
            ],
            "com.apple.iTunes": [:],
            "com.apple.mobile.backup": ["WillEncrypt": false, "Version": "2.4"],
            "com.apple.mobile.battery": [
                "BatteryCurrentCapacity": .number(options.battery),
                "BatteryIsCharging": true, "ExternalChargeCapable": true,
                "ExternalConnected": true, "FullyCharged": .boolean(options.battery == 100),
                "GasGaugeCapability": true, "HasBattery": true,
            ],
            "com.apple.mobile.data_sync": [:],
            "com.apple.mobile.iTunes": [
                "DBVersion": 5, "MinMacOSVersion": "10.15.4", "MiniTunesVersion": "12.11",
                "ScreenHeight": 2532, "ScreenWidth": 1170, "SupportsAntiPhishing": true,
                "iTunesStoreCapable": true,
            ],
            "com.apple.mobile.lockdown_cache": ["ActivationState": "Activated"],
            "com.apple.mobile.restriction": ["ProhibitAppDelete": false],
            "com.apple.mobile.wireless_lockdown": ["EnableWifiConnections": false],
            "com.apple.purplebuddy": ["SetupState": "SetupUsingAssistant", "SetupDone": true],
        ])
    }

    private static func diskUsage(_ options: IPhoneOptions) -> [String: PropertyList] {
        let system: UInt64 = 12_000_000_000
        let data = options.capacity - min(system, options.capacity)
        return [
            "AmountDataAvailable": .number(options.free),
            "AmountDataReserved": 209_715_200,
            "AmountRestoreAvailable": .number(options.free),
            "CalculateDiskUsage": "OkilyDokily",
            "NANDInfo": .data([UInt8](repeating: 0, count: 16)),
            "TotalDataAvailable": .number(options.free),
            "TotalDataCapacity": .number(data),
            "TotalDiskCapacity": .number(options.capacity),
            "TotalSystemAvailable": 0,
            "TotalSystemCapacity": .number(min(system, options.capacity)),
        ]
    }

    private static func general(
        _ options: IPhoneOptions, publicKey: [UInt8]
    ) -> [String: PropertyList] {
        let model: [String: PropertyList] = [
            "ActivationState": "Activated", "ActivationStateAcknowledged": true,
            "BasebandVersion": "2.70.01", "BrickState": false,
            "BuildVersion":
                .string(options.buildVersion),
            "CPUArchitecture": "arm64e",
            "DeviceClass":
                .string(options.productType.hasPrefix("iPad") ? "iPad" : "iPhone"),
            "DeviceColor": "1", "DeviceName": .string(options.name),
            "DevicePublicKey": .data(publicKey), "FirmwareVersion": "iBoot-10151.140.19",
            "HardwareModel": "D17AP", "HardwarePlatform": "t8110", "HasSiDP": true,
            "HostAttached": true, "ModelNumber": "MLPF3", "PartitionType": "GUID_partition_scheme",
            "PasswordProtected": .boolean(options.hasPasscode), "ProductName": "iPhone OS",
            "ProductType": .string(options.productType),
            "ProductVersion": .string(options.productVersion), "ProtocolVersion": "2",
            "ProximitySensorCalibration": .data([]), "RegionInfo": "ZD/A",
            "SoftwareBehavior": .data([0x11] + [UInt8](repeating: 0, count: 15)),
            "SupportedDeviceFamilies": [1], "TelephonyCapability": true,
            "TimeIntervalSince1970": .real(1_800_000_000), "TimeZone": "Europe/Berlin",
            "TimeZoneOffsetFromUTC": .real(3600), "TrustedHostAttached": true,
            "UseRaptorCerts": true, "Uses24HourClock": true,
        ]
        return model.merging(identity(options)) { first, _ in first }
    }

    /// What names this phone and its owner; personal things are invented.
    private static func identity(_ options: IPhoneOptions) -> [String: PropertyList] {
        var noise = SeededGenerator(
            seed: options.udid.utf8.reduce(0) { ($0 &* 31) &+ UInt64($1) })
        func digits(_ count: Int) -> PropertyList {
            .string((0..<count).map { _ in String(noise.next() % 10) }.joined())
        }
        func address() -> PropertyList {
            let bytes = (0..<5).map { _ in noise.next() % 256 }
            return .string(
                (["02"] + bytes.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) })
                    .joined(separator: ":"))
        }
        return [
            "BluetoothAddress": address(), "ChipID": 33_040, "DieID": .number(noise.next() >> 12),
            "EthernetAddress": address(), "IntegratedCircuitCardIdentity": digits(19),
            "InternationalMobileEquipmentIdentity": digits(15),
            "InternationalMobileSubscriberIdentity": digits(15),
            "MLBSerialNumber": .string("SIM" + options.serial),
            "MobileEquipmentIdentifier":
                digits(14),
            "PhoneNumber": "+49 30 901820", "SerialNumber": .string(options.serial),
            "UniqueChipID": .number(noise.next() >> 12), "UniqueDeviceID": .string(options.udid),
            "WiFiAddress": address(),
        ]
    }
}
