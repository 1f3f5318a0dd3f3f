import Foundation

/// The screen of an iPhone and the person before it: the lock, the trust dialog and the passcode
/// prompt.
package final class PhoneScreen: Sendable {
    private let state: Monitor<State>
    private let passcodeTimeout: Duration
    private let notifications: NotificationHub

    private struct State {
        var lock: PhoneLock
        var hasPasscode: Bool
        var trust: TrustAnswer
        var passcode: PasscodeAnswer
        /// The host whose dialog is on the screen.
        var dialogHost: String?
        /// The answer to that dialog, until the host asks again.
        var dialogAnswer: Bool?
        /// Who was told no; only a new plug asks again.
        var deniedHosts: Set<String> = []
        var promptIsUp = false
        var promptAnswer: PasscodeOutcome?
    }

    /// What a passcode prompt came to.
    package enum PasscodeOutcome: Sendable {
        case entered
        case cancelled
        /// Nobody came within the phone's patience.
        case timedOut
    }

    init(options: IPhoneOptions, notifications: NotificationHub) {
        state = Monitor(
            State(
                lock: options.lock, hasPasscode: options.hasPasscode, trust: options.trust,
                passcode: options.passcode))
        passcodeTimeout = options.passcodeTimeout
        self.notifications = notifications
    }

    /// How far the phone is locked.
    package var lock: PhoneLock { state.locked { $0.lock } }
    /// Whether it has a passcode.
    package var hasPasscode: Bool { state.locked { $0.hasPasscode } }
    /// Whether it asks for the passcode now.
    package var promptIsUp: Bool { state.locked { $0.promptIsUp } }
    /// Whether it asks whether to trust a host now.
    package var dialogIsUp: Bool { state.locked { $0.dialogHost != nil && $0.dialogAnswer == nil } }

    /// Locks or unlocks it; a phone without a passcode cannot be locked.
    package func setLock(_ lock: PhoneLock) {
        state.locked { $0.lock = $0.hasPasscode ? lock : .unlocked }
    }

    // MARK: trust

    /// The error with which pairing with the host is refused now; nil when its owner agrees.
    /// `host` is its SystemBUID: libimobiledevice makes a new HostID at every attempt.
    func refusalOfPairing(host: String) -> String? {
        state.locked { state in
            if case .refused(let name) = state.trust { return name }
            guard state.lock == .unlocked else { return "PasswordProtected" }
            guard !state.deniedHosts.contains(host) else { return "UserDeniedPairing" }
            switch state.trust {
            case .trust: return nil
            case .deny: return Self.deny(host, &state)
            case .refused(let name): return name
            case .ask:
                let answer = state.dialogAnswer
                state.dialogHost = host
                guard let answer else { return "PairingDialogResponsePending" }
                state.dialogHost = nil
                state.dialogAnswer = nil
                return answer ? nil : Self.deny(host, &state)
            }
        }
    }

    private static func deny(_ host: String, _ state: inout State) -> String {
        state.deniedHosts.insert(host)
        return "UserDeniedPairing"
    }

    /// The owner taps Trust or Don't Trust; false when no dialog is up.
    package func answerDialog(_ answer: Bool) -> Bool {
        state.locked { state in
            guard state.dialogHost != nil, state.dialogAnswer == nil else { return false }
            state.dialogAnswer = answer
            return true
        }
    }

    /// What the owner will do from now on.
    package func setTrust(_ answer: TrustAnswer) {
        state.locked { $0.trust = answer }
    }

    /// A new plug: the phone asks again.
    func replugged() {
        state.locked { state in
            state.deniedHosts = []
            state.dialogHost = nil
            state.dialogAnswer = nil
        }
    }

    // MARK: passcode

    /// Shows the passcode prompt and waits for its end; `isWanted` is asked while it waits and
    /// takes the prompt away when the host is gone. Without a passcode there is no prompt.
    /// "com.apple.LocalAuthentication.ui.presented" and ".dismissed" are posted around it.
    package func askForPasscode(
        while isWanted: @Sendable () -> Bool = { true }
    ) -> PasscodeOutcome {
        guard hasPasscode else { return .entered }
        state.locked { state in
            state.promptIsUp = true
            state.promptAnswer = nil
        }
        notifications.post("com.apple.LocalAuthentication.ui.presented")
        let outcome = waitForPasscode(while: isWanted)
        state.locked { state in
            state.promptIsUp = false
            if outcome == .entered { state.lock = .unlocked }
        }
        notifications.post("com.apple.LocalAuthentication.ui.dismissed")
        return outcome
    }

    private func waitForPasscode(while isWanted: @Sendable () -> Bool) -> PasscodeOutcome {
        let end = ContinuousClock.now + passcodeTimeout
        var hasWaited = false
        return state.waiting { state in
            if hasWaited, !isWanted() { return .done(.cancelled) }
            hasWaited = true
            if let answer = state.promptAnswer { return .done(answer) }
            switch state.passcode {
            case .enter: return .done(.entered)
            case .cancel: return .done(.cancelled)
            case .ask: break
            }
            // In steps, because nobody tells when the host has gone.
            return ContinuousClock.now < end ? .wait(.milliseconds(100)) : .done(.timedOut)
        }
    }

    /// The owner enters the passcode or gives up; false when there is no prompt. Entering it
    /// without a prompt unlocks the phone.
    package func enterPasscode(_ outcome: PasscodeOutcome) -> Bool {
        state.locked { state in
            guard state.promptIsUp else {
                if outcome == .entered { state.lock = .unlocked }
                return outcome == .entered
            }
            state.promptAnswer = outcome
            return true
        }
    }

    /// What the owner will do at prompts from now on.
    package func setPasscode(_ answer: PasscodeAnswer) {
        state.locked { $0.passcode = answer }
    }
}
