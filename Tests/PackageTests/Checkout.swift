import Foundation

/// A source tree, read as text: this checkout, or a small bad one that a test made.
struct Checkout {
    let root: URL

    /// The checkout these tests were compiled from.
    static let this = Checkout(
        root: URL(filePath: #filePath).resolvingSymlinksInPath()
            .deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent())

    /// Build products and version control, which are no part of the text.
    private static let passedOver: Set<String> = [".git", ".build", ".swiftpm"]

    /// The files beneath `folder` (relative to the root, empty for all), as sorted relative paths.
    func files(under folder: String = "", endingIn suffix: String = "") -> [String] {
        let start = folder.isEmpty ? root : root.appending(path: folder)
        var found: [String] = []
        collect(start, prefix: folder, into: &found)
        return found.filter { $0.hasSuffix(suffix) }.sorted()
    }

    private func collect(_ directory: URL, prefix: String, into found: inout [String]) {
        for name in names(in: directory) where !Self.passedOver.contains(name) {
            let child = directory.appending(path: name)
            let path = prefix.isEmpty ? name : prefix + "/" + name
            if isDirectory(child) {
                collect(child, prefix: path, into: &found)
            } else {
                found.append(path)
            }
        }
    }

    /// The names in the root folder.
    var topLevelNames: [String] { names(in: root).sorted() }

    /// The text of a file; nil when there is none or it is not UTF-8.
    func text(_ path: String) -> String? {
        guard let bytes = FileManager.default.contents(atPath: root.appending(path: path).path)
        else { return nil }
        return String(validating: bytes, as: UTF8.self)
    }

    /// Whether `path` exists, as a file or a folder.
    func has(_ path: String) -> Bool {
        FileManager.default.fileExists(atPath: root.appending(path: path).path)
    }

    /// Whether `path` is a file that may be executed.
    func isProgram(_ path: String) -> Bool {
        FileManager.default.isExecutableFile(atPath: root.appending(path: path).path)
            && !isDirectory(root.appending(path: path))
    }

    private func names(in directory: URL) -> [String] {
        // A folder that is not there has no names: a bad tree of a test has only what it needs.
        (try? FileManager.default.contentsOfDirectory(atPath: directory.path)) ?? []
    }

    private func isDirectory(_ url: URL) -> Bool {
        // A symbolic link counts as a file, so that a walk cannot leave the tree.
        let values = try? url.resourceValues(forKeys: [.isDirectoryKey, .isSymbolicLinkKey])
        return values?.isDirectory == true && values?.isSymbolicLink != true
    }
}
