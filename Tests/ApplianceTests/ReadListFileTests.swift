import BackupCore
import Foundation
import Logging
import ResticFormat
import Synchronization
import Testing

@testable import Appliance

/// The list of what an unfinished run has read, as a file of the state folder.
@Suite struct ReadListFileTests: ~Copyable {
    private let root: String
    private let store: StateStore
    private let key = MasterKey.random()

    init() throws {
        root = FileManager.default.temporaryDirectory.path + "/holdfast-" + UUID().uuidString
        store = StateStore(
            Configuration(
                file: root + "/c.yaml", state: root + "/state", run: root + "/run", hostname: "box")
        )
        try store.prepare()
    }

    deinit { try? FileManager.default.removeItem(atPath: root) }  // nothing to do about it

    private func list(
        run: String = "run-1", phone: String = "android-1", key other: MasterKey? = nil,
        events: @escaping RunEventSink = { _ in }
    ) -> ReadListFile {
        ReadListFile(
            store, owner: OwnerID(trusted: "owner-1"), phone: PhoneID(trusted: phone),
            run: RunID(trusted: run), key: other ?? key, log: Logger(label: "test"), events: events)
    }

    private var folder: String { root + "/state/owners/owner-1/read" }
    private var file: String { folder + "/android-1.media" }

    /// Folders and files with all that a phone may call them.
    private static let hostile: [ReadFiles] = [
        ReadFiles(
            folder: EntryPath(text: "/Internal/DCIM"),
            nodes: [
                node("IMG_1.jpg", blobs: 1), node("a \"quoted\"\n\\ name\u{1B}[31m", blobs: 3),
                TreeNode.file(
                    EntryName(bytes: [0xFF, 0xFE, 0x41]), modified: Timestamp(seconds: 5),
                    byteCount: 1, content: []),
            ]),
        ReadFiles(
            folder: EntryPath([EntryName(bytes: [0x80, 0x0A]), "…"]),
            nodes: [node("empty", blobs: 0)]),
        ReadFiles(folder: .root, nodes: [node("at the root", blobs: 400)]),
    ]

    private static func node(_ name: String, blobs: Int) -> TreeNode {
        .file(
            EntryName(name), modified: Timestamp(seconds: 1_700_000_000, nanoseconds: 123),
            byteCount: UInt64(blobs) << 20,
            content: (0..<blobs).map { ContentID.sha256(of: Array("\(name)\($0)".utf8)) })
    }

    private func drain(_ list: ReadListFile) async -> [ReadFiles]? {
        guard let left = await list.left(of: .media) else { return nil }
        var all: [ReadFiles] = []
        while let files = await left.next() { all.append(files) }
        return all
    }

    /// Nodes stand in the order of their names, as in a tree.
    private static func sorted(_ files: [ReadFiles]) -> [ReadFiles] {
        files.map { ReadFiles(folder: $0.folder, nodes: $0.nodes.sorted { $0.name < $1.name }) }
    }

    @Test func listedFilesAreReadBackByTheNextRun() async throws {
        let writing = list()
        await writing.add(Array(Self.hostile[..<2]), notes: [1, 0, 2], of: .media)
        await writing.add([Self.hostile[2]], notes: [9], of: .media)
        let next = list(run: "run-2")
        let left = try #require(await next.left(of: .media))
        #expect(left.run == RunID(trusted: "run-1"))
        #expect(left.notes == [1, 0, 2])
        #expect(await drain(next) == Self.sorted(Self.hostile))
        #expect(await next.left(of: .backup) == nil)
        await next.forget(.media)
        #expect(await drain(next) == nil)
        #expect(try names(in: folder) == [])
    }

    @Test func listThatWasCutAnywhereCountsUpToThere() async throws {
        await list().add(Self.hostile, notes: [1], of: .media)
        let whole = try #require(FileManager.default.contents(atPath: file))
        let all = Self.sorted(Self.hostile)
        var counts: Set<Int> = []
        for length in 0..<whole.count {
            try whole.prefix(length).write(to: URL(fileURLWithPath: file))
            guard let found = await drain(list(run: "run-2")) else { continue }
            #expect(found == Array(all.prefix(found.count)), "cut at \(length)")
            counts.insert(found.count)
        }
        #expect(counts == [0, 1, 2])
    }

    @Test func flippedBitNeverMakesAFileUp() async throws {
        await list().add(Self.hostile, notes: [1], of: .media)
        let whole = try #require(FileManager.default.contents(atPath: file))
        let all = Self.sorted(Self.hostile)
        for position in stride(from: 0, to: whole.count, by: 3) {
            var damaged = whole
            damaged[position] ^= UInt8(1 << (position % 8))
            try damaged.write(to: URL(fileURLWithPath: file))
            let found = await drain(list(run: "run-2")) ?? []
            #expect(found == Array(all.prefix(found.count)) && found.count < 3, "at \(position)")
        }
    }

    @Test func listOfAnotherPhoneOrKeyIsNone() async throws {
        await list().add(Self.hostile, notes: [], of: .media)
        let whole = try #require(FileManager.default.contents(atPath: file))
        #expect(await drain(list(key: MasterKey.random())) == nil)
        #expect(try names(in: folder) == [], "what cannot be read is not kept")
        try whole.write(to: URL(fileURLWithPath: folder + "/android-2.media"))
        #expect(await drain(list(phone: "android-2")) == nil)
    }

    @Test func listThatCannotBeWrittenIsToldOnceAndGivenUp() async throws {
        try StateFiles.makeFolder(store.folder(of: OwnerID(trusted: "owner-1")))
        try Data().write(to: URL(fileURLWithPath: folder))
        let told = Told()
        let writing = list(events: { event in
            if case .notice(let notice) = event, notice.code == "read_list_not_written" {
                told.add()
            }
        })
        await writing.add(Self.hostile, notes: [], of: .media)
        await writing.add(Self.hostile, notes: [], of: .media)
        #expect(told.count == 1)
    }
}

/// Counts from any task.
private final class Told: Sendable {
    private let value = Mutex(0)
    var count: Int { value.withLock { $0 } }
    func add() { value.withLock { $0 += 1 } }
}
