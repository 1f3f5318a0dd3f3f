import BackupCore

/// What pairing needs of a phone and of the place where pair records are kept.
protocol PairingPhone: AnyObject {
    /// Whether this box keeps a pair record of the phone.
    func hasRecord() -> Bool
    /// Throws the record away.
    func forgetRecord()
    /// Opens a session by the record and closes it again; without a record it asks the phone to
    /// pair first, which shows the Trust dialog.
    func tryToOpen() -> LockdownCode
    /// Whether the phone is still plugged in.
    func isPluggedIn() -> Bool
}

/// How a phone comes to trust this box, one step at a time, as its owner acts:
/// unlock, tap Trust, enter the passcode.
///
/// Whoever waits for the owner calls ``step(_:)`` again and again; each error says what the phone
/// waits for now. usbmuxd pairs by itself as well: nothing here depends on who was first.
struct Pairing {
    /// Whether a record was thrown away because of a failed encryption: done once at most, for
    /// another failure has another cause (the clock, a strict policy).
    private var hasRenewed = false

    /// Returns when a session can be opened.
    ///
    /// Throws `waitingForUser` with the sentence for the owner, `refused` (denied, managed, Find
    /// My), `unsuitable` (not set up), `gone`, or `protocolViolation` when encryption fails with
    /// a fresh record too.
    mutating func step(_ phone: some PairingPhone) throws(DeviceError) {
        var hadRecord = phone.hasRecord()
        var code = phone.tryToOpen()
        if hadRecord, mustRenew(code, phone) {
            hasRenewed = hasRenewed || code == .encryption
            phone.forgetRecord()
            hadRecord = false
            code = phone.tryToOpen()
        }
        guard code != .success else { return }
        // The library has the same number for a broken line as for much else.
        guard phone.isPluggedIn() else {
            throw DeviceError(.gone, "The phone was unplugged", nativeCode: code.rawValue)
        }
        throw code.openingError(hadRecord: hadRecord)
    }

    private func mustRenew(_ code: LockdownCode, _ phone: some PairingPhone) -> Bool {
        if code.meansStaleRecord { return true }
        // A line that breaks in the handshake looks the same; that is no reason to forget a phone.
        return code == .encryption && !hasRenewed && phone.isPluggedIn()
            && phone.tryToOpen() == .encryption
    }
}
