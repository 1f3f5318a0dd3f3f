package import BackupCore
import Synchronization

/// Remembers since when foreign lock files lie on a drive, across runs of the program.
package protocol LockMemory: Sendable {
    /// How long `lock` has been known, by monotonic time of this boot; zero, and remembered from
    /// now on, when it was not. Moments from another boot must not be counted.
    func knownFor(_ lock: ContentID) -> Duration
    /// Forgets every lock not in `present`, the ones that a drive shows now.
    func keepOnly(_ present: Set<ContentID>)
}

/// A memory that lasts as long as the process.
package final class ProcessLockMemory: LockMemory {
    private let clock: any RunClock
    private let seen = Mutex<[ContentID: Duration]>([:])

    /// An empty memory that reads `clock.elapsed()`.
    package init(clock: any RunClock) { self.clock = clock }

    package func knownFor(_ lock: ContentID) -> Duration {
        let now = clock.elapsed()
        return seen.withLock { seen in
            let since = seen[lock] ?? now
            seen[lock] = since
            return now - since
        }
    }

    package func keepOnly(_ present: Set<ContentID>) {
        seen.withLock { seen in seen = seen.filter { present.contains($0.key) } }
    }
}
