import BackupCore

/// Puts a backup onto a phone; its files come out of the tree as the phone asks for them.
struct FullRestore {
    private static let applications = "/iTunesRestore/RestoreApplications.plist"
    private static let leastBattery: Int64 = 20
    /// Room that a phone needs besides what the backup holds.
    private static let headroom: UInt64 = 1 << 30

    private let phone: any BackupPhone
    private let tree: any CaptureTree

    init(_ phone: any BackupPhone, from tree: any CaptureTree) {
        self.phone = phone
        self.tree = tree
    }

    /// Looks whether everything is in place, then lets the phone restore. The phone checks what it
    /// got and restarts; after a migration it knows no host any more.
    func run(_ restore: PhoneRestore) throws(DeviceError) {
        let info = try check(restore)
        let notices = try phone.notices()
        defer { notices.close() }
        try notices.observe(PhoneSigns.all)
        let media = try phone.mediaFolder()
        defer { media.close() }
        let signs = PhoneSigns(notices: notices, tree: tree, phase: .restoring)
        let service = try BackupService(phone, over: tree) { () throws(DeviceError) in
            try signs.pass()
        }
        do throws(DeviceError) {
            let lock = try SyncLock(phone, notices, media)
            defer { lock.end() }
            if let apps = info["Applications"]?.entries, !apps.isEmpty {
                try media.put(
                    PropertyList.dictionary(["Applications": .dictionary(apps)]).encodeXML(),
                    Self.applications)
            }
            try service.perform("Restore", request(restore), as: .restore)
        } catch {
            service.leave()
            // Left behind it would have the phone fetch apps of a backup that it does not have.
            try? media.remove(Self.applications)
            throw error
        }
    }

    /// Every option is sent, also the ones that are false: what a phone does without one differs
    /// between versions.
    private func request(_ restore: PhoneRestore) -> [String: PropertyList] {
        let isMigration = restore.isMigration
        var options: [String: PropertyList] = [
            "RestoreSystemFiles": .boolean(true), "RestoreShouldReboot": .boolean(true),
            "RestoreDontCopyBackup": .boolean(true),
            "RestorePreserveSettings": .boolean(!isMigration),
            "RemoveItemsNotRestored": .boolean(isMigration),
        ]
        if let password = restore.password { options["Password"] = .string(password) }
        return [
            "TargetIdentifier": .string(phone.udid), "SourceIdentifier": .string(restore.source),
            "Options": .dictionary(options),
        ]
    }

    // MARK: Before it

    /// What must be true before anything is changed; all that is missing is one error. Gives the
    /// backup's Info.plist.
    private func check(_ restore: PhoneRestore) throws(DeviceError) -> PropertyList {
        var missing: [String] = []
        if let fault = try BackupProof.fault(of: restore.source, in: tree) {
            missing.append("The backup is not complete: \(fault).")
        }
        let info = try BackupProof.list("Info.plist", restore.source, tree) ?? .dictionary([:])
        if let fault = try versionFault(info) { missing.append(fault) }
        let manifest = try BackupProof.list("Manifest.plist", restore.source, tree)
        if manifest?["IsEncrypted"]?.flag == true, restore.password == nil {
            missing.append("The backup is encrypted and its password is not known here.")
        }
        if try phone.value(domain: "com.apple.fmip", key: "IsAssociated")?.flag == true {
            missing.append("Find My is on: turn it off in the phone's settings.")
        }
        let battery = try phone.value(
            domain: "com.apple.mobile.battery", key: "BatteryCurrentCapacity")?.number
        if let battery, battery < Self.leastBattery {
            missing.append("The battery is at \(battery) %: charge it to \(Self.leastBattery) %.")
        }
        let room = try phone.value(
            domain: "com.apple.disk_usage", key: "TotalDataAvailable")?.unsignedNumber
        if let room, room < restore.byteCount &+ Self.headroom {
            missing.append("The phone has too little room: \(room >> 20) MiB are free.")
        }
        guard missing.isEmpty else {
            throw DeviceError(
                .refused, "Nothing was restored: " + missing.joined(separator: " ").dropLast(),
                advice: "Put right what is named, then run the restore again.")
        }
        return info
    }

    private func versionFault(_ info: PropertyList) throws(DeviceError) -> String? {
        guard let backup = info["Product Version"]?.text,
            let own = try phone.value(domain: nil, key: "ProductVersion")?.text,
            Self.numbers(own).lexicographicallyPrecedes(Self.numbers(backup))
        else { return nil }
        return "The backup is of iOS \(HostileText.escaped(backup, limit: 20)) and this phone has "
            + "iOS \(HostileText.escaped(own, limit: 20)): update the phone first."
    }

    private static func numbers(_ version: String) -> [Int] {
        var numbers = version.split(separator: ".").map { Int($0.prefix(9)) ?? 0 }
        while numbers.last == 0 { numbers.removeLast() }
        return numbers
    }
}
