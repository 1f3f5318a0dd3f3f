/// What a restore brings back, by the options of the request.
struct RestoreOptions {
    /// Settings of the system itself come back.
    var systemFiles: Bool
    /// The phone keeps its own settings.
    var preservesSettings: Bool
    /// What the backup lacks is deleted; apps need not be installed to get their data.
    var removesOthers: Bool
    var password: String?
    /// The host keeps a copy of the backup first.
    var copiesBackup: Bool

    /// Reads the request; what is not there counts as a phone takes it.
    init(_ options: PropertyList) {
        systemFiles = options["RestoreSystemFiles"]?.truth ?? false
        preservesSettings = options["RestorePreserveSettings"]?.truth ?? false
        removesOthers = options["RemoveItemsNotRestored"]?.truth ?? false
        copiesBackup = !(options["RestoreDontCopyBackup"]?.truth ?? false)
        password = options["Password"]?.text
    }

    private static let systemDomains: Set<String> = [
        "RootDomain", "SystemPreferencesDomain", "WirelessDomain", "ManagedPreferencesDomain",
        "NetworkDomain", "SysContainerDomain", "SysSharedContainerDomain", "DatabaseDomain",
    ]

    /// Whether an item of the backup comes back.
    func brings(
        domain: String, path: String, apps: [String], isProtected: Bool, isSamePhone: Bool
    ) -> Bool {
        if Self.systemDomains.contains(domain) { return systemFiles }
        if domain == "HomeDomain", path.hasPrefix("Library/Preferences") {
            return !preservesSettings
        }
        // Without a password the keychain is sealed with a key of the phone it comes from.
        if domain == "KeychainDomain" { return isProtected || isSamePhone }
        if domain.hasPrefix("AppDomain-"), !removesOthers {
            return apps.contains(String(domain.dropFirst("AppDomain-".count)))
        }
        return true
    }
}
