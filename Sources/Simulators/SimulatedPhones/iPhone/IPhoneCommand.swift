/// What a person, or a test, can do to a running iPhone. The text form goes over the control
/// socket.
package enum IPhoneCommand: Sendable, Equatable {
    case lock(PhoneLock)
    /// Answer the trust dialog that is on the screen.
    case answerDialog(Bool)
    /// Enter the passcode, or cancel, at the prompt that is on the screen.
    case passcode(isEntered: Bool)
    /// What the owner does from now on.
    case setTrust(TrustAnswer)
    case setPasscode(PasscodeAnswer)
    /// Reset Location & Privacy.
    case forgetHosts
    case unplug
    case replug
    /// Pull the cable once this many more bytes of the service (of all, when nil) have crossed.
    case unplugAfter(UInt64, service: String?)
    /// Pull the cable when a service reaches a stage.
    case unplugAt(String)
    case restart
    /// Say nothing on a service's connections for some seconds.
    case silence(String, seconds: Double)
    case post(String)
    /// Misbehave on AFC; nil ends it.
    case afcFault(AFCFault?, count: Int)
    /// Megabytes per second; 0 is unlimited.
    case bandwidth(Double)
    /// Milliseconds per operation.
    case latency(Double)
    /// Set a value of lockdownd; the domain "-" is the one without a name.
    case value(domain: String, key: String, PropertyList)
    case resetCounters

    /// Words such as ["trust"] or ["set", "bandwidth", "35"]; nil when they are no command.
    package init?(words: [String]) {
        let rest = Array(words.dropFirst())
        switch (words.first ?? "", rest.count) {
        case ("set", 2): self.init(setting: rest[0], to: rest[1])
        case ("value", 3): self = .value(domain: rest[0], key: rest[1], Self.list(rest[2]))
        case ("silence", 2):
            guard let seconds = Double(rest[1]), (0...86_400).contains(seconds) else { return nil }
            self = .silence(rest[0], seconds: seconds)
        case ("unplug-after", 1...2):
            guard let count = UInt64(rest[0]) else { return nil }
            self = .unplugAfter(count, service: rest.dropFirst().first)
        case ("unplug-at", 1): self = .unplugAt(rest[0])
        case ("post", 1): self = .post(rest[0])
        case ("afc-fault", 1...2):
            let count = rest.count == 2 ? Int(rest[1]) : Int.max
            guard let count, rest[0] == "none" || AFCFault(rawValue: rest[0]) != nil else {
                return nil
            }
            self = .afcFault(AFCFault(rawValue: rest[0]), count: count)
        case (let word, 0): self.init(word: word)
        default: return nil
        }
    }

    private init?(word: String) {
        switch word {
        case "lock": self = .lock(.locked)
        case "unlock": self = .lock(.unlocked)
        case "before-first-unlock": self = .lock(.beforeFirstUnlock)
        case "trust": self = .answerDialog(true)
        case "deny": self = .answerDialog(false)
        case "enter-passcode": self = .passcode(isEntered: true)
        case "cancel-passcode": self = .passcode(isEntered: false)
        case "forget-hosts": self = .forgetHosts
        case "unplug": self = .unplug
        case "replug": self = .replug
        case "restart": self = .restart
        case "reset-counters": self = .resetCounters
        default: return nil
        }
    }

    private init?(setting name: String, to text: String) {
        let number = Double(text).flatMap { (0...1e15).contains($0) ? $0 : nil }
        switch (name, number) {
        case ("trust", _): self = .setTrust(TrustAnswer(text))
        case ("passcode", _):
            guard let answer = PasscodeAnswer(rawValue: text) else { return nil }
            self = .setPasscode(answer)
        case ("bandwidth", let value?): self = .bandwidth(value)
        case ("latency", let value?): self = .latency(value)
        case ("battery", let value?) where value <= 100:
            self = .value(
                domain: "com.apple.mobile.battery", key: "BatteryCurrentCapacity",
                .number(Int(value)))
        case ("free", let value?):
            self = .value(
                domain: "com.apple.disk_usage", key: "AmountDataAvailable", .number(Int(value)))
        case ("find-my", _):
            guard let isOn = Bool(text) else { return nil }
            self = .value(domain: "com.apple.fmip", key: "IsAssociated", .boolean(isOn))
        default: return nil
        }
    }

    /// "true", a number or a text.
    private static func list(_ text: String) -> PropertyList {
        if let truth = Bool(text) { return .boolean(truth) }
        if let number = Int64(text) { return .integer(number) }
        return .string(text)
    }
}

/// The state of an iPhone, as JSON on the control socket.
package struct IPhoneStatus: Codable, Sendable, Equatable {
    /// Whether the cable is in.
    package var plugged: Bool
    /// usbmuxd's number of this plug; 0 without one.
    package var deviceID: Int
    /// How far it is locked.
    package var lock: PhoneLock
    /// Whether the trust dialog waits for an answer.
    package var dialogIsUp: Bool
    /// Whether the passcode prompt waits for an answer.
    package var passcodePromptIsUp: Bool
    /// What hosts did.
    package var counters: IPhoneCounters
}

extension SimulatediPhone {
    /// Runs a command as the control socket would; false when nothing on the screen can be
    /// answered so.
    @discardableResult
    package func perform(_ command: IPhoneCommand) -> Bool {
        switch command {
        case .lock(let lock): screen.setLock(lock)
        case .answerDialog(let answer): return screen.answerDialog(answer)
        case .passcode(let isEntered):
            return screen.enterPasscode(isEntered ? .entered : .cancelled)
        case .setTrust(let answer): screen.setTrust(answer)
        case .setPasscode(let answer): screen.setPasscode(answer)
        case .forgetHosts: trust.removeAll()
        case .unplug: line.unplug()
        case .replug: line.plug()
        case .unplugAfter(let count, let service): line.unplug(afterBytes: count, of: service)
        case .unplugAt(let stage): line.unplug(atStage: stage)
        case .restart: restart()
        case .silence(let service, let seconds): line.silence(service, for: .seconds(seconds))
        case .post(let name): notifications.post(name)
        case .afcFault(let fault, let count): afcFaults.set(fault, count: count)
        case .bandwidth(let megabytes):
            line.model.bytesPerSecond = megabytes > 0 ? megabytes * 1e6 : nil
        case .latency(let milliseconds): line.model.perOperation = .milliseconds(milliseconds)
        case .value(let domain, let key, let value):
            values[domain == "-" ? nil : domain, key] = value
        case .resetCounters: resetCounters()
        }
        return true
    }

    /// The answer to a line of the control socket.
    func answer(_ words: [String]) -> String? {
        if words == ["status"] { return PhoneControl.encoded(status) }
        for service in services.values {
            if let answer = service.answer(words) { return answer }
        }
        guard let command = IPhoneCommand(words: words) else { return nil }
        return perform(command) ? PhoneControl.done : #"{"ok":false,"error":"nothing to answer"}"#
    }

    /// What the phone is and what hosts did so far.
    package var status: IPhoneStatus {
        IPhoneStatus(
            plugged: line.isPlugged, deviceID: Int(mux.number(of: self) ?? 0), lock: screen.lock,
            dialogIsUp: screen.dialogIsUp, passcodePromptIsUp: screen.promptIsUp,
            counters: counters)
    }
}
