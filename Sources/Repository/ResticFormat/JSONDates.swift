internal import BackupCore

extension JSONScanner {
    /// Reads a date with its offset from UTC in seconds.
    mutating func readTime() throws(FormatError) -> (time: Timestamp, utcOffsetSeconds: Int) {
        guard let result = try readPlainString({ RFC3339.parse($0) }) else {
            throw .malformed("JSON has a date that is not RFC 3339")
        }
        return result
    }
}

extension JSONWriter {
    /// Writes a date.
    mutating func time(_ time: Timestamp, utcOffsetSeconds: Int = 0) {
        string(RFC3339.text(time, utcOffsetSeconds: utcOffsetSeconds))
    }
}
