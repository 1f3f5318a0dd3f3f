import BackupCore
import Glibc

/// What a phone holds at one time, and so what a snapshot of it must hold, to the byte.
struct TrialTree: Sendable, Equatable {
    struct File: Sendable, Equatable {
        var bytes: [UInt8]
        var modified: Timestamp
    }

    var files: [EntryPath: File] = [:]
    /// Folders and their dates; the root is not among them.
    var folders: [EntryPath: Timestamp] = [:]

    /// Names that programs have stumbled over.
    private static let oddNames: [EntryName] = [
        "a b.txt", "Ärger.jpg", "A\u{308}rger.jpg", "IMG_1.JPG", "img_1.jpg", "-rf", "$(id).txt",
        "'\"\\.txt", "\u{202E}gpj.exe", EntryName(bytes: [0x66, 0xFF, 0xFE]), "new\nline", "*",
        "config", "holdfast.json", "0123456789abcdef-tmp-1", "🎄.png",
    ]

    /// `fileCount` files of up to `largest` bytes in a few folders.
    static func random(
        _ numbers: inout TrialNumbers, files fileCount: Int = 14, largest: Int = 60_000
    ) -> TrialTree {
        var tree = TrialTree()
        var folders = [EntryPath.root]
        for number in 0..<3 + numbers.below(3) {
            let path = numbers.pick(folders).appending(EntryName("Folder \(number)"))
            tree.folders[path] = time(&numbers)
            folders.append(path)
        }
        for _ in 0..<fileCount { tree.addFile(in: folders, largest: largest, &numbers) }
        return tree
    }

    /// The tree after some days: files come, change and go.
    func edited(_ numbers: inout TrialNumbers, largest: Int = 60_000) -> TrialTree {
        var tree = self
        let folders = [.root] + tree.folders.keys.sorted()
        for _ in 0..<2 + numbers.below(4) {
            tree.addFile(in: folders, largest: largest, &numbers)
        }
        for path in numbers.pick(2, of: tree.files.keys.sorted()) {
            tree.files[path] = Self.file(largest: largest, &numbers)
        }
        if tree.files.count > 8 {
            for path in numbers.pick(1, of: tree.files.keys.sorted()) { tree.files[path] = nil }
        }
        return tree
    }

    private mutating func addFile(
        in folders: [EntryPath], largest: Int, _ numbers: inout TrialNumbers
    ) {
        let name =
            numbers.chance(30)
            ? numbers.pick(Self.oddNames) : EntryName("IMG_\(1000 + numbers.below(9000)).jpg")
        let path = numbers.pick(folders).appending(name)
        guard folders.allSatisfy({ $0 != path }) else { return }
        files[path] = Self.file(largest: largest, &numbers)
    }

    private static func file(largest: Int, _ numbers: inout TrialNumbers) -> File {
        let count = numbers.chance(8) ? 0 : 1 + numbers.below(numbers.chance(50) ? 3000 : largest)
        let bytes =
            numbers.chance(30)
            ? Array("text that shrinks ".utf8).cycled(count) : numbers.bytes(count)
        let start: [UInt8] = numbers.chance(10) ? Array("SQLite format 3\0".utf8) : []
        return File(bytes: start + bytes, modified: time(&numbers))
    }

    private static func time(_ numbers: inout TrialNumbers) -> Timestamp {
        Timestamp(seconds: 1_500_000_000 + Int64(numbers.below(200_000_000)))
    }

    /// What differs between this tree and `other`, in a line; nil when nothing does.
    func difference(from other: TrialTree) -> String? {
        for path in Set(files.keys).union(other.files.keys).sorted() {
            switch (files[path], other.files[path]) {
            case (nil, _): return "\(path) should not be there"
            case (_, nil): return "\(path) is missing"
            case (let own?, let their?) where own.modified != their.modified:
                return "\(path) has the date \(their.modified.seconds), not \(own.modified.seconds)"
            case (let own?, let their?) where own.bytes != their.bytes:
                return "\(path) has other bytes"
            default: continue
            }
        }
        for path in Set(folders.keys).union(other.folders.keys).sorted()
        where folders[path] != other.folders[path] {
            return "folder \(path) has another date or is not in both"
        }
        return nil
    }

    /// Writes the tree into an existing folder, for programs that read folders.
    func write(to folder: String) {
        for path in folders.keys.sorted() {
            _ = TrialFiles.withPath(Self.bytes(folder, path)) { mkdir($0, 0o700) }
        }
        for (path, file) in files {
            let full = Self.bytes(folder, path)
            TrialFiles.write(full, file.bytes)
            TrialFiles.setDate(full, file.modified)
        }
        for path in folders.keys.sorted().reversed() {
            if let time = folders[path] { TrialFiles.setDate(Self.bytes(folder, path), time) }
        }
    }

    /// What a folder holds, as a tree.
    static func read(_ folder: String) -> TrialTree {
        var tree = TrialTree()
        for (path, entry) in TrialFiles.entries(folder) {
            switch entry {
            case .file(let bytes, let modified):
                tree.files[path] = File(bytes: bytes, modified: Timestamp(seconds: modified))
            case .folder(let modified): tree.folders[path] = Timestamp(seconds: modified)
            case .other: break
            }
        }
        return tree
    }

    private static func bytes(_ folder: String, _ path: EntryPath) -> [UInt8] {
        path.names.reduce(Array(folder.utf8)) { $0 + [UInt8(ascii: "/")] + $1.bytes }
    }
}

extension Array {
    /// The elements over and over, `count` in all.
    fileprivate func cycled(_ count: Int) -> [Element] { (0..<count).map { self[$0 % self.count] } }
}
