package import BackupCore

/// The JSON of a snapshot file, to be put in an ``UnpackedFile``.
///
/// Source: restic's design document, "Snapshots".
package enum SnapshotCodec {
    /// The JSON of `draft`. `program` says who wrote it ("holdfast 1.0").
    ///
    /// The time is written with the local offset, because `restic forget` counts days in it.
    package static func encode(_ draft: SnapshotDraft, program: String) -> [UInt8] {
        var writer = JSONWriter()
        writer.object { writer in
            writer.key("time")
            writer.time(draft.time, utcOffsetSeconds: draft.utcOffsetSeconds)
            if let parent = draft.parent {
                writer.key("parent")
                writer.id(parent)
            }
            writer.key("tree")
            writer.id(draft.tree)
            writer.key("paths")
            writer.array(draft.paths) { $0.string($1) }
            write("hostname", draft.hostname, to: &writer)
            write("username", draft.username, to: &writer)
            if !draft.tags.isEmpty {
                writer.key("tags")
                writer.array(draft.tags) { $0.string($1) }
            }
            write("program_version", program, to: &writer)
        }
        return writer.bytes
    }

    private static func write(_ key: StaticString, _ text: String, to writer: inout JSONWriter) {
        guard !text.isEmpty else { return }
        writer.key(key)
        writer.string(text)
    }

    /// The snapshot that `json` tells; members we do not write (owner, excludes, summary) are
    /// skipped. `malformed` without a time or a tree.
    package static func decode(_ json: [UInt8]) throws(FormatError) -> SnapshotDraft {
        var time: (time: Timestamp, utcOffsetSeconds: Int)?
        var tree: ContentID?
        var parent: ContentID?
        var paths: [String] = []
        var tags: [String] = []
        var hostname = ""
        var username = ""
        var scanner = JSONScanner(json)
        try scanner.readObject { scanner, key throws(FormatError) in
            if scanner.matches(key, "time") {
                time = try scanner.readTime()
            } else if scanner.matches(key, "tree") {
                tree = try scanner.readOptionalID()
            } else if scanner.matches(key, "parent") {
                parent = try scanner.readOptionalID()
            } else if scanner.matches(key, "paths") {
                paths = try scanner.readTexts()
            } else if scanner.matches(key, "tags") {
                tags = try scanner.readTexts()
            } else if scanner.matches(key, "hostname") {
                hostname = try scanner.readText()
            } else if scanner.matches(key, "username") {
                username = try scanner.readText()
            } else {
                try scanner.skipValue()
            }
        }
        try scanner.finish()
        guard let time, let tree else { throw .malformed("a snapshot lacks its time or tree") }
        return SnapshotDraft(
            time: time.time, utcOffsetSeconds: time.utcOffsetSeconds, tree: tree, parent: parent,
            paths: paths, hostname: hostname, username: username, tags: tags)
    }
}

extension JSONScanner {
    /// Reads a string as text; what is not UTF-8 becomes U+FFFD.
    mutating func readText() throws(FormatError) -> String {
        String(decoding: try readString(), as: UTF8.self)
    }

    /// Reads an array of strings as text.
    mutating func readTexts() throws(FormatError) -> [String] {
        var texts: [String] = []
        try readArray { scanner throws(FormatError) in texts.append(try scanner.readText()) }
        return texts
    }

    /// Reads an id or null.
    mutating func readOptionalID() throws(FormatError) -> ContentID? {
        try skipNull() ? nil : readID()
    }
}
