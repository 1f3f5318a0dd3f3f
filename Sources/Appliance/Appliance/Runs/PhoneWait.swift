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
    private let patience: Duration
    private var deadline: Duration
    private let events: RunEventSink
    /// Phones that were opened and are not meant, by address: not to be bothered again.
    private var others: Set<DetectedPhone> = []
    /// The phones that were handed over or cannot be had, by address.
    private var settled: Set<DetectedPhone> = []
    /// The phones handed over: one that was unplugged in its run comes back as another plug.
    private var finished: Set<PhoneID> = []
    private var crashes: [DetectedPhone: Int] = [:]
    /// Why the phones that are plugged in could not be opened yet.
    private var problems: [DetectedPhone: any Error] = [:]
    /// The newest of them, also of a phone that has gone.
    private var lastProblem: (any Error)?
    /// What a phone said that may or may not be the one that is meant.
    private var refusal: (any Error)?
    /// The sentences told last, by phone: as a person acts, a phone waits for one thing after
    /// another.
    private var told: [DetectedPhone?: String] = [:]
    /// Phones that were plugged in and came to nothing, while others are wanted too.
    private(set) var failures: [PhoneFailure] = []

    init(
        _ box: Box, for choice: PhoneChoice, wait: Duration, events: @escaping RunEventSink
    ) {
        self.box = box
        self.choice = choice
        patience = wait
        deadline = box.clock.elapsed() + wait
        self.events = events
    }

    /// The next phone, opened; nil when no other is there. Where every phone is wanted, one that
    /// cannot be had is among the ``failures`` and holds up none of the others. It throws when time
    /// runs out before the first phone.
    mutating func next() async throws -> OpenedPhone? {
        if case .any = choice {
            // Whoever came to unlock a phone had no chance to while another one was at work.
            if !finished.isEmpty { deadline = box.clock.elapsed() + patience }
        } else if !finished.isEmpty {
            return nil
        }
        while true {
            if Task.isCancelled { throw CancellationError() }
            let found = await box.detect(events: events)
            for (family, phone) in found where phone.unsuitable == nil && isAwaited(phone) {
                if let opened = try await attempt(phone, of: family) { return opened }
            }
            let awaited = found.map(\.phone).filter(isAwaited)
            if awaited.isEmpty {
                if let refusal { throw refusal }
                if !settled.isEmpty { return nil }
            }
            if case .phone(let id) = choice { try refuseUnknown(id) }
            tellWaiting(awaited)
            let left = deadline - box.clock.elapsed()
            guard left > .zero else {
                guard !settled.isEmpty else { throw ranOut(awaited.first) }
                for phone in awaited { fail(phone, ranOut(phone)) }
                return nil
            }
            await box.waitForChange(atMost: min(Self.pollInterval, left))
        }
    }

    private func isAwaited(_ phone: DetectedPhone) -> Bool {
        guard !settled.contains(phone), !others.contains(phone) else { return false }
        switch choice {
        case .bay(let bay): return phone.bay == bay
        case .phone(let id): return box.id(of: phone).map { $0 == id } ?? true
        // After its run a phone may show another face, as one that only charges.
        case .any: return phone.unsuitable == nil || !settled.contains { $0.bay == phone.bay }
        }
    }

    private mutating func attempt(
        _ phone: DetectedPhone, of family: any DeviceFamily
    ) async throws -> OpenedPhone? {
        // One that another run is at work with must not hold up the others.
        let isAlone = if case .any = choice { false } else { true }
        let left = isAlone ? max(.zero, deadline - box.clock.elapsed()) : .zero
        let opened: OpenedPhone
        do {
            opened = try await box.open(phone, of: family, wait: left, events: events)
        } catch {
            try note(error, of: phone, isKnown: false)
            return nil
        }
        var isMeant = !finished.contains(opened.id)
        if case .phone(let id) = choice, id != opened.id { isMeant = false }
        guard isMeant else {
            await opened.close()
            others.insert(phone)
            return nil
        }
        do {
            try await opened.requireTrust()
        } catch {
            try note(error, of: phone, isKnown: true)
            return nil
        }
        settled.insert(phone)
        finished.insert(opened.id)
        // It may have been plugged in anew after it refused.
        failures.removeAll { $0.phone.bay == phone.bay }
        (problems[phone], lastProblem, told) = (nil, nil, [:])
        return opened
    }

    /// Remembers why a phone could not be opened; throws when that ends the wait. `isKnown` tells
    /// that it said which phone it is.
    private mutating func note(
        _ error: any Error, of phone: DetectedPhone, isKnown: Bool
    ) throws {
        if mayStillCome(phone, error) {
            lastProblem = error
            problems[phone] = error
            return
        }
        guard !Task.isCancelled else { throw error }
        switch choice {
        case .any:
            settled.insert(phone)
            fail(phone, error)
        case .phone where !isKnown:
            others.insert(phone)
            refusal = error
        default: throw error
        }
    }

    /// Whether a phone that could not be opened is worth another try.
    private mutating func mayStillCome(_ phone: DetectedPhone, _ error: any Error) -> Bool {
        guard !Task.isCancelled else { return false }
        if case .any = choice, (error as? ApplianceError)?.code == .busy { return true }
        guard let error = error as? DeviceError, error.mayComeBack else { return false }
        guard error.code == .workerEnded || error.code == .timedOut else { return true }
        crashes[phone, default: 0] += 1
        return crashes[phone, default: 0] < Self.crashLimit
    }

    /// Tells at once of a phone that cannot be had, so that its owner need not wait for the others.
    private mutating func fail(_ phone: DetectedPhone, _ error: any Error) {
        let failure = PhoneFailure(phone, error)
        failures.removeAll { $0.phone.bay == phone.bay }
        failures.append(failure)
        problems[phone] = nil
        events(
            .notice(
                RunNotice(
                    code: "phone_failed",
                    message: "\(failure.name): \(Outcome(error).explanation)")))
    }

    /// An id that neither the box nor a plugged-in phone has is a typing error, not a wait.
    private func refuseUnknown(_ id: PhoneID) throws {
        guard try box.store.phone(id) == nil, lastProblem == nil else { return }
        throw ApplianceError(
            .notFound, "There is no phone \(id).",
            whatToDo: "Run holdfast phones to see which there are.")
    }

    /// Tells what each phone waits for, when that is new.
    private mutating func tellWaiting(_ awaited: [DetectedPhone]) {
        events(.progress(RunProgress(phase: .waiting)))
        let phones: [DetectedPhone?] = awaited.isEmpty ? [nil] : awaited
        for phone in phones {
            let (code, message) = reason(phone)
            guard told[phone] != message else { continue }
            told[phone] = message
            let isOneOfSeveral = awaited.count > 1 || !settled.isEmpty
            let name = phone.flatMap { isOneOfSeveral ? $0.kindAndBay + ": " : nil } ?? ""
            events(.notice(RunNotice(code: code, message: name + message)))
        }
    }

    private func reason(_ phone: DetectedPhone?) -> (code: String, message: String) {
        switch phone.map({ problems[$0] }) ?? lastProblem {
        case let problem as DeviceError:
            let code = problem.code == .busy ? "phone_busy" : "waiting_for_user"
            return (code, "\(problem.whatHappened) \(problem.whatToDo)")
        case is ApplianceError:
            return ("waiting_for_run", "Another run is at work with this phone; waiting for it.")
        default: break
        }
        if let unsuitable = phone?.unsuitable { return ("phone_unsuitable", "\(unsuitable).") }
        return (
            "waiting_for_phone",
            "No phone is plugged in. Plug it in and unlock it; on an Android phone choose File "
                + "transfer, on an iPhone tap Trust."
        )
    }

    private func ranOut(_ phone: DetectedPhone?) -> any Error {
        let problem =
            phone.flatMap { problems[$0] } ?? (phone?.unsuitable == nil ? lastProblem : nil)
        // Nobody came, or nobody allowed it: both are a person's wait that ran out.
        if let problem = problem as? DeviceError, problem.code != .gone,
            problem.code != .waitingForUser
        {
            return problem
        }
        if let problem = problem as? ApplianceError { return problem }
        return ApplianceError(
            .waitingRanOut, "Waiting ran out. \(reason(phone).message)",
            whatToDo: "Then run the backup again.")
    }
}

/// A phone that was plugged in and could not be had.
struct PhoneFailure {
    let phone: DetectedPhone
    let error: any Error

    init(_ phone: DetectedPhone, _ error: any Error) {
        self.phone = phone
        self.error = error
    }

    /// The run that did not come about; its details have the bay, for programs.
    var summary: RunSummary {
        var summary = RunSummary(failed: error)
        summary.details = [.init("bay", .string(phone.bay.rawValue))]
        return summary
    }

    /// The phone's kind and place, for it told no name.
    var name: String { phone.kindAndBay }
}

extension DetectedPhone {
    /// What to call a phone that told no name.
    fileprivate var kindAndBay: String {
        (family == .iphone ? "The iPhone" : "The Android phone") + " in bay \(bay)"
    }
}
