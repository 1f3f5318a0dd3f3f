/// An app that the phone has.
package struct InstalledApp: Sendable, Equatable {
    /// Bundle identifier.
    package var bundleID: String
    /// Name under the icon.
    package var name: String
    /// Version for people and for machines.
    package var version: String
    /// Whether it came with the phone.
    package var isSystem = false

    /// A few that nearly everybody has, some invented.
    static let usual = [
        InstalledApp(bundleID: "net.whatsapp.WhatsApp", name: "WhatsApp", version: "24.15.80"),
        InstalledApp(bundleID: "com.spotify.client", name: "Spotify", version: "8.9.60"),
        InstalledApp(bundleID: "org.example.notes", name: "Notes & More", version: "1.2"),
        InstalledApp(
            bundleID: "com.apple.mobilesafari", name: "Safari", version: "17.6", isSystem: true),
        InstalledApp(
            bundleID: "com.apple.MobileSMS", name: "Messages", version: "17.6", isSystem: true),
    ]

    /// What installation_proxy says about it.
    var attributes: [String: PropertyList] {
        var attributes: [String: PropertyList] = [
            "ApplicationType": isSystem ? "System" : "User",
            "CFBundleDisplayName": .string(name), "CFBundleIdentifier": .string(bundleID),
            "CFBundleName": .string(name), "CFBundleShortVersionString": .string(version),
            "CFBundleVersion": .string(version),
            "Path": .string("/private/var/containers/Bundle/Application/\(bundleID)/App.app"),
        ]
        guard !isSystem else { return attributes }
        attributes["Container"] = .string("/private/var/mobile/Containers/Data/\(bundleID)")
        attributes["ApplicationSINF"] = .data(Array("sinf of \(bundleID)".utf8))
        attributes["iTunesMetadata"] = .data(
            PropertyList.dictionary([
                "itemName": .string(name), "softwareVersionBundleId": .string(bundleID),
            ]).encodeBinary())
        return attributes
    }
}

/// com.apple.mobile.installation_proxy: which apps there are.
struct InstallationProxyService: LockdownService {
    let name = "com.apple.mobile.installation_proxy"

    /// How many apps one answer of Browse holds, as on phones.
    private static let pageSize = 20

    func serve(_ stream: any ServiceStream, phone: SimulatediPhone) throws {
        while true {
            let request = try stream.readMessage()
            let apps = selected(phone.apps, by: request["ClientOptions"])
            switch request["Command"]?.text {
            case "Browse": try browse(apps, on: stream)
            case "Lookup":
                let found = Dictionary(
                    apps.map { ($0["CFBundleIdentifier"]?.text ?? "", PropertyList.dictionary($0)) }
                ) { first, _ in first }
                try stream.writeMessage([
                    "Status": "Complete", "LookupResult": .dictionary(found),
                ])
            case nil: try stream.writeMessage(["Error": "MissingCommand"])
            default: try stream.writeMessage(["Error": "UnknownCommand"])
            }
        }
    }

    private func browse(_ apps: [[String: PropertyList]], on stream: any ServiceStream) throws {
        for start in stride(from: 0, to: apps.count, by: Self.pageSize) {
            let page = apps[start..<min(start + Self.pageSize, apps.count)]
            try stream.writeMessage([
                "Status": "BrowsingApplications", "CurrentIndex": .number(start),
                "CurrentAmount": .number(page.count),
                "CurrentList": .array(page.map(PropertyList.dictionary)),
            ])
        }
        try stream.writeMessage(["Status": "Complete"])
    }

    private func selected(
        _ apps: [InstalledApp], by options: PropertyList?
    ) -> [[String: PropertyList]] {
        let type = options?["ApplicationType"]?.text
        let wanted = options?["ReturnAttributes"]?.items.map { Set($0.compactMap(\.text)) }
        let bundles = options?["BundleIDs"]?.items.map { Set($0.compactMap(\.text)) }
        return
            apps
            .filter { app in
                (type == nil || type == "Any" || (type == "System") == app.isSystem)
                    && bundles?.contains(app.bundleID) ?? true
            }
            .map { app in app.attributes.filter { wanted?.contains($0.key) ?? true } }
    }
}
