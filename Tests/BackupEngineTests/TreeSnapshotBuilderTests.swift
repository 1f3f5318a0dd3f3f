import BackupCore
import BackupEngine
import TestKit
import Testing

@Suite struct TreeSnapshotBuilderTests {
    private let repository = MemoryRepository()

    private func put(
        _ text: String, _ path: String, _ builder: TreeSnapshotBuilder
    ) async throws {
        let source = SnapshotRepositoryConformance.source(of: Array(text.utf8))
        _ = try await builder.put(
            source, at: EntryPath(text: path), modified: Timestamp(seconds: 9))
    }

    private func parent() async throws -> ContentID {
        let builder = TreeSnapshotBuilder(repository: repository)
        for path in ["a/1", "a/2", "a/deep/3", "b/4", "5"] { try await put(path, path, builder) }
        return try await builder.finish()
    }

    private func files(_ builder: TreeSnapshotBuilder) async throws -> [String: String] {
        try await repository.files(of: try await builder.finish()).mapValues {
            String(decoding: $0, as: UTF8.self)
        }
    }

    @Test func nothingChangedIsTheParentsTree() async throws {
        let tree = try await parent()
        let builder = TreeSnapshotBuilder(repository: repository, parent: tree)
        #expect(try await builder.list(.root).map(\.name) == ["5", "a", "b"])
        #expect(try await builder.stat(EntryPath(text: "a/deep/3"))?.byteCount == 8)
        #expect(try await builder.finish() == tree)
    }

    @Test func changesLieOverTheParent() async throws {
        let builder = TreeSnapshotBuilder(repository: repository, parent: try await parent())
        try await put("new", "a/6", builder)
        try await put("other", "a/1", builder)
        try await builder.remove(EntryPath(text: "a/2"))
        try await builder.remove(EntryPath(text: "nowhere/at/all"))
        try await builder.makeDirectory(EntryPath(text: "c/empty"), modified: nil)
        #expect(
            try await builder.list(EntryPath(text: "a")).map(\.name) == ["1", "6", "deep"])
        #expect(try await builder.stat(EntryPath(text: "a/2")) == nil)
        #expect(
            try await files(builder) == [
                "/a/1": "other", "/a/6": "new", "/a/deep/3": "a/deep/3", "/b/4": "b/4", "/5": "5",
            ])
        #expect(try await builder.stat(EntryPath(text: "c/empty"))?.isDirectory == true)
    }

    @Test func filesAndFoldersAreCopiedAndMoved() async throws {
        let builder = TreeSnapshotBuilder(repository: repository, parent: try await parent())
        try await put("open", "a/deep/open", builder)
        try await builder.copy(EntryPath(text: "a"), to: EntryPath(text: "copy"))
        try await builder.move(EntryPath(text: "a/deep"), to: EntryPath(text: "b"))
        try await builder.move(EntryPath(text: "5"), to: EntryPath(text: "copy/1"))
        try await put("later", "a/7", builder)
        #expect(
            try await files(builder) == [
                "/a/1": "a/1", "/a/2": "a/2", "/a/7": "later",
                "/b/3": "a/deep/3", "/b/open": "open",
                "/copy/1": "5", "/copy/2": "a/2", "/copy/deep/3": "a/deep/3",
                "/copy/deep/open": "open",
            ])
    }

    @Test(arguments: [("a", "a/deep/x"), ("a/deep", "a"), ("nowhere", "x"), ("a/1/x", "y")])
    func impossibleMovesAreErrorsAndChangeNothing(from: String, to: String) async throws {
        let tree = try await parent()
        let builder = TreeSnapshotBuilder(repository: repository, parent: tree)
        await #expect(throws: RepositoryError.self) {
            try await builder.move(EntryPath(text: from), to: EntryPath(text: to))
        }
        #expect(try await builder.finish() == tree)
    }

    @Test(arguments: ["..", ".", "a/b", "", "nul\0"])
    func namesThatCannotStandAreRefused(name: String) async throws {
        let builder = TreeSnapshotBuilder(repository: repository)
        let path = EntryPath(["x", EntryName(name)])
        await #expect(throws: SaveError.self) {
            try await builder.put(
                SnapshotRepositoryConformance.source(of: [1]), at: path, modified: .zero)
        }
        await #expect(throws: RepositoryError.self) {
            try await builder.makeDirectory(path, modified: nil)
        }
    }

    @Test func aFileIsNoFolder() async throws {
        let builder = TreeSnapshotBuilder(repository: repository, parent: try await parent())
        await #expect(throws: SaveError.self) { try await put("x", "5/x", builder) }
        await #expect(throws: RepositoryError.self) {
            try await builder.list(EntryPath(text: "5"))
        }
        await #expect(throws: RepositoryError.self) {
            try await builder.read(EntryPath(text: "a"))
        }
    }

    @Test func contentIsReadBackWhole() async throws {
        let builder = TreeSnapshotBuilder(repository: repository)
        var numbers = SeededNumbers(seed: 3)
        let bytes = numbers.bytes(3 * MemoryRepository.cut + 17)
        _ = try await builder.put(
            SnapshotRepositoryConformance.source(of: bytes), at: EntryPath(["f"]), modified: .zero)
        let source = try await builder.read(EntryPath(["f"]))
        var back: [UInt8] = []
        while let piece = try await source.next() { back += piece }
        await source.close()
        #expect(back == bytes)
        #expect(await builder.receivedBytes == UInt64(bytes.count))
    }

    @Test func aFinishedFolderCanBeOpenedAgain() async throws {
        let builder = TreeSnapshotBuilder(repository: repository)
        try await put("1", "a/b/1", builder)
        try await builder.finishDirectory(EntryPath(text: "a/b"))
        try await builder.finishDirectory(EntryPath(text: "a"))
        try await put("2", "a/b/2", builder)
        #expect(try await files(builder) == ["/a/b/1": "1", "/a/b/2": "2"])
    }

    @Test func entriesOfEveryKindStayAsTheyWerePut() async throws {
        var numbers = SeededNumbers(seed: 5)
        let ids = (0..<3).compactMap { _ in ContentID(bytes: numbers.bytes(32)) }
        let early = Timestamp(seconds: -86_401, nanoseconds: 999_999_999)
        let longest = EntryName(bytes: Array(repeating: 0xC3, count: 255))
        let plain = TreeNode.file("plain", modified: early, byteCount: .max, content: ids)
        var nodes: [TreeNode] = [plain, .file(longest, modified: .zero, byteCount: 0, content: [])]
        nodes.append(.directory("folder", modified: early, subtree: ids[0]))
        nodes.append(.directory("unread", modified: .zero, subtree: nil))
        nodes.append(plain)
        nodes[nodes.count - 1].name = "executable"
        nodes[nodes.count - 1].mode = 0o755
        for (name, kind) in [
            ("link", TreeNode.Kind.symbolicLink(target: [0x2F, 0xFF])), ("pipe", .other("fifo")),
        ] {
            nodes.append(
                TreeNode(
                    name: EntryName(name), kind: kind, modified: early, mode: 0o600,
                    byteCount: 0, content: [], subtree: nil))
        }
        let builder = TreeSnapshotBuilder(repository: repository)
        for node in nodes { try await builder.keep(node, at: EntryPath(["x", node.name])) }
        for node in nodes {
            #expect(try await builder.stat(EntryPath(["x", node.name])) == node)
        }
        let sorted = nodes.sorted { $0.name < $1.name }
        #expect(try await builder.list(EntryPath(["x"])) == sorted)
        try await builder.finishDirectory(EntryPath(["x"]))
        #expect(try await builder.list(EntryPath(["x"])) == sorted)
    }

    @Test func oneKindOfEntryTakesThePlaceOfAnother() async throws {
        let builder = TreeSnapshotBuilder(repository: repository, parent: try await parent())
        // A file, a folder that is open, a link, nothing and a file again, in each other's place.
        try await put("file", "a", builder)
        #expect(try await builder.stat(EntryPath(text: "a"))?.kind == .file)
        try await builder.remove(EntryPath(text: "a"))
        try await put("within", "a/x", builder)
        #expect(try await builder.list(.root).map(\.name) == ["5", "a", "b"])
        #expect(try await builder.list(EntryPath(text: "a")).map(\.name) == ["x"])
        let link = TreeNode(
            name: "a", kind: .symbolicLink(target: [1]), modified: .zero, mode: nil,
            byteCount: 0, content: [], subtree: nil)
        try await builder.keep(link, at: EntryPath(text: "a"))
        #expect(try await builder.stat(EntryPath(text: "a")) == link)
        try await builder.remove(EntryPath(text: "a"))
        #expect(try await builder.list(.root).map(\.name) == ["5", "b"])
        try await put("last", "a", builder)
        // A name that no tree has is not there, and hides nothing.
        try await builder.remove(EntryPath([EntryName(String(repeating: "n", count: 300))]))
        #expect(try await files(builder) == ["/a": "last", "/b/4": "b/4", "/5": "5"])
    }

    @Test(arguments: 1...15 as ClosedRange<UInt64>)
    func anySequenceOfCallsGivesWhatAPlainModelGives(seed: UInt64) async throws {
        var numbers = SeededNumbers(seed: seed)
        let builder = TreeSnapshotBuilder(repository: repository, parent: try await parent())
        var model = [
            "/a/1": "a/1", "/a/2": "a/2", "/a/deep/3": "a/deep/3", "/b/4": "b/4", "/5": "5",
        ]
        let folders = ["a", "b", "a/deep", "c"]
        for step in 0..<60 {
            let folder = folders.randomElement(using: &numbers) ?? "a"
            let path = "\(folder)/\(Int.random(in: 1...5, using: &numbers))"
            let other = "\(folders.randomElement(using: &numbers) ?? "b")/\(step)"
            switch Int.random(in: 0..<6, using: &numbers) {
            case 0, 1:
                try await put("\(step)", path, builder)
                model["/" + path] = "\(step)"
            case 2:
                try await builder.remove(EntryPath(text: path))
                model["/" + path] = nil
            case 3 where model["/" + path] != nil:
                try await builder.copy(EntryPath(text: path), to: EntryPath(text: other))
                model["/" + other] = model["/" + path]
            case 4 where model["/" + path] != nil:
                try await builder.move(EntryPath(text: path), to: EntryPath(text: other))
                model["/" + other] = model.removeValue(forKey: "/" + path)
            default:
                try await builder.finishDirectory(EntryPath(text: folder))
            }
        }
        #expect(try await files(builder) == model, "seed \(seed)")
    }
}
