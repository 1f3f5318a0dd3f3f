import Glibc

/// A storage whose files exist only as a recipe.
package final class GeneratedContent: PhoneContent {
    private let entries: [UInt64: [ContentEntry]]
    private let files: [UInt64: DeterministicBytes]
    private let used: UInt64

    /// Lays the files out; folders are as old as their newest file.
    package init(files list: [GeneratedFile]) {
        var builder = Builder()
        for file in list { builder.add(file) }
        entries = builder.children.mapValues { children in
            children.sorted { $0.name.lexicographicallyPrecedes($1.name) }
        }
        files = builder.files
        used = list.reduce(0) { $0 + $1.content.byteCount }
    }

    private struct Builder {
        var children: [UInt64: [ContentEntry]] = [ContentTree.root: []]
        var files: [UInt64: DeterministicBytes] = [:]
        var folders: [String: UInt64] = ["": ContentTree.root]
        var next: UInt64 = 1

        mutating func add(_ file: GeneratedFile) {
            let parts = file.path.utf8.split(separator: UInt8(ascii: "/"))
            var folder = ContentTree.root
            var path = ""
            for part in parts.dropLast() {
                path += "/" + String(decoding: part, as: UTF8.self)
                folder = enter(path, named: part, in: folder, modified: file.modified)
            }
            guard let name = parts.last else { return }
            let entry = ContentEntry(
                node: next, name: Array(String(decoding: name, as: UTF8.self).utf16),
                isFolder: false, byteCount: file.content.byteCount, modified: file.modified)
            children[folder, default: []].append(entry)
            files[next] = file.content
            next += 1
        }

        mutating func enter(
            _ path: String, named name: Substring.UTF8View.SubSequence, in parent: UInt64,
            modified: Int64
        ) -> UInt64 {
            if let known = folders[path] { return known }
            let node = next
            next += 1
            folders[path] = node
            children[node] = []
            children[parent, default: []].append(
                ContentEntry(
                    node: node, name: Array(String(decoding: name, as: UTF8.self).utf16),
                    isFolder: true, byteCount: 0, modified: modified))
            return node
        }
    }

    package var space: (capacity: UInt64, free: UInt64) {
        let capacity: UInt64 = 128_000_000_000
        return (capacity, capacity - min(used, capacity))
    }

    package func children(of folder: UInt64) throws(ContentProblem) -> [ContentEntry] {
        guard let found = entries[folder] else { throw ContentProblem(.invalidObjectHandle) }
        return found
    }

    package func open(_ node: UInt64) throws(ContentProblem) -> any ContentReader {
        guard let content = files[node] else { throw ContentProblem(.invalidObjectHandle) }
        return GeneratedReader(content)
    }
}

/// Writes a generated tree into a real folder, dates included, for comparison.
package enum TreeWriter {
    /// Makes the files below `folder`, which is made too. Throws when the disk refuses.
    package static func write(
        _ files: [GeneratedFile], to folder: String
    ) throws(ContentProblem) {
        unsafe mkdir(folder, 0o755)
        var made: Set<String> = []
        for file in files {
            var path = folder
            for part in file.path.utf8.split(separator: UInt8(ascii: "/")).dropLast() {
                path += "/" + String(decoding: part, as: UTF8.self)
                if made.insert(path).inserted { unsafe mkdir(path, 0o755) }
            }
            try write(file, to: folder + "/" + file.path)
        }
    }

    private static func write(
        _ file: GeneratedFile, to path: String
    ) throws(ContentProblem) {
        let descriptor = unsafe Glibc.open(path, O_CREAT | O_TRUNC | O_WRONLY | O_CLOEXEC, 0o644)
        guard descriptor >= 0 else { throw ContentProblem(.generalError) }
        defer { close(descriptor) }
        var buffer = [UInt8](repeating: 0, count: Int(min(file.content.byteCount, 1 << 20)))
        var offset: UInt64 = 0
        while offset < file.content.byteCount {
            let count = Int(min(UInt64(buffer.count), file.content.byteCount - offset))
            file.content.fill(&buffer, at: 0, count: count, from: offset)
            // Sound: `count` is at most the buffer's size.
            guard unsafe Glibc.write(descriptor, buffer, count) == count else {
                throw ContentProblem(.storeFull)
            }
            offset += UInt64(count)
        }
        let moment = timespec(tv_sec: Int(file.modified), tv_nsec: file.nanoseconds)
        let times = [moment, moment]
        // Sound: futimens reads the two elements of the array.
        guard unsafe futimens(descriptor, times) == 0 else { throw ContentProblem(.generalError) }
    }
}
