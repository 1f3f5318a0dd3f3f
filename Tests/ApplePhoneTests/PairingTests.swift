import BackupCore
import Testing

@testable import ApplePhone

/// A phone that answers attempts in a given order; the last answer stays.
private final class ScriptedPairing: PairingPhone {
    var record: Bool
    var answers: [LockdownCode]
    var isHere = true
    private(set) var forgotten = 0
    private(set) var attempts = 0

    init(record: Bool, _ answers: [LockdownCode]) {
        self.record = record
        self.answers = answers
    }

    func hasRecord() -> Bool { record }
    func isPluggedIn() -> Bool { isHere }

    func forgetRecord() {
        forgotten += 1
        record = false
    }

    func tryToOpen() -> LockdownCode {
        attempts += 1
        return answers.count > 1 ? answers.removeFirst() : answers.first ?? .success
    }
}

/// How a phone comes to trust the box.
@Suite struct PairingTests {
    private func step(_ pairing: inout Pairing, _ phone: ScriptedPairing) -> DeviceError? {
        do throws(DeviceError) {
            try pairing.step(phone)
            return nil
        } catch { return error }
    }

    @Test func aNewPhoneIsWaitedForAsItsOwnerActs() {
        let phone = ScriptedPairing(record: false, [.locked, .dialogIsUp, .dialogIsUp, .success])
        var pairing = Pairing()
        let locked = step(&pairing, phone)
        #expect(locked?.code == .waitingForUser)
        #expect(locked?.whatToDo == "Unlock the phone.")
        let asking = step(&pairing, phone)
        #expect(asking?.code == .waitingForUser)
        #expect(asking?.whatToDo.contains("Tap Trust") == true)
        #expect(step(&pairing, phone) == asking)
        #expect(step(&pairing, phone) == nil)
        #expect(phone.forgotten == 0)
    }

    @Test func lockedMeansSomethingElseForAPhoneThatTrustsUs() {
        var pairing = Pairing()
        let error = step(&pairing, ScriptedPairing(record: true, [.locked]))
        #expect(error?.code == .waitingForUser)
        #expect(error?.whatHappened.contains("since it was started") == true)
        #expect(
            step(&pairing, ScriptedPairing(record: true, [.escrowLocked]))?.code == .waitingForUser)
    }

    @Test(
        arguments: [
            (.denied, .refused, .phoneRefused), (.managed, .refused, .phoneRefused),
            (.managedChallenge, .refused, .phoneRefused),
            (.findMyProtected, .refused, .phoneRefused),
            (.prohibitedOverThisLink, .refused, .phoneRefused),
            (.missingActivation, .unsuitable, .phoneUnsuitable),
            (.invalidActivation, .unsuitable, .phoneUnsuitable), (.recordNotSaved, .busy, .phone),
            (.timeout, .timedOut, .phone), (LockdownCode(rawValue: -8), .gone, .phone),
            (LockdownCode(rawValue: -256), .gone, .phone),
        ] as [(LockdownCode, DeviceError.Code, ExitCode)])
    func answersHaveTheirMeaning(code: LockdownCode, expected: DeviceError.Code, exit: ExitCode) {
        var pairing = Pairing()
        let error = step(&pairing, ScriptedPairing(record: false, [code]))
        #expect(error?.code == expected)
        #expect(error?.exitCode == exit)
        #expect(error?.nativeCode == code.rawValue)
    }

    @Test(
        arguments: [
            .invalidHostID, .missingHostID, .missingRecord, .invalidRecord, .invalidRecordHere,
        ] as [LockdownCode])
    func aPhoneThatForgotUsIsPairedAnew(code: LockdownCode) {
        let phone = ScriptedPairing(record: true, [code, .dialogIsUp, .success])
        var pairing = Pairing()
        #expect(step(&pairing, phone)?.code == .waitingForUser)
        #expect(phone.forgotten == 1)
        #expect(step(&pairing, phone) == nil)
        #expect(phone.forgotten == 1)
    }

    @Test func aFailedEncryptionRenewsTheRecordOnce() {
        let phone = ScriptedPairing(record: true, [.encryption, .encryption, .success])
        var pairing = Pairing()
        #expect(step(&pairing, phone) == nil)
        #expect(phone.forgotten == 1)
        let stubborn = ScriptedPairing(record: true, [.encryption])
        let error = step(&pairing, stubborn)
        #expect(error?.code == .protocolViolation)
        #expect(error?.whatToDo.contains("date and time") == true)
        #expect(stubborn.forgotten == 0)
    }

    @Test func aLineThatBreaksInTheHandshakeForgetsNothing() {
        let once = ScriptedPairing(record: true, [.encryption, .success])
        var pairing = Pairing()
        _ = step(&pairing, once)
        #expect(once.forgotten == 0)
        let gone = ScriptedPairing(record: true, [.encryption])
        gone.isHere = false
        #expect(step(&pairing, gone)?.code == .gone)
        #expect(gone.forgotten == 0)
    }
}
