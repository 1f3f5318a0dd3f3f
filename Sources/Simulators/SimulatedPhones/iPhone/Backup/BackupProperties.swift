import Glibc

/// Manifest.plist: what a backup is of, and how it is protected.
struct BackupProperties {
    var isEncrypted: Bool
    var keyBag: [UInt8]?
    /// Sealed key of Manifest.db.
    var manifestKey: [UInt8]?

    /// Reads the file. Throws 205 when it is none.
    init(_ bytes: [UInt8]) throws {
        guard !bytes.isEmpty else {
            throw BackupFailure(
                205, "Error reading backup properties: cannot parse zero-length data")
        }
        // What is no property list cannot be used, whatever is wrong with it.
        guard let list = try? PropertyList.decode(bytes), list.entries != nil else {
            throw BackupFailure(205, "Error reading backup properties")
        }
        isEncrypted = list["IsEncrypted"]?.truth ?? false
        keyBag = list["BackupKeyBag"]?.bytes
        manifestKey = list["ManifestKey"]?.bytes
    }

    /// The properties of a new backup.
    init(keyBag: BackupKeyBag?, manifestKey: [UInt8]?) {
        isEncrypted = keyBag != nil
        self.keyBag = keyBag?.encoded
        self.manifestKey = manifestKey
    }

    /// The bytes of the file.
    func encoded(of phone: BackupPhoneFacts) -> [UInt8] {
        var applications: [String: PropertyList] = [:]
        for app in phone.apps {
            applications[app] = [
                "CFBundleIdentifier": .string(app), "CFBundleVersion": "1",
                "Path": .string("/private/var/containers/Bundle/Application/\(app)"),
            ]
        }
        var entries: [String: PropertyList] = [
            "Applications": .dictionary(applications), "IsEncrypted": .boolean(isEncrypted),
            "Date": .moment(Int64(time(nil))),
            "Lockdown": [
                "BuildVersion": .string(phone.buildVersion),
                "DeviceName": .string(phone.deviceName),
                "ProductType": .string(phone.productType),
                "ProductVersion": .string(phone.productVersion),
                "SerialNumber": .string(phone.serialNumber),
                "UniqueDeviceID": .string(phone.udid),
            ],
            "SystemDomainsVersion": "24.0", "Version": "10.0",
            "WasPasscodeSet": .boolean(phone.hasPasscode),
        ]
        if let keyBag { entries["BackupKeyBag"] = .data(keyBag) }
        if let manifestKey { entries["ManifestKey"] = .data(manifestKey) }
        return PropertyList.dictionary(entries).encodeBinary()
    }
}
