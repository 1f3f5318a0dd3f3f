package import BackupCore
import Glibc

/// One phone and the session with its lockdownd: what the phone tells of itself, and the services
/// it starts. Blocking, for one thread.
///
/// lockdownd drops a connection that is idle for some time, so a session is opened when it is
/// needed and opened again when it has gone.
package final class LockdownSession {
    /// How often a service that the phone refuses to start is asked for.
    private static let tries = 3

    /// Checked: letters, digits and hyphens (see ``MuxClient/udid(_:)``).
    package let udid: String
    private let device: MobileDevice
    private var pairing = Pairing()
    /// The connection with an open session; nil until one is needed.
    private var client: LockdownClient?

    /// Finds the phone on USB without speaking with it; `gone` when it is not there.
    init(udid: String) throws(DeviceError) {
        self.udid = udid
        device = try MobileDevice(udid: udid)
    }

    /// Opens a session, if there is none: the phone must be unlocked, trust this box and have
    /// been unlocked since it was started. What is missing is the error (see ``Pairing``).
    package func open() throws(DeviceError) {
        guard !isOpen else { return }
        try pairing.step(self)
        guard let host = MuxClient.pairRecord(udid)?["HostID"]?.text else {
            throw LockdownCode.missingRecord.openingError(hadRecord: false)
        }
        let opened = try LockdownClient(device)
        let answer = opened.startSession(hostID: host)
        guard answer.code == .success else {
            throw answer.code.openingError(hadRecord: true)
        }
        // Whoever sits in the cable could ask for plain text to get the secrets sent in it.
        guard answer.isEncrypted else { throw Self.plainText }
        client = consume opened
    }

    /// Starts a service and connects to it, encrypted. `withEscrowBag` hands the phone the key
    /// with which it opens its data while the screen is locked (mobilebackup2 needs it).
    ///
    /// Throws what ``open()`` throws, `refused` or `unsuitable` for a service that is not to be
    /// had, and `gone`.
    package func start(
        _ service: String, withEscrowBag: Bool = false
    ) throws(DeviceError) -> any ServiceConnection {
        let started = try ask(service) { client throws(DeviceError) in
            let answer = client.startService(service, withEscrowBag: withEscrowBag)
            return (answer.code, (port: answer.port, isEncrypted: answer.isEncrypted))
        }
        guard started.isEncrypted else { throw Self.plainText }
        return try device.connect(port: started.port)
    }

    /// A value that lockdownd keeps, within the session; nil when the phone has none or keeps it
    /// to itself. A nil `key` gives the whole domain.
    package func value(
        domain: String? = nil, key: String?
    ) throws(DeviceError) -> PropertyList? {
        try ask(domain ?? "lockdown") { client throws(DeviceError) in
            let answer = try client.value(domain: domain, key: key)
            return answer.code.meansNoValue
                ? (.success, PropertyList?.none) : (answer.code, answer.value)
        }
    }

    /// Sets a value that lockdownd keeps.
    package func setValue(
        _ value: PropertyList, domain: String?, key: String
    ) throws(DeviceError) {
        try ask(domain ?? "lockdown") { client throws(DeviceError) in
            (client.setValue(value, domain: domain, key: key), ())
        }
    }

    /// What a phone tells anybody, also before it trusts this box.
    func publicFacts() throws(DeviceError) -> PublicFacts {
        let client = try LockdownClient(device)
        if let daemon = client.daemon(), daemon != "com.apple.mobile.lockdown" {
            throw DeviceError(
                .unsuitable, "This iPhone is being restored or is in recovery mode",
                advice: "Restart it, or finish the restore with the computer that began it.")
        }
        return PublicFacts(
            name: try Self.text("DeviceName", of: client),
            productType: try Self.text("ProductType", of: client),
            productVersion: try Self.text("ProductVersion", of: client))
    }

    private static func text(
        _ key: String, of client: borrowing LockdownClient
    ) throws(DeviceError) -> String {
        let answer = try client.value(domain: nil, key: key)
        guard answer.code == .success || answer.code.meansNoValue else {
            throw answer.code.openingError(hadRecord: false)
        }
        return String(decoding: (answer.value?.text ?? "").utf8.prefix(1024), as: UTF8.self)
    }

    /// Asks within a session. A session that was dropped meanwhile is opened again, once; a
    /// service that the phone does not start at once is asked for a few times.
    private func ask<Value>(
        _ what: String,
        _ body: (borrowing LockdownClient) throws(DeviceError) -> (LockdownCode, Value)
    ) throws(DeviceError) -> Value {
        var code = LockdownCode.success
        var hasReopened = false
        for attempt in 0..<Self.tries {
            if attempt > 0, !hasReopened { usleep(200_000) }
            try open()
            let result: (code: LockdownCode, value: Value)
            switch client {
            case .some(let client): result = try body(client)
            case .none: continue
            }
            code = result.code
            if code == .success { return result.value }
            if code.meansDroppedSession, !hasReopened {
                hasReopened = true
                client = nil
            } else if !code.isWorthAnotherTry {
                break
            }
        }
        guard isPluggedIn() else {
            throw DeviceError(.gone, "The phone was unplugged", nativeCode: code.rawValue)
        }
        throw code.serviceError(what)
    }

    private var isOpen: Bool {
        switch client {
        case .some: true
        case .none: false
        }
    }

    private static var plainText: DeviceError {
        DeviceError(
            .protocolViolation, "The phone asks to go on without encryption",
            advice: "Connect the phone with another cable, straight to this box.")
    }
}

extension LockdownSession: PairingPhone {
    func hasRecord() -> Bool { MuxClient.pairRecord(udid) != nil }

    func forgetRecord() { MuxClient.deletePairRecord(udid) }

    func tryToOpen() -> LockdownCode { device.handshake() }

    func isPluggedIn() -> Bool { MuxClient.phones().contains { $0.udid == udid } }
}

/// What a phone tells of itself to anybody; hostile text of at most 1 KiB each.
struct PublicFacts {
    let name: String
    let productType: String
    let productVersion: String
}

extension LockdownCode {
    /// There is no such value, or it is not for us: missing key, missing value, get prohibited.
    var meansNoValue: Bool { (-13 ... -11).contains(rawValue) }

    /// The session is not there any more, or the connection broke: plist, SSL, timeout, mux, no
    /// running session, invalid response, -22 to -25, unknown.
    var meansDroppedSession: Bool {
        [-3, -5, -7, -8, -9, -10, -22, -23, -24, -25, -256].contains(rawValue)
    }
}
