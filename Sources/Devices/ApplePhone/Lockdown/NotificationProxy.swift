package import BackupCore

/// The phone's notifications: observed ones are asked for, none is pushed into a callback.
package final class NotificationProxy {
    /// The service's name for lockdownd.
    package static let service = "com.apple.mobile.notification_proxy"
    private static let patience = Duration.seconds(30)

    private let stream: PropertyListStream

    /// Notifications over a started service.
    package init(_ connection: any ServiceConnection) {
        stream = PropertyListStream(
            connection,
            limits: PropertyList.Limits(bytes: 64 << 10, depth: 4, elements: 64, text: 4096))
    }

    /// Has the phone tell when `names` happen.
    package func observe(_ names: [String]) throws(DeviceError) {
        for name in names {
            try send("ObserveNotification", name)
        }
    }

    /// Tells the phone that `name` happened here.
    package func post(_ name: String) throws(DeviceError) { try send("PostNotification", name) }

    /// The names that the phone has told since, in order; waits for the first up to `limit`.
    package func next(within limit: Duration) throws(DeviceError) -> [String] {
        var names: [String] = []
        var wait = limit
        // Bounded, so that a phone that never stops to tell cannot keep us here.
        while names.count < 64, try stream.hasInput(within: wait) {
            wait = .zero
            let message = try stream.receive(within: Self.patience)
            switch message["Command"]?.text {
            case "RelayNotification":
                if let name = message["Name"]?.text { names.append(name) }
            case "ProxyDeath":
                throw DeviceError(.gone, "The phone ended its notifications")
            default: break
            }
        }
        return names
    }

    /// Ends the connection politely.
    package func close() {
        // The phone may be gone already, and nothing depends on its leave.
        try? stream.send(.dictionary(["Command": .string("Shutdown")]), within: .seconds(2))
        stream.close()
    }

    private func send(_ command: String, _ name: String) throws(DeviceError) {
        try stream.send(
            .dictionary(["Command": .string(command), "Name": .string(name)]),
            within: Self.patience)
    }
}
