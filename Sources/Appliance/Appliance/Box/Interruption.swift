package import BackupCore
import CSystem
import Glibc

/// How a program of ours runs and meets signals.
package enum Interruption {
    /// A run that was told to stop must have ended after this long.
    private static let patience = 9

    /// Ignores SIGHUP (`restic unlock` sends it to who holds a lock) and SIGPIPE, and holds back
    /// SIGINT and SIGTERM; memory that is freed goes back to the system. To be called before any
    /// thread starts.
    package static func prepare() {
        holdfast_limit_allocator()
        signal(SIGHUP, SIG_IGN)
        signal(SIGPIPE, SIG_IGN)
        // A shell starts background programs with SIGINT ignored; a run must still end with what
        // it has when somebody sends it.
        signal(SIGINT, SIG_DFL)
        signal(SIGTERM, SIG_DFL)
        var set = stopSignals()
        // Sound: the set is lent for the call.
        unsafe pthread_sigmask(SIG_BLOCK, &set, nil)
    }

    /// Runs `body` and ends the process with its code. The first SIGINT or SIGTERM cancels it.
    /// When the program is still there nine seconds later, or at a second signal, it ends at once
    /// with 130: what is on the drives is whole at any moment, and the next run sweeps what is
    /// left over.
    ///
    /// The calling thread waits for signals itself. An asynchronous `main` would hand it to
    /// libdispatch, which lets every signal through in a thread of its own.
    package static func run(_ body: @escaping @Sendable () async -> ExitCode) -> Never {
        let task = Task { end(with: await body()) }
        var set = stopSignals()
        var number: Int32 = 0
        // Sound: the set and the number are lent for the call.
        while unsafe sigwait(&set, &number) != 0 {}
        task.cancel()
        wait(for: patience, orASignalOf: set)
        _exit(ExitCode.interrupted.rawValue)
    }

    /// Ends the process without the C library's clean-up: libcrypto's would free locks that a
    /// drive's thread, on its own way out, still takes (a crash after a finished run).
    private static func end(with code: ExitCode) -> Never {
        fflush(nil)
        _exit(code.rawValue)
    }

    /// Returns after `seconds` or at a signal of `set`. The call is taken up again when another
    /// signal of the process (a worker that ended) interrupts it.
    private static func wait(for seconds: Int, orASignalOf set: sigset_t) {
        let clock = BoxClock()
        let deadline = clock.elapsed() + .seconds(seconds)
        var set = set
        while true {
            let left = (deadline - clock.elapsed()).components
            guard left.seconds >= 0, left.attoseconds >= 0 else { return }
            var limit = timespec(
                tv_sec: Int(left.seconds), tv_nsec: Int(left.attoseconds / 1_000_000_000))
            // Sound: the set and the limit are lent for the call.
            let number = unsafe sigtimedwait(&set, nil, &limit)
            if number > 0 || errno == EAGAIN { return }
        }
    }

    private static func stopSignals() -> sigset_t {
        var set = sigset_t()
        // Sound: the set is lent for the calls, which fill it.
        unsafe sigemptyset(&set)
        unsafe sigaddset(&set, SIGINT)
        unsafe sigaddset(&set, SIGTERM)
        return set
    }
}
