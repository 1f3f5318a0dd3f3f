import Foundation

/// Darwin notifications of a phone: names that are posted and heard. Posting never waits for
/// whoever hears.
package final class NotificationHub: Sendable {
    private let state = Monitor(State())

    private struct State {
        var observers: [Int: Observer] = [:]
        var nextNumber = 0
        /// The newest names, for tests.
        var history: [String] = []
    }

    private struct Observer {
        var names: Set<String> = []
        var inbox: [String] = []
        var isClosed = false
    }

    /// How many names are kept, for one observer or as history.
    private static let limit = 1000

    init() {}

    /// Posts a name to everybody who observes it.
    package func post(_ name: String) {
        state.locked { state in
            if state.history.count < Self.limit { state.history.append(name) }
            for number in state.observers.keys {
                guard let observer = state.observers[number], observer.names.contains(name),
                    observer.inbox.count < Self.limit
                else { continue }
                state.observers[number]?.inbox.append(name)
            }
        }
    }

    /// What was posted so far, by the phone and by hosts, at most the first 1,000.
    package var history: [String] { state.locked { $0.history } }

    func resetHistory() {
        state.locked { $0.history = [] }
    }

    /// A new observer's number.
    func join() -> Int {
        state.locked { state in
            state.nextNumber += 1
            state.observers[state.nextNumber] = Observer()
            return state.nextNumber
        }
    }

    func observe(_ name: String, by number: Int) {
        state.locked { state in
            guard let names = state.observers[number]?.names, names.count < Self.limit else {
                return
            }
            state.observers[number]?.names.insert(name)
        }
    }

    /// Wakes the observer's `next` for the last time.
    func leave(_ number: Int) {
        state.locked { $0.observers[number] = nil }
    }

    /// The next name for the observer, waiting for one; nil after it left.
    func next(for number: Int) -> String? {
        state.waiting { state in
            guard let observer = state.observers[number] else { return .done(nil) }
            guard !observer.inbox.isEmpty else { return .wait(nil) }
            return .done(state.observers[number]?.inbox.removeFirst())
        }
    }
}

/// com.apple.mobile.notification_proxy: hosts observe and post notifications. The insecure
/// variant serves hosts that are not paired, in plain text.
struct NotificationProxyService: LockdownService {
    let name: String
    let isOpenToStrangers: Bool

    static let secure = NotificationProxyService(
        name: "com.apple.mobile.notification_proxy", isOpenToStrangers: false)
    static let insecure = NotificationProxyService(
        name: "com.apple.mobile.insecure_notification_proxy", isOpenToStrangers: true)

    func serve(_ stream: any ServiceStream, phone: SimulatediPhone) throws {
        let hub = phone.notifications
        let number = hub.join()
        defer { hub.leave(number) }
        Thread.detachNewThread {
            while let name = hub.next(for: number) {
                do {
                    try stream.writeMessage([
                        "Command": "RelayNotification", "Name": .string(name),
                    ])
                } catch { return }
            }
        }
        while true {
            let request = try stream.readMessage()
            let name = request["Name"]?.text
            switch request["Command"]?.text {
            case "ObserveNotification": if let name { hub.observe(name, by: number) }
            case "PostNotification": if let name { hub.post(name) }
            case "Shutdown": return try stream.writeMessage(["Command": "ProxyDeath"])
            default: break
            }
        }
    }
}
