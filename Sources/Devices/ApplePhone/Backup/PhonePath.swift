import BackupCore

/// Where a path that the phone names lies in the tree: beneath `/Backup`.
///
/// Other tools join such a path to a folder and open it, so that a phone can name what is outside
/// (`../`). Here it never becomes a path on the box; one that tries is still the end of the
/// capture, because nothing else that this phone says can be relied on.
enum PhonePath {
    /// The folder that stands for the root of all backups.
    static let root = EntryPath(["Backup"])
    /// A phone's own paths have three names.
    private static let depthLimit = 32
    private static let byteLimit = 4096

    /// The tree's path for `bytes`; ``root`` for an empty one.
    ///
    /// Throws `limitExceeded` for one that is absolute, leads upwards, holds a NUL or is too long
    /// or too deep.
    static func parse(_ bytes: [UInt8]) throws(DeviceError) -> EntryPath {
        guard bytes.count <= byteLimit, bytes.first != UInt8(ascii: "/"), !bytes.contains(0) else {
            throw refused(bytes)
        }
        let names = bytes.split(separator: UInt8(ascii: "/")).map { EntryName(bytes: $0) }
        guard names.count <= depthLimit, names.allSatisfy(\.isTreeName) else {
            throw refused(bytes)
        }
        return EntryPath(root.names + names)
    }

    /// The same for a text of a property list.
    static func parse(_ text: String) throws(DeviceError) -> EntryPath {
        try parse(Array(text.utf8))
    }

    /// The same for one that must not be the root itself, which no phone changes.
    static func parseBelowRoot(_ text: String) throws(DeviceError) -> EntryPath {
        let path = try parse(text)
        guard path != root else { throw refused([]) }
        return path
    }

    /// The path of one of a backup's own files.
    static func file(_ name: EntryName, of phone: String) throws(DeviceError) -> EntryPath {
        try parseBelowRoot(phone).appending(name)
    }

    private static func refused(_ bytes: [UInt8]) -> DeviceError {
        DeviceError(
            .limitExceeded,
            "The phone named a path that is none of its backup's "
                + "(\"\(HostileText.escaped(bytes, limit: 200))\"), so the work with it was ended",
            advice: "Restart the phone and try again; if it stays, do not trust this phone.")
    }
}
