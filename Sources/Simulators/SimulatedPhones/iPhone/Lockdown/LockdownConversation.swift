import Foundation

/// One connection to lockdownd (port 62078): questions in property lists, in plain text until a
/// session is started and in TLS while it lasts.
final class LockdownConversation {
    static let port: UInt16 = 62078
    private static let longestRequest = 1 << 20

    let phone: SimulatediPhone
    private let connection: LineConnection
    private var stream: any ServiceStream
    private var session: Session?

    /// A session with a host that the phone trusts.
    private struct Session {
        let id: String
        let host: TrustedHost
        let stream: TLSStream
    }

    /// An answer without an `Error`, or the error's name.
    enum Answer {
        case values([String: PropertyList])
        case failure(String)
        static let done = Answer.values([:])
    }

    init(_ connection: LineConnection, phone: SimulatediPhone) {
        self.connection = connection
        self.phone = phone
        stream = PlainStream(connection)
    }

    /// The host of the session; nil when there is none.
    var host: TrustedHost? { session?.host }

    /// Answers until the host leaves, which throws.
    func run() throws {
        while true {
            let request = try stream.readMessage(limit: Self.longestRequest)
            let name = request["Request"]?.text ?? ""
            try phone.line.reach("lockdown." + name)
            switch name {
            case "StartSession": try startSession(request)
            case "StopSession": try stopSession(request)
            default: try reply(answer(name, request), to: request)
            }
        }
    }

    private func reply(_ answer: Answer, to request: PropertyList) throws {
        var entries: [String: PropertyList] = [:]
        // Part of the answer, as on phones: which question it belongs to.
        for key in ["Request", "Domain", "Key", "Service"] { entries[key] = request[key] }
        switch answer {
        case .values(let values): entries.merge(values) { _, new in new }
        case .failure(let name): entries["Error"] = .string(name)
        }
        try stream.writeMessage(.dictionary(entries), asXML: true)
    }

    private func answer(_ name: String, _ request: PropertyList) -> Answer {
        switch name {
        case "QueryType": return .values(["Type": "com.apple.mobile.lockdown"])
        case "GetValue": return getValue(request)
        case "SetValue": return setValue(request)
        case "RemoveValue": return removeValue(request)
        case "Pair": return pair(request)
        case "ValidatePair": return validatePair(request)
        case "Unpair": return unpair(request)
        case "StartService": return startService(request)
        case "Goodbye": return .done
        default: return .failure("InvalidRequest")
        }
    }

    // MARK: sessions

    private func startSession(_ request: PropertyList) throws {
        guard session == nil else { return try reply(.failure("SessionActive"), to: request) }
        guard let id = request["HostID"]?.text else {
            return try reply(.failure("MissingHostID"), to: request)
        }
        // Before the first unlock the phone cannot read whom it trusts.
        guard phone.screen.lock != .beforeFirstUnlock else {
            return try reply(.failure("PasswordProtected"), to: request)
        }
        guard let host = phone.trust.host(id), host.systemBUID == request["SystemBUID"]?.text
        else { return try reply(.failure("InvalidHostID"), to: request) }
        let session = UUID().uuidString
        try reply(
            .values(["SessionID": .string(session), "EnableSessionSSL": true]), to: request)
        let encrypted = try TLSStream(connection, session: try host.session(key: phone.key))
        self.session = Session(id: session, host: host, stream: encrypted)
        stream = encrypted
        phone.count { $0.sessions += 1 }
    }

    private func stopSession(_ request: PropertyList) throws {
        guard let current = session else {
            return try reply(.failure("SessionInactive"), to: request)
        }
        guard request["SessionID"]?.text == current.id else {
            return try reply(.failure("InvalidSessionID"), to: request)
        }
        try reply(.done, to: request)
        try current.stream.endEncryption()
        session = nil
        stream = PlainStream(connection)
    }

    // MARK: values

    private func getValue(_ request: PropertyList) -> Answer {
        let domain = request["Domain"]?.text
        guard let key = request["Key"]?.text else {
            let all = phone.values.all(of: domain).filter { entry in
                session != nil || LockdownValues.isOpen(domain: domain, key: entry.key)
            }
            return .values(["Value": .dictionary(all)])
        }
        guard session != nil || LockdownValues.isOpen(domain: domain, key: key) else {
            return .failure("GetProhibited")
        }
        guard let value = phone.values[domain, key] else { return .failure("MissingValue") }
        return .values(["Value": value])
    }

    private func setValue(_ request: PropertyList) -> Answer {
        guard session != nil else { return .failure("SessionInactive") }
        guard let key = request["Key"]?.text else { return .failure("MissingKey") }
        guard let value = request["Value"] else { return .failure("MissingValue") }
        let domain = request["Domain"]?.text
        guard LockdownValues.isWritable(domain: domain, key: key) else {
            return .failure("SetProhibited")
        }
        phone.values[domain, key] = value
        if domain == nil, key == "DeviceName" {
            phone.notifications.post("com.apple.mobile.lockdown.device_name_changed")
        }
        return .values(["Value": value])
    }

    private func removeValue(_ request: PropertyList) -> Answer {
        guard session != nil else { return .failure("SessionInactive") }
        guard let key = request["Key"]?.text else { return .failure("MissingKey") }
        // The values without a domain are the phone's own.
        guard let domain = request["Domain"]?.text,
            LockdownValues.isWritable(domain: domain, key: key)
        else { return .failure("RemoveProhibited") }
        phone.values[domain, key] = nil
        return .done
    }

    // MARK: services

    private func startService(_ request: PropertyList) -> Answer {
        guard let name = request["Service"]?.text else { return .failure("MissingService") }
        guard let service = phone.services[name] else { return .failure("InvalidService") }
        guard !phone.options.deniedServices.contains(name) else {
            return .failure("ServiceProhibited")
        }
        guard let host else {
            guard service.isOpenToStrangers else { return .failure("SessionInactive") }
            return .values(["Port": .number(phone.announce(service, for: nil))])
        }
        if service.needsEscrowBag, phone.screen.lock != .unlocked {
            guard let bag = request["EscrowBag"]?.bytes else {
                return .failure("PasswordProtected")
            }
            guard bag == host.escrowBag else { return .failure("EscrowLocked") }
        }
        return .values([
            "Port": .number(phone.announce(service, for: host)), "EnableServiceSSL": true,
        ])
    }
}
