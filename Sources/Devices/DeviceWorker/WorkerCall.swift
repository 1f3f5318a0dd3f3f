import BackupCore
import BlockingThread
import Synchronization

/// One call to a worker: the blocking part on its thread, and beside it a watch over the deadline.
struct WorkerCall {
    let thread: DedicatedThread
    let clock: any RunClock
    /// How long the worker may be silent.
    let limit: Duration
    /// How long the call may take altogether.
    var whole: Duration?

    /// Starts a worker, greets it and runs `body` on the link.
    func start(
        _ program: WorkerProgram, _ arguments: [String],
        _ body: @escaping @Sendable (WorkerLink) throws(DeviceError) -> Void
    ) async throws(DeviceError) -> WorkerLink {
        let interruption = try Interruption()
        let clock = clock
        let start = clock.elapsed()
        return try await supervise(interruption, since: { start }) {
            () throws(DeviceError) -> WorkerLink in
            let link = try WorkerLink(
                program: program, command: arguments, interruption: interruption, clock: clock)
            do throws(DeviceError) {
                try body(link)
            } catch {
                link.close(patience: .seconds(1))
                throw error
            }
            return link
        }
    }

    /// Runs `body` on a link that is open.
    func run<Value: Sendable>(
        _ link: WorkerLink, _ body: @escaping @Sendable (WorkerLink) throws(DeviceError) -> Value
    ) async throws(DeviceError) -> Value {
        let start = clock.elapsed()
        link.lastSign.withLock { $0 = start }
        return try await supervise(link.interruption, since: { link.lastSign.withLock { $0 } }) {
            () throws(DeviceError) -> Value in try body(link)
        }
    }

    private func supervise<Value: Sendable>(
        _ interruption: Interruption, since lastSign: @escaping @Sendable () -> Duration,
        _ body: @escaping @Sendable () throws(DeviceError) -> Value
    ) async throws(DeviceError) -> Value {
        let outcome = await withTaskCancellationHandler {
            await withTaskGroup(of: Result<Value, DeviceError>?.self) { group in
                group.addTask {
                    await self.watch(interruption, lastSign)
                    return nil
                }
                group.addTask {
                    await self.thread.run { () -> Result<Value, DeviceError> in
                        do throws(DeviceError) { return .success(try body()) } catch {
                            return .failure(error)
                        }
                    }
                }
                var outcome: Result<Value, DeviceError>?
                for await result in group {
                    guard let result else { continue }
                    outcome = result
                    // The call is over; the watch must not outlive it.
                    group.cancelAll()
                }
                return outcome
            }
        } onCancel: {
            interruption.raise(.cancelled)
        }
        guard let outcome else {
            throw DeviceError(.cancelled, "The work with the phone was stopped")
        }
        return try outcome.get()
    }

    /// Raises the deadline when the worker stays silent; ends when the call is over.
    private func watch(_ interruption: Interruption, _ lastSign: @Sendable () -> Duration) async {
        let end = whole.map { clock.elapsed() + $0 }
        while !Task.isCancelled {
            let due = min(lastSign() + limit, end ?? .seconds(Int64.max / 4))
            let now = clock.elapsed()
            if now >= due { return interruption.raise(.deadline) }
            await clock.sleep(due - now)
        }
    }
}
