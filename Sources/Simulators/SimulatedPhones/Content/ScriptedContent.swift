import Foundation

/// A tree described entry by entry, so that a phone can hold what no file system would: the
/// decoded form of a script file (see README.md beside the simulators).
package struct ContentScript: Codable, Sendable {
    /// One entry.
    package struct Entry: Codable, Sendable {
        /// Name as text.
        var name: String?
        /// Name as UTF-16 units, for what is no valid text.
        var units: [UInt16]?
        /// Repeats the name this often.
        var repeated: Int?
        /// Entries of a folder; an entry without is a file.
        var children: [Entry]?
        /// Size of the content in bytes.
        var bytes: UInt64?
        /// Content itself, as text.
        var text: String?
        /// Chooses generated content.
        var seed: UInt64?
        /// Last change, seconds since 1970.
        var modified: Int64?
        /// Announced size when it differs from the content's.
        var announced: UInt64?
        /// This folder is the ancestor that many levels up (1: the folder it lies in).
        var cycle: Int?
        /// This folder holds a folder of its own name, and so on for ever.
        var endless: Bool?
        /// See `EntryQuirks`.
        var infoResponse: UInt16?
        var readResponse: UInt16?
        var listResponse: UInt16?
        var countOffset: Int?
        var dataLength: UInt64?
        var stallAfter: UInt64?
        var endAfter: UInt64?
        /// Makes that many copies, each with a content of its own; their names carry a number
        /// when `numbered` says so.
        var copies: Int?
        var numbered: Bool?
    }

    /// The top of the storage.
    package var entries: [Entry]
    /// Bytes the storage holds and has free.
    package var capacity: UInt64?
    package var free: UInt64?

    /// Reads a script; throws what the decoder says about malformed JSON.
    package init(json: [UInt8]) throws {
        self = try JSONDecoder().decode(ContentScript.self, from: Data(json))
    }
}

/// A storage that follows a script.
package final class ScriptedContent: PhoneContent {
    private let fixed: Tree
    private let script: ContentScript

    private struct Tree: Sendable {
        var children: [UInt64: [ContentEntry]] = [ContentTree.root: []]
        var files: [UInt64: DeterministicBytes] = [:]
        var endless: [UInt64: ContentEntry] = [:]
        var next: UInt64 = 1
    }

    /// Lays the script out.
    package init(_ script: ContentScript) {
        var tree = Tree()
        Self.lay(script.entries, under: [ContentTree.root], into: &tree)
        fixed = tree
        self.script = script
    }

    private static func lay(
        _ entries: [ContentScript.Entry], under ancestors: [UInt64], into tree: inout Tree
    ) {
        guard let folder = ancestors.last, ancestors.count < 512 else { return }
        for entry in entries {
            for copy in 0..<max(1, entry.copies ?? 1) {
                let node = entry.cycle.flatMap { ancestor($0, of: ancestors) } ?? tree.next
                if node == tree.next { tree.next += 1 }
                let made = self.entry(entry, node: node, copy: copy)
                tree.children[folder, default: []].append(made)
                if entry.endless == true {
                    tree.endless[node] = made
                } else if made.isFolder, entry.cycle == nil {
                    tree.children[node] = []
                    lay(entry.children ?? [], under: ancestors + [node], into: &tree)
                } else if !made.isFolder {
                    tree.files[node] = content(of: entry, node: node)
                }
            }
        }
    }

    private static func ancestor(_ levels: Int, of ancestors: [UInt64]) -> UInt64? {
        let index = ancestors.count - levels
        // The top itself has no entry, so a cycle cannot lead to it.
        return index > 0 && index < ancestors.count ? ancestors[index] : nil
    }

    private static func entry(
        _ entry: ContentScript.Entry, node: UInt64, copy: Int
    ) -> ContentEntry {
        var name = entry.units ?? Array((entry.name ?? "").utf16)
        if let count = entry.repeated {
            name = Array(repeatElement(name, count: min(max(0, count), 300)).joined())
        }
        if entry.numbered == true { name += Array(" \(copy)".utf16) }
        let isFolder = entry.children != nil || entry.cycle != nil || entry.endless == true
        var made = ContentEntry(
            node: node, name: name, isFolder: isFolder,
            byteCount: entry.announced ?? content(of: entry, node: node).byteCount,
            modified: entry.modified ?? 1_704_067_200)
        if isFolder, entry.announced == nil { made.byteCount = 0 }
        made.quirks.infoResponse = entry.infoResponse
        made.quirks.readResponse = entry.readResponse
        made.quirks.listResponse = entry.listResponse
        made.quirks.countOffset = entry.countOffset ?? 0
        made.quirks.dataLength = entry.dataLength
        made.quirks.stallAfter = entry.stallAfter
        made.quirks.endAfter = entry.endAfter
        return made
    }

    private static func content(of entry: ContentScript.Entry, node: UInt64) -> DeterministicBytes {
        if let text = entry.text {
            let bytes = Array(text.utf8)
            return DeterministicBytes(
                seed: 0, texture: .noise, byteCount: UInt64(bytes.count), magic: bytes)
        }
        return DeterministicBytes(
            seed: entry.seed ?? node, texture: .noise, byteCount: entry.bytes ?? 0)
    }

    package var space: (capacity: UInt64, free: UInt64) {
        (script.capacity ?? 128_000_000_000, script.free ?? 64_000_000_000)
    }

    package func children(of folder: UInt64) throws(ContentProblem) -> [ContentEntry] {
        if let found = fixed.children[folder] { return found }
        // Endless folders: the node above carries its level in the high bits.
        let origin = folder & 0xFFFF_FFFF
        guard var inner = fixed.endless[origin] else {
            throw ContentProblem(.invalidObjectHandle)
        }
        inner.node = folder &+ (1 << 32)
        return [inner]
    }

    package func open(_ node: UInt64) throws(ContentProblem) -> any ContentReader {
        guard let content = fixed.files[node] else { throw ContentProblem(.invalidObjectHandle) }
        return GeneratedReader(content)
    }
}
