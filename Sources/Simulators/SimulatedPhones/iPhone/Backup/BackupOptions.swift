/// How the backup side of a simulated iPhone is set up.
package struct BackupOptions: Sendable {
    /// What it holds.
    package var data = PhoneDataSpec()
    /// Backup password from the start; nil is an unencrypted backup.
    package var password: String?
    /// What deriving keys costs.
    package var keyBagCost = KeyBagCost()
    /// A host that vanishes in the middle leaves a snapshot: backups end with 3 until a restart.
    package var keepsSnapshotOfDeadHost = false
    /// Bytes of content per block of an upload.
    package var blockSize = 256 << 10

    /// A phone that behaves.
    package init() {}

    /// Sets one option by its name on the command line, without "backup-"; false when there is
    /// none of that name or the value does not fit. An empty phone has 0 files and 0 bytes.
    mutating func set(_ name: String, to value: String) -> Bool {
        switch (name, UInt64(value)) {
        case ("password", _): password = value.isEmpty ? nil : value
        case ("files", let count?):
            data = PhoneDataSpec(
                fileCount: Int(clamping: count), byteCount: data.byteCount, seed: data.seed)
        case ("bytes", let count?):
            data = PhoneDataSpec(fileCount: data.fileCount, byteCount: count, seed: data.seed)
        case ("seed", let seed?): data.seed = seed
        case ("rounds", let rounds?):
            keyBagCost = KeyBagCost(first: Int(clamping: rounds), second: Int(clamping: rounds))
        case ("block", let count?): blockSize = Int(clamping: count)
        case ("stale-snapshot", _):
            guard let keeps = Bool(value) else { return false }
            keepsSnapshotOfDeadHost = keeps
        default: return false
        }
        return true
    }
}

/// What a backup says of its phone.
package struct BackupPhoneFacts: Sendable {
    /// UDID, the name of the backup's folder.
    package var udid: String
    /// iOS version, such as "17.5.1".
    package var productVersion: String
    /// Such as "21F90".
    package var buildVersion: String
    /// Such as "iPhone14,5".
    package var productType: String
    /// Name its owner gave it.
    package var deviceName: String
    /// Serial number.
    package var serialNumber: String
    /// Whether a passcode is set.
    package var hasPasscode = false
    /// Bundle identifiers of installed apps.
    package var apps: [String] = []
    /// Free bytes, for restores.
    package var freeBytes: UInt64 = 64_000_000_000
    /// Whether Find My is on, which forbids restores.
    package var hasFindMy = false
    /// Whether the set-up assistant is through.
    package var isSetUp = true
    /// How often the phone was restarted.
    package var restartCount = 0

    /// Facts of one phone.
    package init(
        udid: String, productVersion: String, buildVersion: String, productType: String,
        deviceName: String, serialNumber: String
    ) {
        self.udid = udid
        self.productVersion = productVersion
        self.buildVersion = buildVersion
        self.productType = productType
        self.deviceName = deviceName
        self.serialNumber = serialNumber
    }

    /// Whether the version is `major.minor` or newer.
    func isAtLeast(_ major: Int, _ minor: Int) -> Bool {
        !Self.isOlder(productVersion, than: "\(major).\(minor)")
    }

    /// Compares versions number by number.
    static func isOlder(_ version: String, than other: String) -> Bool {
        func numbers(_ text: String) -> [Int] {
            text.split(separator: ".").map { Int($0) ?? 0 }
        }
        return numbers(version).lexicographicallyPrecedes(numbers(other))
    }
}

/// What the backup agent needs of the phone around it.
package protocol BackupPhone: Sendable {
    /// What it is now.
    var backupFacts: BackupPhoneFacts { get }
    /// Shows the passcode prompt and waits; whether the passcode was entered. `isWanted` is asked
    /// meanwhile, so that the prompt goes when the host has gone.
    func askForPasscode(while isWanted: @escaping @Sendable () -> Bool) -> Bool
    /// The backup password was set, changed or removed; hosts that observe it are told.
    func backupDomainChanged(willEncrypt: Bool)
    /// A stage begins; throws ``StreamEnd`` when the cable breaks there.
    func reach(_ stage: String) throws
    /// Restarts after a restore: leaves, forgets all hosts, comes back.
    func restartAfterRestore()
}
