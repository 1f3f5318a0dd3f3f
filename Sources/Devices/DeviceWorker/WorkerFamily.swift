package import BackupCore
import BlockingThread
import Synchronization

/// Phones of one family, each spoken with by a worker process of its own.
package struct WorkerFamily: DeviceFamily {
    package let family: PhoneFamily
    private let program: WorkerProgram
    private let clock: any RunClock
    private let deadlines: WorkerDeadlines
    private let watch: (any PresenceWatch)?

    /// A family whose workers are `program`; without a `watch` changes are not heard of.
    package init(
        _ family: PhoneFamily, program: WorkerProgram = .this, clock: any RunClock,
        deadlines: WorkerDeadlines = WorkerDeadlines(), watch: (any PresenceWatch)? = nil
    ) {
        self.watch = watch
        self.family = family
        self.program = program
        self.clock = clock
        self.deadlines = deadlines
    }

    /// See ``DeviceFamily/detect()``. The bus is looked at in a worker, because descriptors are
    /// a stranger's bytes too.
    package func detect() async throws(DeviceError) -> [DetectedPhone] {
        let thread = DedicatedThread(name: "worker-link")
        let found = Mutex<[DetectedPhone]>([])
        let call = WorkerCall(thread: thread, clock: clock, limit: deadlines.presence)
        let link = try await call.start(program, WorkerCommand.presence(family).arguments) {
            link throws(DeviceError) in
            let frame = try link.answer(to: 0, .phones)
            let phones = try link.decode(frame) { reader throws(DeviceError) in
                try reader.list(limit: WireLimit.phones) { reader throws(DeviceError) in
                    try reader.phone()
                }
            }
            found.withLock { $0 = phones }
        }
        let patience = deadlines.close
        await thread.run { link.close(patience: patience) }
        return found.withLock { $0.filter { $0.family == family } }
    }

    /// See ``DeviceFamily/waitForChange(atMost:)``.
    package func waitForChange(atMost limit: Duration) async {
        guard let watch else { return await clock.sleep(limit) }
        await watch.change(within: limit)
    }

    /// See ``DeviceFamily/open(_:)``. A phone that is busy is tried three times a second apart,
    /// one whose first opening failed in another way once more: libmtp leaves the USB interface
    /// claimed after a failure, so each try has a fresh process.
    package func open(_ phone: DetectedPhone) async throws(DeviceError) -> any DeviceSession {
        if let reason = phone.unsuitable { throw DeviceError(.unsuitable, reason) }
        guard phone.family == family, let command = WorkerCommand(opening: phone) else {
            throw DeviceError(.unsuitable, "This phone is not where it could be reached")
        }
        var attempt = 1
        let start = clock.elapsed()
        while true {
            do {
                return try await WorkerSession(
                    program: program, command: command, clock: clock, deadlines: deadlines)
            } catch {
                // A phone that let half the time pass will not answer a second worker either.
                let isQuick = clock.elapsed() - start < deadlines.open / 2
                let tries =
                    switch error.code {
                    case .busy: 3
                    case .workerEnded, .timedOut: isQuick ? 2 : 1
                    default: 1
                    }
                guard attempt < tries, !Task.isCancelled else { throw error }
            }
            attempt += 1
            await clock.sleep(.seconds(1))
        }
    }
}
