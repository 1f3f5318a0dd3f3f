/// One entry of a folder in a snapshot.
///
/// Source: restic's design document, "Trees and Data". Owner, group, inode and link counts are
/// left out: a phone has none, and without them an unchanged folder is the same blob for ever.
package struct TreeNode: Hashable, Sendable {
    /// What the entry is.
    package enum Kind: Hashable, Sendable {
        case file
        case directory
        /// Only in snapshots that other programs made.
        case symbolicLink(target: [UInt8])
        /// A device, socket or pipe in a snapshot that another program made; the field's text.
        case other(String)
    }

    package var name: EntryName
    package var kind: Kind
    package var modified: Timestamp
    /// Go's `FileMode`: permission bits, directory bit 31, symbolic link bit 27. nil means the
    /// default (0600 for files, directory | 0700 for folders).
    package var mode: UInt32?
    /// Size of a file in bytes; 0 for everything else.
    package var byteCount: UInt64
    /// A file's data blobs in order; empty for an empty file and for everything else.
    package var content: [ContentID]
    /// A folder's tree blob.
    package var subtree: ContentID?

    /// A regular file.
    package static func file(
        _ name: EntryName, modified: Timestamp, byteCount: UInt64, content: [ContentID]
    ) -> TreeNode {
        TreeNode(
            name: name, kind: .file, modified: modified, mode: nil, byteCount: byteCount,
            content: content, subtree: nil)
    }

    /// A folder.
    package static func directory(
        _ name: EntryName, modified: Timestamp, subtree: ContentID?
    ) -> TreeNode {
        TreeNode(
            name: name, kind: .directory, modified: modified, mode: nil, byteCount: 0,
            content: [], subtree: subtree)
    }

    /// An entry with every field given.
    package init(
        name: EntryName, kind: Kind, modified: Timestamp, mode: UInt32?, byteCount: UInt64,
        content: [ContentID], subtree: ContentID?
    ) {
        self.name = name
        self.kind = kind
        self.modified = modified
        self.mode = mode
        self.byteCount = byteCount
        self.content = content
        self.subtree = subtree
    }

    /// Whether the entry is a folder.
    package var isDirectory: Bool { kind == .directory }
}
