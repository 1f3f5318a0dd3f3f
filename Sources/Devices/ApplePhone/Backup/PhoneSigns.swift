import BackupCore

/// What the phone shows its user while it works: the passcode prompt, and the button that cancels.
final class PhoneSigns {
    static let prompt = "com.apple.LocalAuthentication.ui.presented"
    static let promptGone = "com.apple.LocalAuthentication.ui.dismissed"
    static let cancel = "com.apple.itunes-client.syncCancelRequest"
    /// Also the ones that need no act of ours: a phone expects its host to listen.
    static let all = [
        prompt, promptGone, cancel, "com.apple.itunes-client.syncSuspendRequest",
        "com.apple.itunes-client.syncResumeRequest", "com.apple.mobile.backup.domain_changed",
    ]

    /// nil once the phone has ended the conversation: its backup goes on without.
    private var notices: (any PhoneNotices)?
    private let tree: any CaptureTree
    private let phase: RunProgress.Phase

    init(notices: any PhoneNotices, tree: any CaptureTree, phase: RunProgress.Phase) {
        self.notices = notices
        self.tree = tree
        self.phase = phase
    }

    /// Passes on what has come. Throws `refused` when the user cancelled.
    func pass() throws(DeviceError) {
        for notice in next() {
            switch notice {
            case Self.prompt:
                try tell { tree throws(CaptureTreeError) in
                    try tree.notice(
                        "waiting_for_user",
                        "Enter the passcode on the phone: it asks for it before it begins.")
                }
            case Self.promptGone:
                try tell { tree throws(CaptureTreeError) in
                    try tree.progress(RunProgress(phase: phase))
                }
            case Self.cancel:
                throw DeviceError(
                    .refused, "The work was cancelled on the phone",
                    advice: "Run it again when you are ready.")
            default: break
            }
        }
        try tell { tree throws(CaptureTreeError) in try tree.keepAlive() }
    }

    private func next() -> [String] {
        do throws(DeviceError) {
            return try notices?.next(within: .zero) ?? []
        } catch {
            // A phone that is gone says so where its answer is waited for.
            notices = nil
            return []
        }
    }

    private func tell(
        _ body: (any CaptureTree) throws(CaptureTreeError) -> Void
    ) throws(DeviceError) {
        try tree.demanding(body)
    }
}
