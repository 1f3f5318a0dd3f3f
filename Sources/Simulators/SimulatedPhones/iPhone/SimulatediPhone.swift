import Foundation
import Synchronization

/// An iPhone behind a simulated usbmuxd, in this process. Programs on libusbmuxd reach it with
/// the environment that the mux gives; it lasts until `stop`. What it knows and holds lies in
/// its folder and is there again for the next phone with the same UDID and mux.
package final class SimulatediPhone: Sendable {
    /// How it was set up.
    package let options: IPhoneOptions
    /// The phone's storage: a folder of its own, named by the UDID, in the mux's.
    package let folder: String
    /// The folder that AFC serves.
    package let mediaFolder: String
    /// What GetValue tells.
    package let values: LockdownValues
    /// Notifications inside the phone.
    package let notifications = NotificationHub()
    /// The lock, the trust dialog and the passcode prompt.
    package let screen: PhoneScreen
    /// The apps it has.
    package let apps = InstalledApp.usual
    let services: [String: any LockdownService]
    let line: PhoneLine
    let trust: PhoneTrust
    let key: PhoneKey
    /// What it puts into backups.
    package let backup: BackupAgent
    let afcFaults = AFCFaults()
    let mux: SimulatedUSBMux
    private let ports = Mutex(Ports())
    private let counts = Mutex(IPhoneCounters())
    private let control = Mutex<ControlServer?>(nil)

    /// Services that lockdownd has started and nobody has connected to yet.
    private struct Ports {
        /// 49152 and up, as phones give them out.
        var next: UInt16 = 49_152
        var waiting: [UInt16: (service: any LockdownService, host: TrustedHost?)] = [:]
    }

    /// Plugs a phone into the mux, with `services` besides the usual ones (of two with one name,
    /// the given one counts). It takes commands at `controlSocket`, when there is one. Throws when
    /// its folder or the socket cannot be set up.
    package init(
        options: IPhoneOptions, services: [any LockdownService] = [], mux: SimulatedUSBMux,
        controlSocket: String? = nil
    ) throws {
        self.options = options
        self.mux = mux
        folder = mux.directory + "/" + options.udid
        try FileManager.default.createDirectory(
            atPath: folder, withIntermediateDirectories: true)
        key = try Self.key(keptAt: folder + "/device.key")
        mediaFolder = options.mediaFolder ?? folder + "/Media"
        if !FileManager.default.fileExists(atPath: mediaFolder) {
            try MediaContent.write(options.media, to: mediaFolder)
        }
        values = LockdownValues(options: options, publicKey: key.publicPEM)
        backup = try BackupAgent(options: options.backup, scratch: folder + "/Backup")
        values["com.apple.mobile.backup", "WillEncrypt"] = .boolean(backup.willEncrypt)
        screen = PhoneScreen(options: options, notifications: notifications)
        trust = PhoneTrust(path: folder + "/trust.plist", key: key)
        line = PhoneLine(model: options.link)
        let usual: [any LockdownService] = [
            AFCService(), NotificationProxyService.secure, NotificationProxyService.insecure,
            InstallationProxyService(), DiagnosticsRelayService(), SpringBoardService(),
            AssertionAgentService(), BackupService(backup),
        ]
        self.services = Dictionary((usual + services).map { ($0.name, $0) }) { _, given in given }
        line.observe { [weak self] isPlugged in self?.cableChanged(isPlugged) }
        if let controlSocket {
            let server = try ControlServer(path: controlSocket) { [weak self] words in
                self?.answer(words)
            }
            control.withLock { $0 = server }
        }
        line.plug()
    }

    private func cableChanged(_ isPlugged: Bool) {
        guard isPlugged else { return mux.detach(self) }
        screen.replugged()
        mux.attach(self)
    }

    /// The phone's key, made at its first start.
    private static func key(keptAt path: String) throws -> PhoneKey {
        if let kept = FileManager.default.contents(atPath: path) {
            return try PhoneKey(privateBytes: Array(kept))
        }
        let key = try PhoneKey()
        let isKept = FileManager.default.createFile(
            atPath: path, contents: Data(key.privateBytes), attributes: [.posixPermissions: 0o600])
        guard isKept else { throw SocketProblem(description: "Cannot write \(path).") }
        return key
    }

    /// Pulls the cable for good and ends the control socket.
    package func stop() {
        line.unplug()
        control.withLock { $0 }?.end()
    }

    /// Restarts: the cable's connections end, the phone is gone for `duration` and comes back
    /// locked as before its first unlock when it has a passcode. `forgetsHosts` as after a
    /// restore, which ends every trust.
    package func restart(after duration: Duration = .milliseconds(500), forgetsHosts: Bool = false)
    {
        let phone = self
        Thread.detachNewThread {
            // Whoever asked gets its answer first.
            sleep(for: .milliseconds(50))
            phone.line.unplug()
            phone.screen.setLock(.beforeFirstUnlock)
            if forgetsHosts { phone.trust.removeAll() }
            phone.count { $0.restarts += 1 }
            sleep(for: duration)
            phone.line.plug()
        }
    }

    // MARK: what services need

    /// A service has come to a stage; the cable breaks here when it was asked to, which throws.
    package func reach(_ stage: String) throws {
        try line.reach(stage)
    }

    /// Waits as long as one operation of a service costs on this phone.
    package func waitForOperation() {
        let duration = line.model.perOperation
        if duration > .zero { sleep(for: duration) }
    }

    /// Changes the counters.
    func count(_ body: (inout IPhoneCounters) -> Void) {
        counts.withLock { body(&$0) }
    }

    /// Forgets what hosts did.
    func resetCounters() {
        count { $0 = IPhoneCounters() }
        line.resetTraffic()
        notifications.resetHistory()
    }

    /// What hosts did so far.
    package var counters: IPhoneCounters {
        var counters = counts.withLock { $0 }
        let traffic = line.traffic
        counters.bytesSent = traffic.out
        counters.bytesReceived = traffic.in
        counters.notifications = notifications.history
        return counters
    }

    // MARK: connections

    /// The port at which the service waits for one connection of the host.
    func announce(_ service: any LockdownService, for host: TrustedHost?) -> UInt16 {
        ports.withLock { ports in
            let port = ports.next
            ports.next = ports.next == .max ? 49_152 : ports.next + 1
            ports.waiting[port] = (service, host)
            return port
        }
    }

    /// What serves a connection to the port; nil when nothing listens there.
    func open(port: UInt16) -> ((StreamSocket) -> Void)? {
        guard line.isPlugged else { return nil }
        if port == LockdownConversation.port {
            return { [self] socket in
                serve(socket, as: "lockdown") { connection in
                    try LockdownConversation(connection, phone: self).run()
                }
            }
        }
        guard let (service, host) = ports.withLock({ $0.waiting.removeValue(forKey: port) }) else {
            return nil
        }
        return { [self] socket in
            serve(socket, as: service.name) { connection in
                var stream: any ServiceStream = PlainStream(connection)
                if let host {
                    stream = try TLSStream(connection, session: try host.session(key: key))
                }
                count { $0.services[service.name, default: 0] += 1 }
                try reach(service.name)
                try service.serve(stream, phone: self)
            }
        }
    }

    private func serve(
        _ socket: StreamSocket, as name: String, _ body: (LineConnection) throws -> Void
    ) {
        defer { socket.end() }
        guard line.attach(socket) else { return }
        defer { line.detach(socket) }
        do {
            try body(LineConnection(socket, over: line, service: name))
        } catch is StreamEnd {
            // The usual end: the host has left, or the cable was pulled.
        } catch {
            count { $0.addProblem("\(name): \(error)") }
        }
    }
}

/// What hosts did, so that tests can prove what they did and did not.
package struct IPhoneCounters: Codable, Sendable, Equatable {
    /// How often each service was started.
    package var services: [String: Int] = [:]
    /// Bytes on the wire from the phone and to it, by service ("lockdown" among them).
    package var bytesSent: [String: UInt64] = [:]
    package var bytesReceived: [String: UInt64] = [:]
    /// Bytes of files read over AFC, by path ("/DCIM/100APPLE/IMG_0001.HEIC").
    package var bytesRead: [String: UInt64] = [:]
    /// Lockdown sessions, pairings that succeeded, restarts.
    package var sessions = 0
    package var pairings = 0
    package var restarts = 0
    /// Power assertions by type.
    package var assertions: [String: Int] = [:]
    /// Notifications posted by the phone and by hosts, at most the first 1,000.
    package var notifications: [String] = []
    /// What went wrong on the phone's side, such as a host with a foreign certificate.
    package var problems: [String] = []

    /// Nothing yet.
    package init() {}

    mutating func addProblem(_ text: String) {
        if problems.count < 100 { problems.append(text) }
    }
}
