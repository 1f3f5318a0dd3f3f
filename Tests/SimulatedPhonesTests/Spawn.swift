import Glibc

/// Starts a program and waits for it, without the run loop that Foundation's Process needs.
enum Spawn {
    struct Failed: Error {
        let code: Int32
    }

    /// Standard input is empty, both outputs go to the file `output`. Returns the exit code, or
    /// 128 and the number of the signal that ended it.
    static func run(
        _ command: [String], variables: [String], output: String
    ) throws -> Int32 {
        try wait(for: start(command, variables: variables, output: output))
    }

    /// Starts it only; gives its process id, which `wait` takes.
    static func start(
        _ command: [String], variables: [String], output: String
    ) throws -> pid_t {
        var actions = unsafe posix_spawn_file_actions_t()
        // Sound: the actions are made, filled and destroyed here; the strings outlive the call.
        unsafe posix_spawn_file_actions_init(&actions)
        defer { unsafe posix_spawn_file_actions_destroy(&actions) }
        unsafe posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0)
        unsafe posix_spawn_file_actions_addopen(
            &actions, 1, output, O_WRONLY | O_CREAT | O_TRUNC, 0o600)
        unsafe posix_spawn_file_actions_adddup2(&actions, 1, 2)
        // Sound: copies made by strdup, freed below, after the child has its own.
        var words = unsafe command.map { unsafe strdup($0) } + [nil]
        var settings = unsafe variables.map { unsafe strdup($0) } + [nil]
        defer {
            unsafe words.forEach { unsafe free($0) }
            unsafe settings.forEach { unsafe free($0) }
        }
        var child: pid_t = 0
        let code = unsafe posix_spawn(&child, command[0], &actions, nil, &words, &settings)
        guard code == 0 else { throw Failed(code: code) }
        return child
    }

    /// The exit code, or 128 and the number of the signal.
    static func wait(for child: pid_t) throws -> Int32 {
        var status: Int32 = 0
        // Sound: waitpid writes one Int32 into the local variable.
        while unsafe waitpid(child, &status, 0) < 0 {
            guard errno == EINTR else { throw Failed(code: errno) }
        }
        let signal = status & 0x7F
        return signal == 0 ? (status >> 8) & 0xFF : 128 + signal
    }
}
