import BackupCore
import ControlAPI

/// Waits for phones to be plugged in and openable, and hands each one over once.
struct PhoneWait {
    /// How often the bus is looked at; each look is a process of its own.
    static let pollInterval = Duration.seconds(2)
    /// How often a phone whose worker ends by itself is tried again.
    static let crashLimit = 3

    private let box: Box
    private let choice: PhoneChoice
    private let deadline: Duration
    private let events: RunEventSink
    /// Phones that were opened and are not meant, by address: not to be bothered again.
    private var others: Set<DetectedPhone> = []
    private var done: Set<DetectedPhone> = []
    /// The phones handed over: one that was unplugged in its run comes back as another plug.
    private var finished: Set<PhoneID> = []
    private var crashes: [DetectedPhone: Int] = [:]
    private var lastProblem: DeviceError?
    /// The sentence last told: as a person acts, a phone waits for one thing after another.
    private var told: String?

    init(
        _ box: Box, for choice: PhoneChoice, wait: Duration, events: @escaping RunEventSink
    ) {
        self.box = box
        self.choice = choice
        deadline = box.clock.elapsed() + wait
        self.events = events
    }

    /// The next phone, opened; nil when at least one was handed over and no other is there. It
    /// throws when time runs out before the first one.
    mutating func next() async throws -> OpenedPhone? {
        while true {
            if Task.isCancelled { throw CancellationError() }
            let found = await box.detect(events: events)
            for (family, phone) in found where isWanted(phone) {
                if let opened = try await attempt(phone, of: family) { return opened }
            }
            if !done.isEmpty { return nil }
            if case .phone(let id) = choice { try refuseUnknown(id) }
            tellWaiting(found.map(\.phone))
            let left = deadline - box.clock.elapsed()
            guard left > .zero else { throw ranOut(found.map(\.phone)) }
            await box.clock.sleep(min(Self.pollInterval, left))
        }
    }

    private func isWanted(_ phone: DetectedPhone) -> Bool {
        guard phone.unsuitable == nil, !done.contains(phone), !others.contains(phone) else {
            return false
        }
        if case .bay(let bay) = choice { return phone.bay == bay }
        return true
    }

    private mutating func attempt(
        _ phone: DetectedPhone, of family: any DeviceFamily
    ) async throws -> OpenedPhone? {
        let left = max(.zero, deadline - box.clock.elapsed())
        do {
            let opened = try await box.open(phone, of: family, wait: left, events: events)
            var isMeant = !finished.contains(opened.id)
            if case .phone(let id) = choice, id != opened.id { isMeant = false }
            guard isMeant else {
                await opened.close()
                others.insert(phone)
                return nil
            }
            try await opened.requireTrust()
            done.insert(phone)
            finished.insert(opened.id)
            return opened
        } catch let error as DeviceError {
            guard error.mayComeBack, !Task.isCancelled else { throw error }
            if error.code == .workerEnded || error.code == .timedOut {
                crashes[phone, default: 0] += 1
                if crashes[phone, default: 0] >= Self.crashLimit { throw error }
            }
            lastProblem = error
            return nil
        }
    }

    /// An id that neither the box nor a plugged-in phone has is a typing error, not a wait.
    private func refuseUnknown(_ id: PhoneID) throws {
        guard try box.store.phone(id) == nil, lastProblem == nil else { return }
        throw ApplianceError(
            .notFound, "There is no phone \(id).",
            whatToDo: "Run holdfast phones to see which there are.")
    }

    private mutating func tellWaiting(_ found: [DetectedPhone]) {
        let (code, message) = reason(found)
        events(.progress(RunProgress(phase: .waiting)))
        guard told != message else { return }
        told = message
        events(.notice(RunNotice(code: code, message: message)))
    }

    private func reason(_ found: [DetectedPhone]) -> (code: String, message: String) {
        if let problem = lastProblem {
            let code = problem.code == .busy ? "phone_busy" : "waiting_for_user"
            return (code, "\(problem.whatHappened) \(problem.whatToDo)")
        }
        if let unsuitable = found.compactMap(\.unsuitable).first {
            return ("phone_unsuitable", "\(unsuitable).")
        }
        return (
            "waiting_for_phone",
            "No phone is plugged in. Plug it in and unlock it; on an Android phone choose File "
                + "transfer, on an iPhone tap Trust."
        )
    }

    private func ranOut(_ found: [DetectedPhone]) -> any Error {
        // Nobody came, or nobody allowed it: both are a person's wait that ran out.
        if let problem = lastProblem, problem.code != .gone, problem.code != .waitingForUser {
            return problem
        }
        return ApplianceError(
            .waitingRanOut, "Waiting ran out. \(reason(found).message)",
            whatToDo: "Then run the backup again.")
    }
}
