package import BackupCore

/// Who holds a lock on a repository, and since when.
package struct LockRecord: Hashable, Sendable {
    /// When the lock was made or last refreshed.
    package var time: Timestamp
    /// The zone's offset that the time is written with, in seconds.
    package var utcOffsetSeconds: Int
    /// Whether nobody else may hold a lock.
    package var isExclusive: Bool
    /// The holder's machine; process ids mean something on that machine only.
    package var hostname: String
    /// The holder's user name there.
    package var username: String
    /// The holder's process there; 0 when it is not known.
    package var processID: Int64
    /// The holder's numeric user; 0 is not written.
    package var userID: UInt32
    /// The holder's numeric group; 0 is not written.
    package var groupID: UInt32

    /// A lock with every field given.
    package init(
        time: Timestamp, utcOffsetSeconds: Int = 0, isExclusive: Bool, hostname: String,
        username: String, processID: Int64, userID: UInt32 = 0, groupID: UInt32 = 0
    ) {
        self.time = time
        self.utcOffsetSeconds = utcOffsetSeconds
        self.isExclusive = isExclusive
        self.hostname = hostname
        self.username = username
        self.processID = processID
        self.userID = userID
        self.groupID = groupID
    }
}

/// The JSON of a lock file, to be put in an ``UnpackedFile``.
///
/// Source: restic's design document, "Locks".
package enum LockCodec {
    /// The JSON of `lock`.
    package static func encode(_ lock: LockRecord) -> [UInt8] {
        var writer = JSONWriter()
        writer.object { writer in
            writer.key("time")
            writer.time(lock.time, utcOffsetSeconds: lock.utcOffsetSeconds)
            writer.key("exclusive")
            if lock.isExclusive { writer.raw("true") } else { writer.raw("false") }
            writer.key("hostname")
            writer.string(lock.hostname)
            writer.key("username")
            writer.string(lock.username)
            writer.key("pid")
            writer.number(UInt64(max(0, lock.processID)))
            write("uid", lock.userID, to: &writer)
            write("gid", lock.groupID, to: &writer)
        }
        return writer.bytes
    }

    private static func write(_ key: StaticString, _ id: UInt32, to writer: inout JSONWriter) {
        guard id != 0 else { return }
        writer.key(key)
        writer.number(UInt64(id))
    }

    /// The lock that `json` tells; `malformed` without a time. A missing `exclusive` reads as
    /// false and a missing process id as 0, as in Go.
    package static func decode(_ json: [UInt8]) throws(FormatError) -> LockRecord {
        var lock = LockRecord(
            time: .zero, isExclusive: false, hostname: "", username: "", processID: 0)
        var hasTime = false
        var scanner = JSONScanner(json)
        try scanner.readObject { scanner, key throws(FormatError) in
            if scanner.matches(key, "time") {
                (lock.time, lock.utcOffsetSeconds) = try scanner.readTime()
                hasTime = true
            } else if scanner.matches(key, "exclusive") {
                lock.isExclusive = try scanner.readBool()
            } else if scanner.matches(key, "hostname") {
                lock.hostname = try scanner.readText()
            } else if scanner.matches(key, "username") {
                lock.username = try scanner.readText()
            } else if scanner.matches(key, "pid") {
                lock.processID = Int64(clamping: try scanner.readUnsigned())
            } else if scanner.matches(key, "uid") {
                lock.userID = UInt32(clamping: try scanner.readUnsigned())
            } else if scanner.matches(key, "gid") {
                lock.groupID = UInt32(clamping: try scanner.readUnsigned())
            } else {
                try scanner.skipValue()
            }
        }
        try scanner.finish()
        guard hasTime else { throw .malformed("a lock lacks its time") }
        return lock
    }
}
