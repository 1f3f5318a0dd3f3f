import Glibc

/// Standard output for data, standard error for words.
enum Terminal {
    /// Whether a person looks at standard error.
    static let showsProgress = isatty(STDERR_FILENO) == 1
    /// Whether a person looks at standard output.
    static let showsOutput = isatty(STDOUT_FILENO) == 1
    /// Whether a person can be asked.
    static let canAsk = isatty(STDIN_FILENO) == 1 && isatty(STDERR_FILENO) == 1

    /// Whether a line was typed, or the input is at its end: reading does not wait then.
    static var hasInput: Bool {
        var input = pollfd(fd: STDIN_FILENO, events: Int16(POLLIN), revents: 0)
        // Sound: one local structure is lent for the call, which does not wait.
        return unsafe poll(&input, 1, 0) > 0
    }

    /// Drops what was typed for a question that nobody answered in time: it answers no other.
    static func forgetInput() { tcflush(STDIN_FILENO, TCIFLUSH) }

    /// A line of data; false when it could not be written whole.
    @discardableResult
    static func out(_ line: String) -> Bool { write(line + "\n", to: STDOUT_FILENO) }

    /// A line of words.
    static func err(_ line: String) { _ = write(line + "\n", to: STDERR_FILENO) }

    /// Words without a line end.
    static func errPart(_ text: String) { _ = write(text, to: STDERR_FILENO) }

    /// Writes all of it; a reader that went away ends the writing and nothing else.
    private static func write(_ text: String, to descriptor: Int32) -> Bool {
        let bytes = Array(text.utf8)
        var written = 0
        while written < bytes.count {
            // Sound: the buffer is lent for the call and the range lies within it.
            let count = unsafe bytes.withUnsafeBytes { buffer in
                let rest = unsafe UnsafeRawBufferPointer(rebasing: buffer[written...])
                return unsafe Glibc.write(descriptor, rest.baseAddress, rest.count)
            }
            if count < 0, errno == EINTR { continue }
            guard count > 0 else { return false }
            written += count
        }
        return true
    }
}
