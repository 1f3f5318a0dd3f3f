import BackupCore
import CSystem
import Glibc

/// The system calls of the parent's end: one worker process and one socket to it.
///
/// Not Sendable on purpose: it lives inside a ``WorkerLink`` and is touched on its thread only.
struct WorkerProcess: ~Copyable {
    /// The parent's end of the socketpair.
    let descriptor: Int32
    private let pid: pid_t

    /// Starts `program` as a worker for `command`.
    init(_ program: WorkerProgram, _ command: [String]) throws(DeviceError) {
        var ends: [Int32] = [-1, -1]
        let type = Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue)
        // Sound: the array has room for the two descriptors.
        guard unsafe socketpair(AF_UNIX, type, 0, &ends) == 0 else {
            throw Self.notStarted(errno)
        }
        let child = Self.spawn(program.executable, program.arguments + command, ends[1])
        let error = errno
        Glibc.close(ends[1])
        guard child > 0 else {
            Glibc.close(ends[0])
            throw Self.notStarted(error)
        }
        descriptor = ends[0]
        pid = child
    }

    /// Ends the process if it has not ended, and takes it off the process table.
    ///
    /// `grace` is how long it may take to end by itself after it closed its end of the socket.
    /// Returns how it ended, for people.
    consuming func end(grace: Duration) -> String {
        var status: Int32 = 0
        var ended = false
        let patience = ContinuousClock.now + grace
        repeat {
            // Sound: `status` is a local that the call fills.
            ended = unsafe waitpid(pid, &status, WNOHANG) == pid
            if ended || grace == .zero { break }
            usleep(2000)
        } while ContinuousClock.now < patience
        if !ended {
            kill(pid, SIGKILL)
            while unsafe waitpid(pid, &status, 0) < 0, errno == EINTR {}
        }
        let text = Self.explain(status)
        Glibc.close(descriptor)
        discard self
        return text
    }

    deinit {
        kill(pid, SIGKILL)
        var status: Int32 = 0
        // Sound: `status` is a local that the call fills.
        while unsafe waitpid(pid, &status, 0) < 0, errno == EINTR {}
        Glibc.close(descriptor)
    }

    private static func spawn(
        _ executable: String, _ arguments: [String], _ descriptor: Int32
    ) -> pid_t {
        var words: [UnsafeMutablePointer<CChar>?] = unsafe []
        for argument in arguments { unsafe words.append(strdup(argument)) }
        unsafe words.append(nil)
        // Sound: the words live until after the call, which copies what it needs by fork.
        let child = unsafe words.withUnsafeMutableBufferPointer { list in
            guard let base = list.baseAddress else { return pid_t(-1) }
            return unsafe holdfast_spawn_worker(executable, base, descriptor)
        }
        let error = errno
        // Sound: each was allocated by strdup and is freed once.
        for index in unsafe words.indices { unsafe free(words[index]) }
        errno = error
        return child
    }

    /// A wait status in words: the signal named, or the exit code.
    private static func explain(_ status: Int32) -> String {
        let signal = status & 0x7F
        if signal == 0 { return "it ended with code \((status >> 8) & 0xFF)" }
        let names: [Int32: String] = [
            SIGSEGV: "SIGSEGV", SIGABRT: "SIGABRT", SIGBUS: "SIGBUS", SIGILL: "SIGILL",
            SIGFPE: "SIGFPE", SIGKILL: "SIGKILL", SIGTERM: "SIGTERM", SIGTRAP: "SIGTRAP",
            SIGSYS: "SIGSYS", SIGPIPE: "SIGPIPE",
        ]
        return "it was ended by signal \(names[signal] ?? "\(signal)")"
    }

    private static func notStarted(_ error: Int32) -> DeviceError {
        DeviceError(
            .workerEnded, "The helper process that speaks with the phone could not be started",
            nativeCode: Int(error))
    }
}
