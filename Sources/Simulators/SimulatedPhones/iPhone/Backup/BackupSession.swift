import Synchronization

/// One connection: versions, then requests until the host leaves.
struct BackupSession {
    let agent: BackupAgent
    let link: DeviceLink
    let phone: any BackupPhone
    private let stream: any ServiceStream

    init(agent: BackupAgent, stream: any ServiceStream, phone: any BackupPhone) {
        self.agent = agent
        self.stream = stream
        self.phone = phone
        link = DeviceLink(stream)
    }

    /// DeviceLink versions; unpatched libimobiledevice 1.3.0 offers 300 and is refused by iOS 14.
    private static let linkVersion: Int64 = 400

    func run() throws {
        do {
            try greet()
            while true {
                let message = try link.receive()
                guard message.name == "DLMessageProcessMessage", message.items.count >= 2 else {
                    continue
                }
                guard try handle(message.items[1]) else { return }
            }
        } catch is HostLeft {
            return
        }
    }

    private func greet() throws {
        try link.send(["DLMessageVersionExchange", .integer(Self.linkVersion), 0])
        let answer = try link.receive()
        guard answer.name == "DLMessageVersionExchange",
            answer.items.count >= 2, answer.items[1].text == "DLVersionsOk"
        else { return try link.send(["DLMessageDisconnect", "Version mismatch"]) }
        try link.send(["DLMessageDeviceReady"])
        let hello = try link.receive()
        let versions = hello.items.dropFirst().first?["SupportedProtocolVersions"]?.items ?? []
        let isKnown = versions.contains { version in
            if case .real(let number) = version { return number == 2.0 || number == 2.1 }
            return version.integer == 2
        }
        try enter(.hello)
        guard isKnown else { return try respond(1, "No common protocol version") }
        try link.send([
            "DLMessageProcessMessage",
            ["MessageName": "Response", "ErrorCode": 0, "ProtocolVersion": .real(2.1)],
        ])
    }

    /// Does what the host asks for; false when the connection is over.
    private func handle(_ request: PropertyList) throws -> Bool {
        let name = request["MessageName"]?.text ?? ""
        var isRestored = false
        do {
            try enter(.request)
            try perform(name, request)
            try enter(.response)
            if agent.takeFault({ $0 == .noResponse }) != nil { return waitForHost() }
            try respond(0, "")
            isRestored = name == "Restore"
        } catch let failure as BackupFailure {
            try respond(failure.code, failure.description)
        } catch let problem as SQLiteProblem {
            try respond(104, "\(problem.description) (MBErrorDomain/104)")
        } catch is HostLeft {
            return false
        } catch {
            noteVanishedHost(in: name)
            throw error
        }
        guard isRestored else { return true }
        return staysAfterRestore(request["Options"] ?? [:])
    }

    private func perform(_ name: String, _ request: PropertyList) throws {
        switch name {
        case "Backup":
            try checkTarget(request)
            try askForPasscode(since: (16, 1))
            try BackupRun(self, request).run()
        case "Restore":
            try checkTarget(request)
            try RestoreRun(self, request).run()
        case "ChangePassword":
            try askForPasscode(since: (13, 0))
            try changePassword(request)
        case "EnableCloudBackup": break
        default:
            // Since iOS 10 phones no longer read host-side backups for Info, List and Unback.
            throw BackupFailure(1, "\(name.prefix(40)) is not supported")
        }
    }

    private func checkTarget(_ request: PropertyList) throws {
        guard request["TargetIdentifier"]?.text == phone.backupFacts.udid else {
            throw BackupFailure(1, "Invalid target identifier")
        }
        let stale = agent.state.withLock { $0.staleSnapshot }
        guard stale != phone.backupFacts.restartCount else {
            throw BackupFailure(3, "Failed to create snapshot: File exists")
        }
    }

    /// Asks for the passcode when one is set and iOS is at least `version`; throws 208 when it is
    /// not entered in time.
    private func askForPasscode(since version: (Int, Int)) throws {
        try enter(.prompt)
        guard phone.backupFacts.isAtLeast(version.0, version.1) else { return }
        let stream = stream
        // A host that speaks now, or is gone, no longer waits for the prompt.
        guard phone.askForPasscode(while: { !stream.canRead(within: .zero) }) else {
            throw BackupFailure(208, "Device locked")
        }
    }

    /// The final message of a job.
    private func respond(_ code: Int64, _ text: String) throws {
        agent.state.withLock { $0.counters.lastErrorCode = code }
        var response: [String: PropertyList] = [
            "MessageName": "Response", "ErrorCode": .integer(code),
        ]
        if code != 0 { response["ErrorDescription"] = .string(text) }
        try link.send(["DLMessageProcessMessage", .dictionary(response)])
    }

    private func noteVanishedHost(in name: String) {
        guard name == "Backup", agent.options.keepsSnapshotOfDeadHost else { return }
        let restarts = phone.backupFacts.restartCount
        agent.state.withLock { $0.staleSnapshot = restarts }
    }

    /// The final message was lost: the connection stays until the host ends it.
    private func waitForHost() -> Bool {
        while !link.canRead(within: .seconds(60)) {}
        return false
    }

    /// The phone restarts a little after its answer, or when the host has left; one that was told
    /// not to stays.
    private func staysAfterRestore(_ options: PropertyList) -> Bool {
        guard options["RestoreShouldReboot"]?.truth ?? true else { return true }
        _ = link.canRead(within: .seconds(1))
        phone.restartAfterRestore()
        return false
    }

    /// Sets, changes or removes the backup password.
    private func changePassword(_ request: PropertyList) throws {
        let old = request["OldPassword"]?.text
        let new = request["NewPassword"]?.text
        let known = agent.state.withLock { $0.keyBag }
        if let known {
            guard let old, BackupKeyBag.open(known.encoded, password: old) != nil else {
                throw BackupFailure(207, "Invalid password")
            }
        } else if new == nil {
            throw BackupFailure(207, "No password is set")
        }
        let bag = new.map {
            BackupKeyBag(password: $0, cost: agent.options.keyBagCost, keeping: known?.classKeys)
        }
        agent.state.withLock { state in
            state.keyBag = bag
            if known == nil || bag == nil { state.keyBagHistory = [] }
            if let bag { state.keyBagHistory.insert(bag.uuid) }
        }
        phone.backupDomainChanged(willEncrypt: bag != nil)
    }
}
