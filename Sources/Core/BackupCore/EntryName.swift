/// One component of a path on a phone or in a tree: bytes, as they came.
///
/// Bytes and not `String`: Swift's strings compare by canonical equivalence, so a composed and a
/// decomposed é would collide. Order is by raw bytes, as restic sorts tree nodes.
package struct EntryName: Hashable, Sendable, Comparable, ExpressibleByStringLiteral,
    CustomStringConvertible
{
    /// The name's bytes; usually UTF-8, never trusted to be.
    package let bytes: [UInt8]

    /// A name from raw bytes; anything is accepted.
    package init(bytes: some Sequence<UInt8>) { self.bytes = Array(bytes) }

    /// A name from text, as its UTF-8 bytes.
    package init(_ text: String) { bytes = Array(text.utf8) }

    package init(stringLiteral text: String) { self.init(text) }

    /// Whether the name may stand in a restic tree and be made in a folder: not empty, not `.` or
    /// `..`, no `/` and no NUL, at most 255 bytes.
    package var isTreeName: Bool {
        (1...255).contains(bytes.count) && bytes != [0x2E] && bytes != [0x2E, 0x2E]
            && !bytes.contains(0x2F) && !bytes.contains(0)
    }

    /// The name as it may be shown to a person or written to a log.
    package var description: String { HostileText.escaped(bytes) }

    package static func < (left: EntryName, right: EntryName) -> Bool {
        left.bytes.lexicographicallyPrecedes(right.bytes)
    }
}

/// A path of names from a snapshot's or a storage's root; empty means the root itself.
package struct EntryPath: Hashable, Sendable, Comparable, CustomStringConvertible {
    /// The names from the root down.
    package let names: [EntryName]

    /// A path from its names.
    package init(_ names: [EntryName] = []) { self.names = names }

    /// A path from text separated by `/`; empty components are dropped.
    package init(text: String) {
        names = text.utf8.split(separator: UInt8(ascii: "/")).map { EntryName(bytes: $0) }
    }

    /// The root: no names.
    package static let root = EntryPath()

    /// The path one level down.
    package func appending(_ name: EntryName) -> EntryPath { EntryPath(names + [name]) }

    /// The path one level up; the root's parent is the root.
    package var parent: EntryPath { EntryPath(Array(names.dropLast())) }

    /// The last name, nil for the root.
    package var last: EntryName? { names.last }

    /// Whether this path is `other` or lies below it.
    package func isWithin(_ other: EntryPath) -> Bool { names.starts(with: other.names) }

    /// The path for people and logs, escaped, with a leading `/`.
    package var description: String { "/" + names.map(\.description).joined(separator: "/") }

    package static func < (left: EntryPath, right: EntryPath) -> Bool {
        left.names.lexicographicallyPrecedes(right.names)
    }
}
