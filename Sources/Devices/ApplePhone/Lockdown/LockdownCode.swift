import BackupCore

/// lockdownd's answer as libimobiledevice numbers it (libimobiledevice/lockdown.h); 0 is success.
struct LockdownCode: RawRepresentable, Hashable, Sendable {
    let rawValue: Int

    static let success = LockdownCode(rawValue: 0)
    /// The pair record lacks something: its host id, or the escrow bag a service needs.
    static let invalidRecordHere = LockdownCode(rawValue: -2)
    static let encryption = LockdownCode(rawValue: -5)
    static let timeout = LockdownCode(rawValue: -7)
    static let missingValue = LockdownCode(rawValue: -12)
    /// Locked; with a pair record: not unlocked since the phone was started.
    static let locked = LockdownCode(rawValue: -17)
    static let denied = LockdownCode(rawValue: -18)
    static let dialogIsUp = LockdownCode(rawValue: -19)
    static let missingHostID = LockdownCode(rawValue: -20)
    static let invalidHostID = LockdownCode(rawValue: -21)
    static let invalidService = LockdownCode(rawValue: -27)
    static let serviceLimit = LockdownCode(rawValue: -28)
    static let missingRecord = LockdownCode(rawValue: -29)
    static let recordNotSaved = LockdownCode(rawValue: -30)
    static let invalidRecord = LockdownCode(rawValue: -31)
    static let invalidActivation = LockdownCode(rawValue: -32)
    static let missingActivation = LockdownCode(rawValue: -33)
    static let serviceProhibited = LockdownCode(rawValue: -34)
    static let escrowLocked = LockdownCode(rawValue: -35)
    static let prohibitedOverThisLink = LockdownCode(rawValue: -36)
    static let findMyProtected = LockdownCode(rawValue: -37)
    static let managed = LockdownCode(rawValue: -38)
    static let managedChallenge = LockdownCode(rawValue: -39)

    /// Whether the phone has forgotten this box, or the box's record is damaged.
    var meansStaleRecord: Bool {
        [
            .invalidHostID, .missingHostID, .missingRecord, .invalidRecord, .invalidRecordHere,
        ].contains(self)
    }

    /// Whether another try at once may succeed: a service that is busy or was just closed.
    var isWorthAnotherTry: Bool {
        [.serviceProhibited, .invalidService, .serviceLimit].contains(self)
    }
}

extension LockdownCode {
    /// The error for an answer to an attempt to open a session. `hadRecord` tells whether this
    /// box was trusted once, which gives "locked" another meaning.
    func openingError(hadRecord: Bool) -> DeviceError {
        switch self {
        case .dialogIsUp:
            error(
                .waitingForUser, "The phone asks whether to trust this computer",
                "Tap Trust on the phone and enter its passcode.")
        case .locked where hadRecord, .escrowLocked:
            error(
                .waitingForUser, "The phone has not been unlocked since it was started",
                "Enter its passcode once: until then its data cannot be read.")
        case .locked:
            error(.waitingForUser, "The phone is locked", "Unlock the phone.")
        case .recordNotSaved:
            error(
                .busy, "The phone could not store that it trusts this box",
                "Restart the phone and plug it in again.")
        case .encryption:
            error(
                .protocolViolation, "No encrypted connection to the phone can be opened",
                "See whether this box has the right date and time, restart the phone and plug it "
                    + "in again.")
        default: refusal ?? lostLink
        }
    }

    /// The error for an answer to an attempt to start a service or to read a value.
    func serviceError(_ service: String) -> DeviceError {
        switch self {
        case .locked, .escrowLocked:
            error(
                .waitingForUser, "The phone is locked",
                "Unlock the phone; after a restart enter its passcode once.")
        case .serviceProhibited:
            error(
                .refused, "The phone does not allow the service \(service)",
                "See whether a profile or the organisation that manages the phone forbids it.")
        case .invalidService:
            error(
                .unsuitable, "The phone does not have the service \(service)",
                "Update the phone's system.")
        case .serviceLimit:
            error(
                .busy, "The phone has too many services running",
                "Close other programs that use the phone, or restart it.")
        default: refusal ?? lostLink
        }
    }

    /// A person, or who manages the phone, said no.
    private var refusal: DeviceError? {
        switch self {
        case .denied:
            error(
                .refused, "Don't Trust was tapped on the phone",
                "Unplug the phone, plug it in again and tap Trust. If it does not ask, choose "
                    + "Reset Location & Privacy in its settings.")
        case .managed, .managedChallenge:
            error(
                .refused, "The organisation that manages this phone does not allow it",
                "Ask that organisation.")
        case .findMyProtected:
            error(
                .refused, "Find My protects this phone", "Turn off Find My in its settings.")
        case .invalidActivation, .missingActivation:
            error(
                .unsuitable, "The phone is not set up yet", "Finish its set-up on the phone.")
        case .prohibitedOverThisLink:
            error(
                .refused, "The phone does not allow pairing over this connection",
                "Connect the phone by its cable.")
        case let code where code.meansStaleRecord:
            error(
                .refused, "The phone does not accept this box although it was just paired",
                "Unplug the phone, plug it in again and tap Trust.")
        default: nil
        }
    }

    private var lostLink: DeviceError {
        self == .timeout
            ? DeviceError(.timedOut, "The phone did not answer in time", nativeCode: rawValue)
            : DeviceError(.gone, "The connection to the phone was lost", nativeCode: rawValue)
    }

    private func error(
        _ code: DeviceError.Code, _ detail: String, _ advice: String
    ) -> DeviceError {
        // A sentence for the phone's owner has no use for a number.
        DeviceError(
            code, detail, nativeCode: code == .waitingForUser ? nil : rawValue, advice: advice)
    }
}
