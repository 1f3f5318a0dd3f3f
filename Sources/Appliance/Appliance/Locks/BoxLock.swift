package import BackupCore
import CSystem
import Glibc
import Synchronization

/// A lock between programs on this box: a kernel lock on a file in the run folder.
///
/// It dies with its process and knows no clock, so it can never be stale.
package final class BoxLock: Sendable {
    private let descriptor: Mutex<Int32?>

    private init(_ descriptor: Int32) { self.descriptor = Mutex(descriptor) }

    deinit { release() }

    /// Takes the lock `name` in `folder`, waiting up to `wait`; `what` names for people what is
    /// held by somebody else when it ends in `busy`. A cancelled task stops waiting.
    package static func acquire(
        _ name: String, in folder: String, what: String, wait: Duration, clock: any RunClock,
        onWait: () -> Void = {}
    ) async throws(ApplianceError) -> BoxLock {
        let path = "\(folder)/\(name).lock"
        // Sound: the path is lent NUL-terminated for the call.
        let descriptor = unsafe holdfast_openat(AT_FDCWD, path, O_RDWR | O_CREAT | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else {
            throw ApplianceError(
                .configuration,
                "The lock \(HostileText.escaped(path)) cannot be made: "
                    + "\(SystemCall.reason(errno)).",
                whatToDo: "Check the run folder's owner, or run holdfast setup again.")
        }
        let deadline = clock.elapsed() + wait
        var hasWaited = false
        var hasRetried = false
        while flock(descriptor, LOCK_EX | LOCK_NB) != 0 {
            if !hasRetried {
                // Whoever only looks whether it is held has it for a moment.
                hasRetried = true
                await clock.sleep(.milliseconds(20))
                continue
            }
            guard clock.elapsed() < deadline, !Task.isCancelled else {
                Glibc.close(descriptor)
                throw Task.isCancelled
                    ? ApplianceError(
                        .interrupted, "The run was interrupted while it waited.",
                        whatToDo: "Run it again when you are ready.")
                    : ApplianceError(
                        .busy, "Another run is at work on \(what).",
                        whatToDo: "Wait until it is done, then try again, or wait longer with "
                            + "--wait.")
            }
            if !hasWaited { onWait() }
            hasWaited = true
            await clock.sleep(.milliseconds(200))
        }
        return BoxLock(descriptor)
    }

    /// Whether somebody else holds the lock `name` in `folder` now.
    package static func isHeld(_ name: String, in folder: String) -> Bool {
        // Sound: the path is lent NUL-terminated for the call.
        let descriptor = unsafe holdfast_openat(
            AT_FDCWD, "\(folder)/\(name).lock", O_RDWR | O_CLOEXEC, 0)
        // A lock that was never made is held by nobody.
        guard descriptor >= 0 else { return false }
        defer { Glibc.close(descriptor) }
        guard flock(descriptor, LOCK_SH | LOCK_NB) == 0 else { return errno == EWOULDBLOCK }
        _ = flock(descriptor, LOCK_UN)
        return false
    }

    /// Gives the lock back; more than once is fine.
    package func release() {
        let held = descriptor.withLock { held in
            defer { held = nil }
            return held
        }
        guard let held else { return }
        // Not by closing alone: a worker that is just being started holds a copy of the
        // descriptor until it becomes its own program.
        _ = flock(held, LOCK_UN)
        Glibc.close(held)
    }
}
