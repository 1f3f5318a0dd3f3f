/// How a simulated iPhone is set up.
package struct IPhoneOptions: Sendable {
    /// UDID; newer phones have 8 digits, a dash and 16 digits.
    package var udid = "00008110-000A1B2C3D4E801E"
    /// Name its owner gave it.
    package var name = "Simulated iPhone"
    /// Model identifier.
    package var productType = "iPhone14,5"
    /// Version of iOS.
    package var productVersion = "17.6.1"
    /// Build of that version.
    package var buildVersion = "21G93"
    /// Serial number.
    package var serial = "SIMXK0A1B2"
    /// Whether the screen is locked at the start.
    package var lock = PhoneLock.unlocked
    /// Whether it has a passcode at all.
    package var hasPasscode = true
    /// What its owner does at the trust dialog.
    package var trust = TrustAnswer.trust
    /// What its owner does when the phone asks for the passcode.
    package var passcode = PasscodeAnswer.enter
    /// How long a passcode prompt waits before the phone gives up.
    package var passcodeTimeout: Duration = .seconds(180)
    /// Percent.
    package var battery = 80
    /// Size of the phone's storage and what is free, in bytes.
    package var capacity: UInt64 = 128_000_000_000
    package var free: UInt64 = 60_000_000_000
    /// Whether Find My is on.
    package var findMyIsOn = false
    /// Services that StartService refuses as prohibited.
    package var deniedServices: Set<String> = []
    /// What lies in the media folder.
    package var media = MediaSpec()
    /// A folder to serve as the media folder instead; hosts may change it.
    package var mediaFolder: String?
    /// What it puts into backups and how.
    package var backup = BackupOptions()
    /// Speed of the cable.
    package var link = LinkModel()

    /// A phone that behaves and whose owner answers at once.
    package init() {}

    /// A phone described by words such as "name=Anna,ios=16.5,trust=ask"; what is not named is as
    /// in `base`. Nil when a word is unknown or its value is none.
    package init?(_ text: String, base: IPhoneOptions = IPhoneOptions()) {
        self = base
        for word in text.split(separator: ",") {
            let parts = word.split(separator: "=", maxSplits: 1).map { String($0) }
            guard parts.count == 2, set(parts[0], to: parts[1]) else { return nil }
        }
    }

    /// Sets one option by its name on the command line; false when there is none of that name or
    /// the value does not fit.
    package mutating func set(_ name: String, to value: String) -> Bool {
        switch name {
        case "udid": return assign(PairRecordStore.isUDID(value) ? value : nil) { $0.udid = $1 }
        case "name": self.name = value
        case "type": productType = value
        case "ios": productVersion = value
        case "build": buildVersion = value
        case "serial": serial = value
        case "lock": return assign(PhoneLock(rawValue: value)) { $0.lock = $1 }
        case "trust": trust = TrustAnswer(value)
        case "passcode":
            hasPasscode = value != "none"
            let answer = hasPasscode ? PasscodeAnswer(rawValue: value) : .enter
            return assign(answer) { $0.passcode = $1 }
        case "passcode-timeout":
            return assign(Double(value)) { $0.passcodeTimeout = .seconds($1) }
        case "battery": return assign(Int(value)) { $0.battery = min(max(0, $1), 100) }
        case "capacity": return assign(UInt64(value)) { $0.capacity = $1 }
        case "free": return assign(UInt64(value)) { $0.free = $1 }
        case "find-my": return assign(Bool(value)) { $0.findMyIsOn = $1 }
        case "deny": deniedServices.insert(value)
        case "photos": return assign(Int(value)) { $0.media.photoCount = max(0, $1) }
        case "photo-bytes": return assign(Int(value)) { $0.media.photoByteCount = max(0, $1) }
        case "cloud-photos": return assign(Int(value)) { $0.media.cloudPhotoCount = max(0, $1) }
        case "seed": return assign(UInt64(value)) { $0.media.seed = $1 }
        case "folder": mediaFolder = value
        case let name where name.hasPrefix("backup-"):
            return backup.set(String(name.dropFirst("backup-".count)), to: value)
        case "bandwidth":
            return assign(Double(value)) { $0.link.bytesPerSecond = $1 > 0 ? $1 * 1e6 : nil }
        case "latency":
            return assign(Double(value)) { $0.link.perOperation = .milliseconds($1) }
        default: return false
        }
        return true
    }

    private mutating func assign<Value>(
        _ value: Value?, _ body: (inout IPhoneOptions, Value) -> Void
    ) -> Bool {
        guard let value else { return false }
        body(&self, value)
        return true
    }
}

/// How far an iPhone is locked.
package enum PhoneLock: String, Codable, Sendable {
    case unlocked
    /// The screen is locked; what was unlocked once since the start can be read.
    case locked
    /// Not unlocked since the start: nearly all data are still encrypted.
    case beforeFirstUnlock = "before-first-unlock"
}

/// What the owner does at "Trust This Computer?".
package enum TrustAnswer: Sendable, Equatable {
    /// Nothing until told; the dialog stays.
    case ask
    case trust
    case deny
    /// Pairing fails with this error of lockdownd, such as "MCProtected".
    case refused(String)

    /// "ask", "trust", "deny" or the name of an error.
    package init(_ text: String) {
        switch text {
        case "ask": self = .ask
        case "trust": self = .trust
        case "deny": self = .deny
        default: self = .refused(text)
        }
    }
}

/// What the owner does when the phone asks for the passcode.
package enum PasscodeAnswer: String, Sendable {
    /// Nothing until told; the prompt stays until it times out.
    case ask
    case enter
    case cancel
}
