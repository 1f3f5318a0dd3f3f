import BlockingThread
import CSystem
import Glibc

/// How a program of ours meets signals.
package enum Interruption {
    /// A run that was told to stop must have ended after this long.
    private static let patience = 9

    /// Prepares the process, before any thread starts: SIGHUP is ignored (`restic unlock` sends it
    /// to who holds a lock) and SIGPIPE too; SIGINT and SIGTERM wait for ``stopOnSignals(_:)``.
    package static func prepare() {
        // Sound: the set is lent for the call.
        signal(SIGHUP, SIG_IGN)
        signal(SIGPIPE, SIG_IGN)
        var set = stopSignals()
        unsafe pthread_sigmask(SIG_BLOCK, &set, nil)
    }

    /// Calls `stop` at the first SIGINT or SIGTERM. When the program is still there after nine
    /// seconds, or at a second signal, it ends at once with 130: what is on the drives is whole at
    /// any moment, and the next run sweeps what is left over.
    package static func stopOnSignals(_ stop: @escaping @Sendable () -> Void) {
        BlockingThread(name: "signals").start {
            var set = stopSignals()
            var number: Int32 = 0
            // Sound: the set and the number are lent for the calls.
            guard unsafe sigwait(&set, &number) == 0 else { return }
            stop()
            var limit = timespec(tv_sec: patience, tv_nsec: 0)
            unsafe sigtimedwait(&set, nil, &limit)
            _exit(130)
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
