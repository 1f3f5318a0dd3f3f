/// com.apple.mobile.diagnostics_relay: what the hardware says, and restarting it.
struct DiagnosticsRelayService: LockdownService {
    let name = "com.apple.mobile.diagnostics_relay"

    func serve(_ stream: any ServiceStream, phone: SimulatediPhone) throws {
        while true {
            let request = try stream.readMessage()
            switch request["Request"]?.text {
            case "Goodbye": return try stream.writeMessage(["Status": "Success"])
            case "Sleep", "Shutdown": try stream.writeMessage(["Status": "Success"])
            case "Restart":
                try stream.writeMessage(["Status": "Success"])
                phone.restart()
            case "MobileGestalt":
                let keys = request["MobileGestaltKeys"]?.items?.compactMap(\.text) ?? []
                try stream.writeMessage([
                    "Status": "Success",
                    "Diagnostics": ["MobileGestalt": gestalt(keys, of: phone)],
                ])
            case "IORegistry":
                let battery = phone.values["com.apple.mobile.battery", "BatteryCurrentCapacity"]
                try stream.writeMessage([
                    "Status": "Success",
                    "Diagnostics": [
                        "IORegistry": [
                            "CurrentCapacity": battery ?? 0, "CycleCount": 321,
                            "IsCharging": true, "MaxCapacity": 100,
                        ]
                    ],
                ])
            case "All", "GasGauge", "HDMI", "NAND", "WiFi":
                try stream.writeMessage([
                    "Status": "Success",
                    "Diagnostics": ["GasGauge": ["CycleCount": 321, "Status": "Success"]],
                ])
            default: try stream.writeMessage(["Status": "UnknownRequest"])
            }
        }
    }

    private func gestalt(_ keys: [String], of phone: SimulatediPhone) -> PropertyList {
        var answer: [String: PropertyList] = ["Status": "Success"]
        for key in keys {
            let value =
                key == "PasswordConfigured"
                ? .boolean(phone.screen.hasPasscode) : phone.values[nil, key]
            answer[key] = value ?? ["Status": "MobileGestaltDeprecated"]
        }
        return .dictionary(answer)
    }
}

/// com.apple.springboardservices: the home screen, as far as backups want it.
struct SpringBoardService: LockdownService {
    let name = "com.apple.springboardservices"

    func serve(_ stream: any ServiceStream, phone: SimulatediPhone) throws {
        while true {
            let request = try stream.readMessage()
            switch request["command"]?.text {
            case "getIconPNGData":
                let isKnown = phone.apps.contains { $0.bundleID == request["bundleId"]?.text }
                try stream.writeMessage(["pngData": .data(isKnown ? Self.dot : [])])
            case "getHomeScreenWallpaperPNGData", "getHomeScreenWallpaperPreviewImage":
                try stream.writeMessage(["pngData": .data(Self.dot)])
            case "getInterfaceOrientation":
                try stream.writeMessage(["interfaceOrientation": 1])
            case "getIconState":
                let icons = phone.apps.map { app -> PropertyList in
                    ["bundleIdentifier": .string(app.bundleID), "displayName": .string(app.name)]
                }
                try stream.writeMessage([.array(icons)])
            default: try stream.writeMessage([:])
            }
        }
    }

    /// A PNG of one grey dot.
    private static let dot: [UInt8] =
        Base64.decode(
            "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAAAAAA6fptVAAAACklEQVR4nGNgAAAAAgABSK+kcQAAAABJRU5ErkJggg=="
                .utf8) ?? []
}

/// com.apple.mobile.assertion_agent: keeps the phone awake while the connection lasts.
struct AssertionAgentService: LockdownService {
    let name = "com.apple.mobile.assertion_agent"

    func serve(_ stream: any ServiceStream, phone: SimulatediPhone) throws {
        while true {
            let request = try stream.readMessage()
            guard request["CommandKey"]?.text == "CommandCreateAssertion",
                let kind = request["AssertionTypeKey"]?.text
            else {
                try stream.writeMessage(["Error": "InvalidCommand"])
                continue
            }
            phone.count { $0.assertions[kind, default: 0] += 1 }
            try stream.writeMessage(["Status": "Success"])
        }
    }
}
