package import BackupCore

/// The JSON of a tree blob: one folder's entries, byte for byte as restic writes them.
///
/// Source: restic's design document, "Trees and Data". Everything that a phone cannot tell is left
/// out or constant (no inode, one link, owner 0, access and change time equal to the modification
/// time), so that the same entries always give the same id.
package enum TreeCodec {
    /// The most entries of a folder that are written or read: a million, which take about 200 MB
    /// of memory. A tree blob of the largest size could hold twenty times as many.
    package static var maximumEntryCount: Int { 1_000_000 }

    private static var directoryBit: UInt32 { 1 << 31 }
    private static var symbolicLinkBit: UInt32 { 1 << 27 }

    /// The blob of a folder with `nodes`, which may come in any order.
    ///
    /// `malformed` when two nodes have the same name, or one has a name that may not stand in a
    /// tree: no reader could give such a folder back. `limitExceeded` beyond
    /// ``maximumEntryCount``.
    package static func encode(_ nodes: [TreeNode]) throws(FormatError) -> [UInt8] {
        guard nodes.count <= maximumEntryCount else { throw tooManyEntries }
        // By raw bytes, as restic sorts.
        let sorted = nodes.sorted {
            $0.name.bytes.lexicographicallyPrecedes($1.name.bytes)
        }
        for (node, next) in zip(sorted, sorted.dropFirst()) where node.name == next.name {
            throw .malformed("a folder has two entries named \(node.name)")
        }
        for node in sorted where !node.name.isTreeName {
            throw .malformed("a folder has an entry that may not be named \(node.name)")
        }
        var writer = JSONWriter(
            capacity: 16 + sorted.reduce(0) { $0 + 300 + 67 * $1.content.count })
        writer.raw("{\"nodes\":")
        writer.array(sorted) { writer, node in
            writer.object { write(node, to: &$0) }
        }
        // restic ends every tree so, because Go's streaming encoder did in its first version.
        writer.raw("}\n")
        return writer.bytes
    }

    private static func write(_ node: TreeNode, to writer: inout JSONWriter) {
        writer.key("name")
        writer.string(GoQuoting.quoted(node.name.bytes))
        writer.key("type")
        writer.string(typeWord(node.kind))
        let mode = node.mode ?? defaultMode(node.kind)
        if mode != 0 {
            writer.key("mode")
            writer.number(UInt64(mode))
        }
        let time = RFC3339.text(node.modified)
        writer.key("mtime")
        writer.string(time)
        writer.key("atime")
        writer.string(time)
        writer.key("ctime")
        writer.string(time)
        writer.key("uid")
        writer.number(0)
        writer.key("gid")
        writer.number(0)
        if node.byteCount > 0 {
            writer.key("size")
            writer.number(node.byteCount)
        }
        writer.key("links")
        writer.number(1)
        writeContent(of: node, to: &writer)
    }

    private static func writeContent(of node: TreeNode, to writer: inout JSONWriter) {
        if case .symbolicLink(let target) = node.kind { write(linkTarget: target, to: &writer) }
        writer.key("content")
        if node.kind == .file {
            writer.array(node.content) { $0.id($1) }
        } else {
            writer.raw("null")
        }
        if let subtree = node.subtree {
            writer.key("subtree")
            writer.id(subtree)
        }
    }

    /// JSON text cannot hold bytes that are not UTF-8; since 0.16 restic puts such a target in a
    /// second member too.
    private static func write(linkTarget: [UInt8], to writer: inout JSONWriter) {
        let text = String(decoding: linkTarget, as: UTF8.self)
        if !linkTarget.isEmpty {
            writer.key("linktarget")
            writer.string(text)
        }
        if !text.utf8.elementsEqual(linkTarget) {
            writer.key("linktarget_raw")
            writer.string(Base64.encode(linkTarget))
        }
    }

    private static func typeWord(_ kind: TreeNode.Kind) -> String {
        switch kind {
        case .file: "file"
        case .directory: "dir"
        case .symbolicLink: "symlink"
        case .other(let word): word
        }
    }

    private static func defaultMode(_ kind: TreeNode.Kind) -> UInt32 {
        switch kind {
        case .file: 0o600
        case .directory: directoryBit | 0o700
        case .symbolicLink: symbolicLinkBit | 0o777
        case .other: 0
        }
    }

    /// The entries of a tree blob, in its order.
    ///
    /// Names are given as they stand, also ones that no folder can hold: whoever makes files judges
    /// them. Unknown members are skipped; a mode equal to our default comes back as nil.
    /// `limitExceeded` beyond ``maximumEntryCount`` entries, before more of them are kept.
    package static func decode(_ json: [UInt8]) throws(FormatError) -> [TreeNode] {
        var nodes: [TreeNode] = []
        var scanner = JSONScanner(json)
        try scanner.readObject { scanner, key throws(FormatError) in
            guard scanner.matches(key, "nodes") else { return try scanner.skipValue() }
            try scanner.readArray { scanner throws(FormatError) in
                guard nodes.count < maximumEntryCount else { throw tooManyEntries }
                nodes.append(try readNode(&scanner))
            }
        }
        try scanner.finish()
        return nodes
    }

    private static var tooManyEntries: FormatError {
        FormatError(.limitExceeded, "a folder has more than \(maximumEntryCount) entries")
    }

    /// The members of a node as they are read.
    private struct Members {
        var name: [UInt8]?
        var type: [UInt8]?
        var mode: UInt32 = 0
        var modified = Timestamp.zero
        var size: UInt64 = 0
        var linkTarget: [UInt8] = []
        var rawLinkTarget: [UInt8]?
        var content: [ContentID] = []
        var subtree: ContentID?
    }

    private static func readNode(_ scanner: inout JSONScanner) throws(FormatError) -> TreeNode {
        var members = Members()
        try scanner.readObject { scanner, key throws(FormatError) in
            try readMember(key, from: &scanner, into: &members)
        }
        guard let name = members.name, let type = members.type else {
            throw .malformed("a tree has a node without name or type")
        }
        let kind = kind(ofType: type, members)
        return TreeNode(
            name: EntryName(bytes: name), kind: kind, modified: members.modified,
            mode: members.mode == defaultMode(kind) ? nil : members.mode,
            byteCount: kind == .file ? members.size : 0,
            content: kind == .file ? members.content : [], subtree: members.subtree)
    }

    private static func readMember(
        _ key: JSONScanner.Key, from scanner: inout JSONScanner, into members: inout Members
    ) throws(FormatError) {
        if scanner.matches(key, "name") {
            members.name = try GoQuoting.unquoted(scanner.readString())
        } else if scanner.matches(key, "type") {
            members.type = try scanner.readString()
        } else if scanner.matches(key, "mode") {
            members.mode = try readMode(&scanner)
        } else if scanner.matches(key, "mtime") {
            // rustic writes null for a date it does not know.
            if try !scanner.skipNull() { members.modified = try scanner.readTime().time }
        } else if scanner.matches(key, "size") {
            members.size = try scanner.readUnsigned()
        } else if scanner.matches(key, "linktarget") {
            members.linkTarget = try scanner.readString()
        } else if scanner.matches(key, "linktarget_raw") {
            if try !scanner.skipNull() {
                members.rawLinkTarget = Base64.decode(try scanner.readString())
            }
        } else if scanner.matches(key, "content") {
            var content: [ContentID] = []
            try scanner.readArray { scanner throws(FormatError) in
                content.append(try scanner.readID())
            }
            members.content = content
        } else if scanner.matches(key, "subtree") {
            if try !scanner.skipNull() { members.subtree = try scanner.readID() }
        } else {
            try scanner.skipValue()
        }
    }

    private static func readMode(_ scanner: inout JSONScanner) throws(FormatError) -> UInt32 {
        if try scanner.skipNull() { return 0 }
        guard let mode = UInt32(exactly: try scanner.readUnsigned()) else {
            throw .malformed("a tree has a mode of more than 32 bits")
        }
        return mode
    }

    private static func kind(ofType type: [UInt8], _ members: Members) -> TreeNode.Kind {
        switch String(decoding: type, as: UTF8.self) {
        case "file": .file
        case "dir": .directory
        case "symlink": .symbolicLink(target: members.rawLinkTarget ?? members.linkTarget)
        case let word: .other(word)
        }
    }
}
