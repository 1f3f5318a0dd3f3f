import ArgumentParser
import SimulatedPhones

/// Writes a generated tree to disk.
struct TreeCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "tree",
        abstract: "Write the tree that `android --generate` serves into a folder.")

    @Option(help: "Folder to write to; made when missing.")
    var out: String
    @Option(help: "The tree, such as files=20000,bytes=3g,seed=1.")
    var generate: String

    func run() throws {
        try TreeWriter.write(Self.files(generate), to: out)
    }

    /// The files of a specification given as text.
    static func files(_ text: String) throws -> [GeneratedFile] {
        guard let spec = GeneratedTreeSpec(text) else {
            throw ValidationError(
                "\"\(text)\" is no tree; it looks like files=20000,bytes=3g,seed=1.")
        }
        return GeneratedTree.files(spec)
    }
}
