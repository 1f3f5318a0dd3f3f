import Foundation

/// A small tree of files for one test, removed with it.
struct ScratchTree: ~Copyable {
    let checkout: Checkout

    /// A tree with these files: relative path to text.
    init(_ files: [String: String]) throws {
        let root = FileManager.default.temporaryDirectory
            .appending(path: "holdfast-package-tests-\(UUID().uuidString)")
        checkout = Checkout(root: root)
        try FileManager.default.createDirectory(at: root, withIntermediateDirectories: true)
        for (path, text) in files {
            let file = root.appending(path: path)
            try FileManager.default.createDirectory(
                at: file.deletingLastPathComponent(), withIntermediateDirectories: true)
            try Data(text.utf8).write(to: file)
        }
    }

    /// Makes a file of the tree executable.
    func makeProgram(_ path: String) throws {
        try FileManager.default.setAttributes(
            [.posixPermissions: 0o755], ofItemAtPath: checkout.root.appending(path: path).path)
    }

    deinit {
        // A folder that cannot be removed is a left-over of a test, not a failure of the product.
        try? FileManager.default.removeItem(at: checkout.root)
    }
}
