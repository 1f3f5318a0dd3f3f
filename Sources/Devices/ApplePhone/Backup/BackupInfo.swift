import BackupCore
import Glibc

/// `Info.plist`: what the host, not the phone, writes into a backup, and what tools that restore
/// expect to find there.
struct BackupInfo {
    /// Apps listed; a phone holds some hundreds.
    private static let appLimit = 5_000
    private static let iconLimit = 1 << 20
    private static let iconsLimit = 32 << 20
    private static let fileLimit = 4 << 20
    /// The version of iTunes that other hosts say they are.
    private static let leastVersion = "10.0.1"
    private static let files = [
        "ApertureAlbumPrefs", "IC-Info.sidb", "IC-Info.sidv", "PhotosFolderAlbums",
        "PhotosFolderName", "PhotosFolderPrefs", "VoiceMemos.plist", "iPhotoAlbumPrefs",
        "iTunesApplicationIDs", "iTunesPrefs", "iTunesPrefs.plist",
    ]
    /// Keys of the list, and lockdown's names of their values.
    private static let values = [
        ("Build Version", "BuildVersion"), ("Device Name", "DeviceName"),
        ("Display Name", "DeviceName"), ("ICCID", "IntegratedCircuitCardIdentity"),
        ("IMEI", "InternationalMobileEquipmentIdentity"), ("MEID", "MobileEquipmentIdentifier"),
        ("Phone Number", "PhoneNumber"), ("Product Type", "ProductType"),
        ("Product Version", "ProductVersion"), ("Serial Number", "SerialNumber"),
    ]

    private let phone: any BackupPhone
    private let media: any MediaFolder

    init(_ phone: any BackupPhone, _ media: any MediaFolder) {
        self.phone = phone
        self.media = media
    }

    /// The list as of now.
    func list() throws(DeviceError) -> PropertyList {
        var info: [String: PropertyList] = [:]
        let known = try phone.value(domain: nil, key: nil)
        for (key, name) in Self.values {
            // Without a SIM card there is no number and no card's identity.
            if let value = known?[name], value.text?.isEmpty != true { info[key] = value }
        }
        info["GUID"] = .string(Self.randomIdentifier())
        info["Last Backup Date"] = .date(Self.now())
        info["Target Identifier"] = .string(phone.udid)
        info["Target Type"] = .string("Device")
        info["Unique Identifier"] = .string(phone.udid.uppercased())
        info["iTunes Version"] = .string(
            try phone.value(domain: "com.apple.mobile.iTunes", key: "MinITunesVersion")?.text
                ?? Self.leastVersion)
        info["iTunes Settings"] =
            try phone.value(domain: "com.apple.iTunes", key: nil) ?? .dictionary([:])
        var found: [String: PropertyList] = [:]
        for name in Self.files {
            if let content = try media.content(
                "/iTunes_Control/iTunes/" + name, limit: Self.fileLimit)
            {
                found[name] = .data(content)
            }
        }
        info["iTunes Files"] = .dictionary(found)
        if let books = try media.content("/Books/iBooksData2.plist", limit: Self.fileLimit) {
            info["iBooks Data 2"] = .data(books)
        }
        try addApps(&info)
        return .dictionary(info)
    }

    private func addApps(_ info: inout [String: PropertyList]) throws(DeviceError) {
        let apps = try InstalledApps.list(on: phone, limit: Self.appLimit)
        var described: [String: PropertyList] = [:]
        let icons = AppIcons(phone)
        defer { icons.close() }
        var iconBytes = 0
        for app in apps {
            guard let licence = app.licence, let metadata = app.metadata else { continue }
            var entry: [String: PropertyList] = [
                "ApplicationSINF": licence, "iTunesMetadata": metadata,
            ]
            if iconBytes < Self.iconsLimit, let icon = icons.icon(of: app.bundle),
                icon.count <= Self.iconLimit
            {
                iconBytes += icon.count
                entry["PlaceholderIcon"] = .data(icon)
            }
            described[app.bundle] = .dictionary(entry)
        }
        info["Applications"] = .dictionary(described)
        info["Installed Applications"] = .array(apps.map { .string($0.bundle) })
    }

    /// Seconds since 2001.
    private static func now() -> Double {
        Double(time(nil)) - PropertyList.referenceSeconds
    }

    private static func randomIdentifier() -> String {
        (0..<16).map { _ in
            let digits = String(UInt8.random(in: .min ... .max), radix: 16, uppercase: true)
            return digits.count == 1 ? "0" + digits : digits
        }.joined()
    }
}
