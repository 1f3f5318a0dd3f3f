/// com.apple.mobilebackup2 of a simulated iPhone.
package struct BackupService: LockdownService {
    /// What makes and takes the backups.
    package let agent: BackupAgent

    /// The service of an agent.
    package init(_ agent: BackupAgent) {
        self.agent = agent
    }

    package var name: String { "com.apple.mobilebackup2" }
    package var needsEscrowBag: Bool { true }

    package func serve(_ stream: any ServiceStream, phone: SimulatediPhone) throws {
        try agent.serve(stream, for: phone)
    }

    package func answer(_ words: [String]) -> String? {
        guard let command = BackupCommand(control: words) else { return nil }
        do {
            return PhoneControl.encoded(try agent.perform(command))
        } catch {
            return PhoneControl.encoded(["error": "\(error)"])
        }
    }
}

extension SimulatediPhone: BackupPhone {
    package var backupFacts: BackupPhoneFacts {
        var facts = BackupPhoneFacts(
            udid: options.udid, productVersion: options.productVersion,
            buildVersion: options.buildVersion, productType: options.productType,
            deviceName: values[nil, "DeviceName"]?.text ?? options.name,
            serialNumber: options.serial)
        facts.hasPasscode = screen.hasPasscode
        facts.apps = apps.filter { !$0.isSystem }.map(\.bundleID)
        facts.freeBytes =
            values["com.apple.disk_usage", "AmountDataAvailable"]?.unsigned ?? facts.freeBytes
        facts.hasFindMy = values["com.apple.fmip", "IsAssociated"]?.truth ?? false
        facts.isSetUp = values["com.apple.purplebuddy", "SetupDone"]?.truth ?? true
        facts.restartCount = counters.restarts
        return facts
    }

    package func askForPasscode(while isWanted: @escaping @Sendable () -> Bool) -> Bool {
        screen.askForPasscode(while: isWanted) == .entered
    }

    package func backupDomainChanged(willEncrypt: Bool) {
        values["com.apple.mobile.backup", "WillEncrypt"] = .boolean(willEncrypt)
        notifications.post("com.apple.mobile.backup.domain_changed")
    }

    package func restartAfterRestore() {
        restart(forgetsHosts: true)
    }
}
