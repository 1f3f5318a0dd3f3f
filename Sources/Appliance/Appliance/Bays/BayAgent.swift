package import BackupCore
import ControlAPI
import Logging

/// Looks after one bay while a phone is in it: waits until the phone can be read, backs it up,
/// keeps the bay's state file, and ends when the bay is empty.
///
/// "Gone" is usually not gone: choosing File transfer, a reset by libmtp and a restart of the
/// phone look like an unplug, so an empty bay is believed only after ``grace``. In a run the
/// engine itself waits longer for the same phone.
package struct BayAgent: Sendable {
    /// How long a bay without a run must be empty.
    static let grace = Duration.seconds(5)
    /// How often the bus is looked at, and a locked phone asked.
    static let pollInterval = Duration.seconds(2)

    private let box: Box
    private let bay: BayID
    private let board: BayBoard
    private let events: RunEventSink

    /// The agent of `bay`.
    package init(_ box: Box, bay: BayID, events: @escaping RunEventSink = { _ in }) {
        self.box = box
        self.bay = bay
        self.events = events
        board = BayBoard(store: box.store, bay: bay, phone: nil, run: nil, clock: box.clock)
    }

    /// Works until the bay is empty or the task is cancelled; the exit code of the last run, or
    /// 0 when there was none.
    package func run() async -> ExitCode {
        let lock: BoxLock
        do throws(ApplianceError) {
            lock = try await BoxLock.acquire(
                "agent-\(bay)", in: box.lockFolder, what: "bay \(bay)", wait: .zero,
                clock: box.clock)
        } catch {
            box.log.notice("another agent looks after the bay", metadata: ["bay": "\(bay)"])
            return error.exitCode
        }
        defer { lock.release() }
        board.post(.settling, "A phone is being plugged in.")
        let code = await watch()
        board.post(.empty, "Plug in a phone.")
        return code
    }

    private func watch() async -> ExitCode {
        var last = ExitCode.done
        var finished: DetectedPhone?
        var emptySince: Duration?
        while !Task.isCancelled {
            let found = await box.detect(events: events).filter { $0.phone.bay == bay }
            if let (family, phone) = found.first {
                emptySince = nil
                if finished != phone {
                    guard let code = await serve(phone, of: family) else {
                        await box.waitForChange(atMost: Self.pollInterval)
                        continue
                    }
                    last = code
                    // A phone that went away is another plug when it comes back.
                    finished = phone
                }
            } else {
                let now = box.clock.elapsed()
                let since = emptySince ?? now
                emptySince = since
                if now - since >= Self.grace { return last }
            }
            await box.waitForChange(atMost: Self.pollInterval)
        }
        return .interrupted
    }

    /// Backs up a phone once it can be read; nil while it cannot, or when it left meanwhile.
    private func serve(
        _ phone: DetectedPhone, of family: any DeviceFamily
    ) async -> ExitCode? {
        if let reason = phone.unsuitable {
            board.post(.unsupported, "\(reason).")
            return nil
        }
        do {
            let opened = try await box.open(phone, of: family, wait: .zero, events: events)
            guard try await isReadable(opened) else {
                await opened.close()
                return nil
            }
            return await backUp(opened)
        } catch {
            tell(error)
            // A phone whose owner said no is not asked again before it is plugged in anew.
            guard let refused = error as? DeviceError, refused.code == .refused else { return nil }
            return refused.exitCode
        }
    }

    /// Keeps the session and asks until the phone shows storages; false when the task is
    /// cancelled. An error closes the session.
    private func isReadable(_ phone: OpenedPhone) async throws(DeviceError) -> Bool {
        var told: DeviceError?
        while !Task.isCancelled {
            do throws(DeviceError) {
                guard let waiting = try await missing(phone) else { return true }
                if told != waiting {
                    board.post(.waiting, "\(waiting.whatHappened) \(waiting.whatToDo)")
                }
                told = waiting
            } catch {
                await phone.close()
                throw error
            }
            await box.clock.sleep(Self.pollInterval)
        }
        return false
    }

    /// What a person has to do before the phone can be read; nil when it can.
    private func missing(_ phone: OpenedPhone) async throws(DeviceError) -> DeviceError? {
        for capture in phone.session.captures {
            guard case .pulled(let media)? = phone.session.source(of: capture) else { continue }
            do throws(DeviceError) {
                if try await media.storages().isEmpty {
                    return DeviceError(.waitingForUser, "The phone is locked or only charging")
                }
            } catch {
                guard error.code == .waitingForUser else { throw error }
                return error
            }
        }
        return nil
    }

    private func backUp(_ phone: OpenedPhone) async -> ExitCode {
        let wait = Duration.seconds(box.configuration.waitSeconds)
        let summary: RunSummary
        do {
            let roster = try await box.roster()
            _ = try roster.required()
            summary = await BackupJob(
                box: box, options: BackupOptions(.bay(bay)), wait: wait, roster: roster,
                phone: phone, events: events
            ).run()
        } catch {
            await phone.close()
            let outcome = Outcome(error)
            board.post(.fault, outcome.explanation, exitCode: outcome.exitCode)
            box.log.error("no run", metadata: ["exit_code": "\(outcome.exitCode.rawValue)"])
            return outcome.exitCode
        }
        return summary.exitCode
    }

    private func tell(_ error: any Error) {
        let word: BayState.Word
        switch error {
        case let error as DeviceError:
            word =
                switch error.code {
                case .waitingForUser: .waiting
                case .busy: .busy
                case .refused: .refused
                case .unsuitable: .unsupported
                case .gone: .lost
                default: .failed
                }
        case let error as ApplianceError where error.code == .busy:
            // Another program's run keeps the state file itself.
            return
        default: word = .fault
        }
        let outcome = Outcome(error)
        board.post(word, outcome.explanation, exitCode: outcome.exitCode)
        box.log.warning(
            "phone not usable",
            metadata: ["bay": "\(bay)", "exit_code": "\(outcome.exitCode.rawValue)"])
    }
}
