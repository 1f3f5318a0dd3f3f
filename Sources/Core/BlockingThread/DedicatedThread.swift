import CSystem
import Glibc

/// One thread that runs calls which block, one after the other.
///
/// The cooperative pool has as many threads as the machine has cores; a `read` that waits for a
/// drive or a worker there would hold up everything else. Work given to one `DedicatedThread` runs
/// in order. The thread ends when the last reference is gone and its queue is empty.
package final class DedicatedThread: Sendable {
    private let queue = JobQueue()

    /// Starts a thread; `name` (at most 15 bytes are used) shows in debuggers.
    package init(name: String) {
        let start = unsafe Unmanaged.passRetained(ThreadStart(queue: queue, name: name))
        var thread = pthread_t()
        // Sound: the retained box is taken back exactly once, by the new thread or, when there is
        // none, here.
        let status = unsafe pthread_create(&thread, nil, runJobs, start.toOpaque())
        guard status == 0 else {
            unsafe start.release()
            // Without threads nothing of the product can run; there is no error to give a caller.
            fatalError("no thread could be started: \(status)")
        }
        pthread_detach(thread)
    }

    deinit { queue.finish() }

    /// Queues `body` on the thread and returns at once; the caller bounds how much it queues.
    package func start(_ body: @escaping @Sendable () -> Void) { queue.add(body) }

    /// Runs `body` on the thread and waits for it without blocking the caller's thread.
    package func run<Value: Sendable, Failure: Error>(
        _ body: @escaping @Sendable () throws(Failure) -> Value
    ) async throws(Failure) -> Value {
        let result: Result<Value, Failure> = await withCheckedContinuation { continuation in
            queue.add {
                do throws(Failure) {
                    continuation.resume(returning: .success(try body()))
                } catch {
                    continuation.resume(returning: .failure(error))
                }
            }
        }
        return try result.get()
    }
}

private final class ThreadStart: Sendable {
    let queue: JobQueue
    let name: String

    init(queue: JobQueue, name: String) {
        self.queue = queue
        self.name = name
    }
}

private func runJobs(_ argument: UnsafeMutableRawPointer?) -> UnsafeMutableRawPointer? {
    guard let argument = unsafe argument else { return nil }
    // Sound: the pointer is the box that `DedicatedThread.init` retained for this thread alone.
    let start = unsafe Unmanaged<ThreadStart>.fromOpaque(argument).takeRetainedValue()
    // Sound: the text is lent as a NUL-terminated string for the call only.
    unsafe holdfast_name_thread(start.name)
    start.queue.work()
    return nil
}

/// A queue of closures with a condition to wait on.
@safe private final class JobQueue: @unchecked Sendable {
    // Unchecked: `jobs` and `isFinished` are only touched between lock and unlock of `mutex`. A
    // `Mutex` of the standard library has no condition variable to sleep on.
    private let mutex: UnsafeMutablePointer<pthread_mutex_t>
    private let condition: UnsafeMutablePointer<pthread_cond_t>
    private var jobs: [@Sendable () -> Void] = []
    private var isFinished = false

    init() {
        // Sound: both are allocated here, initialised before use and freed in deinit, when no
        // thread holds a reference any more.
        unsafe mutex = .allocate(capacity: 1)
        unsafe condition = .allocate(capacity: 1)
        unsafe pthread_mutex_init(mutex, nil)
        unsafe pthread_cond_init(condition, nil)
    }

    deinit {
        unsafe pthread_cond_destroy(condition)
        unsafe pthread_mutex_destroy(mutex)
        unsafe condition.deallocate()
        unsafe mutex.deallocate()
    }

    func add(_ job: @escaping @Sendable () -> Void) {
        unsafe pthread_mutex_lock(mutex)
        jobs.append(job)
        unsafe pthread_cond_signal(condition)
        unsafe pthread_mutex_unlock(mutex)
    }

    func finish() {
        unsafe pthread_mutex_lock(mutex)
        isFinished = true
        unsafe pthread_cond_signal(condition)
        unsafe pthread_mutex_unlock(mutex)
    }

    func work() {
        while let job = next() { job() }
    }

    private func next() -> (@Sendable () -> Void)? {
        unsafe pthread_mutex_lock(mutex)
        defer { unsafe pthread_mutex_unlock(mutex) }
        while jobs.isEmpty {
            if isFinished { return nil }
            unsafe pthread_cond_wait(condition, mutex)
        }
        return jobs.removeFirst()
    }
}
