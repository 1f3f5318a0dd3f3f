import BackupCore

/// One app that the phone's user installed.
struct InstalledApp {
    let bundle: String
    /// What lets the App Store give it back (ApplicationSINF).
    let licence: PropertyList?
    let metadata: PropertyList?
}

/// The apps of a phone, from installation_proxy.
enum InstalledApps {
    private static let patience = Duration.seconds(60)

    /// At most `limit` apps; more are passed over, because the list serves others and not us.
    static func list(
        on phone: any BackupPhone, limit: Int
    ) throws(DeviceError) -> [InstalledApp] {
        let service = PropertyListStream(
            try phone.start("com.apple.mobile.installation_proxy", withEscrowBag: false))
        defer { service.close() }
        try service.send(
            .dictionary([
                "Command": .string("Browse"),
                "ClientOptions": .dictionary([
                    "ApplicationType": .string("User"),
                    "ReturnAttributes": .array([
                        .string("CFBundleIdentifier"), .string("ApplicationSINF"),
                        .string("iTunesMetadata"),
                    ]),
                ]),
            ]), within: patience)
        var apps: [InstalledApp] = []
        // Each answer holds at least one app, but for the last.
        for _ in 0...limit {
            let answer = try service.receive(within: patience)
            for app in answer["CurrentList"]?.items ?? [] where apps.count < limit {
                guard let bundle = app["CFBundleIdentifier"]?.text else { continue }
                apps.append(
                    InstalledApp(
                        bundle: bundle, licence: app["ApplicationSINF"],
                        metadata: app["iTunesMetadata"]))
            }
            if answer["Status"]?.text == "Complete" || answer["Error"] != nil { break }
        }
        return apps
    }
}

/// The icons of a phone's apps, from springboardservices. They only adorn: whatever fails, there is
/// none.
final class AppIcons {
    private static let patience = Duration.seconds(10)
    private var service: PropertyListStream?

    init(_ phone: any BackupPhone) {
        // As said above.
        service = (try? phone.start("com.apple.springboardservices", withEscrowBag: false))
            .map { PropertyListStream($0) }
    }

    /// An app's icon as PNG; nil when there is none. After a failure no more are asked for.
    func icon(of bundle: String) -> [UInt8]? {
        guard let service else { return nil }
        do throws(DeviceError) {
            try service.send(
                .dictionary([
                    "command": .string("getIconPNGData"), "bundleId": .string(bundle),
                ]), within: Self.patience)
            return try service.receive(within: Self.patience)["pngData"]?.bytes
        } catch {
            close()
            return nil
        }
    }

    func close() {
        service?.close()
        service = nil
    }
}
