internal import BackupCore

/// Gives every entry of one folder a name of its own that may stand in a tree.
///
/// Deterministic: it depends on the entries, not on handles or on the order they were listed in
/// (except between entries that are equal in everything). A name that may stand as it is stays;
/// case twins are different names. The rest is escaped (`/` as `%2F`, NUL as `%00`, `%` as `%25`,
/// `.` and `..` as `%2E` and `%2E%2E`, the empty name as `%`), shortened with a hash, or
/// numbered: ` (2)` before the extension.
struct NameMapping {
    /// An entry under its name in the tree.
    struct Named {
        let entry: PhoneEntry
        let name: EntryName
        /// Whether the phone's name is another one.
        var isRenamed: Bool { entry.name != name }
    }

    let hash: @Sendable ([UInt8]) -> ContentID

    /// The entries with their names, in the order of the names' bytes.
    func assign(_ entries: [PhoneEntry], reserved: Set<EntryName> = []) -> [Named] {
        var taken = reserved
        var named: [Named] = []
        var waiting: [PhoneEntry] = []
        named.reserveCapacity(entries.count)
        for entry in Self.ordered(entries) {
            if entry.name.isTreeName, taken.insert(entry.name).inserted {
                named.append(Named(entry: entry, name: entry.name))
            } else {
                waiting.append(entry)
            }
        }
        var lastNumber: [EntryName: Int] = [:]
        for entry in waiting {
            let name = free(treeName(of: entry.name), &taken, &lastNumber)
            named.append(Named(entry: entry, name: name))
        }
        return waiting.isEmpty ? named : named.sorted { $0.name < $1.name }
    }

    /// The name as it may stand in a tree, not looking at its neighbours.
    func treeName(of name: EntryName) -> EntryName {
        guard !name.isTreeName else { return name }
        let escaped = Self.escaped(name.bytes)
        guard escaped.count > 255 else { return EntryName(bytes: escaped) }
        let (stem, suffix) = Self.split(escaped)
        let tail = [UInt8(ascii: "~")] + hash(name.bytes).hexDigits.prefix(16) + suffix
        return EntryName(bytes: Self.cut(stem, to: 240 - tail.count) + tail)
    }

    private func free(
        _ name: EntryName, _ taken: inout Set<EntryName>, _ lastNumber: inout [EntryName: Int]
    ) -> EntryName {
        var candidate = name
        while !taken.insert(candidate).inserted {
            // A counter per name: a phone that lists one name a million times costs no more.
            let number = lastNumber[name, default: 1] + 1
            lastNumber[name] = number
            candidate = Self.numbered(name, number)
        }
        return candidate
    }

    private static func numbered(_ name: EntryName, _ number: Int) -> EntryName {
        let (stem, suffix) = split(name.bytes)
        let tail = Array(" (\(number))".utf8) + suffix
        return EntryName(bytes: cut(stem, to: 255 - tail.count) + tail)
    }

    private static func escaped(_ bytes: [UInt8]) -> [UInt8] {
        switch bytes {
        case []: return Array("%".utf8)
        case [0x2E]: return Array("%2E".utf8)
        case [0x2E, 0x2E]: return Array("%2E%2E".utf8)
        default: break
        }
        // Too long only: nothing in it is ambiguous, so it stays readable.
        guard bytes.contains(where: { $0 == 0x2F || $0 == 0 }) else { return bytes }
        return bytes.flatMap { byte -> [UInt8] in
            switch byte {
            case 0x2F: Array("%2F".utf8)
            case 0x25: Array("%25".utf8)
            case 0: Array("%00".utf8)
            default: [byte]
            }
        }
    }

    /// The name before its extension, and the extension with its dot (up to 16 bytes, else none).
    private static func split(_ bytes: [UInt8]) -> (stem: [UInt8], suffix: [UInt8]) {
        guard let dot = bytes.lastIndex(of: 0x2E), dot > 0, bytes.count - dot <= 17 else {
            return (bytes, [])
        }
        return (Array(bytes[..<dot]), Array(bytes[dot...]))
    }

    /// At most `limit` bytes from the start, not ending within a UTF-8 sequence.
    private static func cut(_ bytes: [UInt8], to limit: Int) -> [UInt8] {
        guard bytes.count > limit else { return bytes }
        var end = max(0, limit)
        while end > 0, bytes[end] & 0xC0 == 0x80, limit - end < 4 { end -= 1 }
        return Array(bytes[..<end])
    }

    private static func ordered(_ entries: [PhoneEntry]) -> [PhoneEntry] {
        entries.enumerated().sorted { left, right in
            let (first, second) = (left.element, right.element)
            if first.name != second.name { return first.name < second.name }
            if first.isFolder != second.isFolder { return first.isFolder }
            if first.byteCount != second.byteCount {
                return first.byteCount ?? .max < second.byteCount ?? .max
            }
            if first.modified != second.modified { return first.modified < second.modified }
            return left.offset < right.offset
        }.map(\.element)
    }
}
