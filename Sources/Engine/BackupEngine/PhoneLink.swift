internal import BackupCore

/// The connection to one phone over a run: it waits for the phone to be unlocked and, when it
/// went away, for the same phone to come back.
actor PhoneLink {
    /// How often a phone is asked whether it can be read now; no event tells it reliably.
    static let pollInterval = Duration.seconds(2)
    /// The longest wait for a phone that went away in mid-run.
    static let longestAbsence = Duration.seconds(120)

    private(set) var session: any DeviceSession
    let attributes: PhoneAttributes
    private let parts: BackupServices
    /// Whether there is a session; none while the phone is away.
    private(set) var isOpen = true

    /// Takes the session over; it is closed by ``close()`` or when another one replaces it.
    init(_ session: any DeviceSession, attributes: PhoneAttributes, services: BackupServices) {
        self.session = session
        self.attributes = attributes
        parts = services
    }

    func close() async {
        if isOpen { await session.close() }
        isOpen = false
    }

    /// The capture's source in the session that is open now.
    func media(_ capture: Capture) throws(Interruption) -> any MediaSource {
        guard case .pulled(let media)? = session.source(of: capture) else {
            throw .phone(
                DeviceError(.protocolViolation, "The phone does not offer its files any more"))
        }
        return media
    }

    /// Waits until the phone shows storages, at most `limit`, and returns them. `last` is the
    /// error the wait began with; when the time is over the newest error is thrown.
    func waitForStorages(
        of capture: Capture, after last: DeviceError? = nil, limit: Duration
    ) async throws(Interruption) -> [PhoneStorage] {
        let deadline = parts.clock.elapsed() + limit
        var told: DeviceError?
        if let last { await dropIfLost(last) }
        while true {
            try stopWhenCancelled()
            do throws(DeviceError) {
                return try await readableStorages(capture)
            } catch {
                await dropIfLost(error)
                guard error.mayComeBack, !Task.isCancelled else { throw Interruption(error) }
                if told != error { tell(error) }
                told = error
                let left = deadline - parts.clock.elapsed()
                guard left > .zero else { throw .phone(error) }
                parts.events(.progress(RunProgress(phase: .waiting)))
                await parts.clock.sleep(min(Self.pollInterval, left))
            }
        }
    }

    private func readableStorages(_ capture: Capture) async throws(DeviceError) -> [PhoneStorage] {
        if !isOpen { try await reopen() }
        guard case .pulled(let media)? = session.source(of: capture) else {
            throw DeviceError(.unsuitable, "The phone does not offer its files")
        }
        let storages = try await media.storages()
        guard !storages.isEmpty else {
            throw DeviceError(.waitingForUser, "The phone is locked or only charging")
        }
        return storages
    }

    private func reopen() async throws(DeviceError) {
        let next = try await parts.reconnect()
        do throws(DeviceError) {
            let identity = try await next.attributes().identity
            guard identity == attributes.identity else {
                throw DeviceError(.gone, "Another phone is plugged in now")
            }
        } catch {
            await next.close()
            throw error
        }
        session = next
        isOpen = true
    }

    /// Opens another session, once, when `error` has ended this one.
    func renew(after error: DeviceError) async {
        await dropIfLost(error)
        guard !isOpen else { return }
        // Without one the run ends here, with what it has.
        try? await reopen()
    }

    /// Gives up a session that cannot be used any more.
    private func dropIfLost(_ error: DeviceError) async {
        if [.gone, .timedOut, .workerEnded].contains(error.code) { await close() }
    }

    private func tell(_ error: DeviceError) {
        let code = error.code == .waitingForUser ? "waiting_for_user" : "waiting_for_phone"
        parts.events(
            .notice(
                RunNotice(code: code, message: "\(error.whatHappened) \(error.whatToDo)")))
    }
}
