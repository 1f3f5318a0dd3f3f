import BackupCore
import Foundation
import ResticFormat
import ResticRepository
import Synchronization
import Testing

/// What a prune does to the files of one repository, with real restic as the judge.
@Suite struct PruningTests: ~Copyable {
    let folder: TemporaryFolder
    private let backend: DirectoryBackend
    private let restic: Restic

    init() throws {
        let folder = try TemporaryFolder()
        let backend = try DirectoryBackend(folder.url.appendingPathComponent("repository"))
        self.folder = folder
        self.backend = backend
        restic = Restic(repository: backend.root)
    }

    private func open(_ key: MasterKey, packByteCount: Int = 200_000) async throws
        -> ResticSnapshotRepository
    {
        var options = RepositoryOptions(.writing, clock: ManualClock())
        options.packByteCount = packByteCount
        return try await ResticSnapshotRepository.open(
            backend: backend, masterKey: key, options: options)
    }

    private func prune(
        _ key: MasterKey, _ adjust: (inout PruneOptions) -> Void = { _ in }
    ) async throws -> PrunePlan {
        var options = PruneOptions()
        options.packByteCount = 200_000
        adjust(&options)
        let pruning = Pruning(backend: backend, masterKey: key, options: options)
        let plan = try await pruning.plan()
        _ = try await pruning.write(plan)
        for file in plan.retired { try await backend.remove(file) }
        return plan
    }

    /// Whether restic finds everything whole.
    private func isSound() throws -> Bool {
        let result = try restic.run("check", "--read-data")
        if result.status != 0 { Issue.record("restic check: \(result.output)") }
        return result.status == 0
    }

    private func sizes() async throws -> UInt64 {
        try await backend.list(.data).reduce(0) { $0 + $1.byteCount }
    }

    @Test func whatNoSnapshotNeedsGoes() async throws {
        var numbers = SeededGenerator(seed: 60)
        let key = try await makeRepository(on: backend).masterKey
        let shared = numbers.bytes(150_000)
        var repository = try await open(key)
        let first = try await repository.commit(files: [
            ("shared", shared), ("one", numbers.bytes(400_000)),
        ])
        await repository.close()
        repository = try await open(key)
        let kept = numbers.bytes(300_000)
        let second = try await repository.commit(files: [("shared", shared), ("two", kept)])
        await repository.close()
        let before = try await sizes()
        let none = try await prune(key)
        #expect(none.isEmpty && none.snapshotCount == 2)
        try await backend.remove(FileName(.snapshot, first.snapshot.id))
        let plan = try await prune(key) { $0.maxUnusedPercent = 0 }
        #expect(!plan.removedPacks.isEmpty && plan.snapshotCount == 1)
        #expect(plan.totalBytes == before)
        let after = try await sizes()
        // What is written is told to a few bytes: headers are counted at their largest.
        #expect((plan.freedBytes..<plan.freedBytes + 200).contains(before - after))
        #expect(after < 460_000)
        #expect(try isSound())
        repository = try await open(key)
        let nodes = try await repository.tree(second.snapshot.tree)
        #expect(try await repository.read(nodes[0].content) == shared)
        #expect(try await repository.read(nodes[1].content) == kept)
        let again = try await prune(key) { $0.maxUnusedPercent = 0 }
        #expect(again.isEmpty)
    }

    /// A snapshot of files of 20,000 bytes each, ten to a pack.
    private func fill(_ key: MasterKey, _ count: Int, seed: UInt64) async throws -> Snapshot {
        var numbers = SeededGenerator(seed: seed)
        let repository = try await open(key)
        let files = (0..<count).map { ("file-\($0)", numbers.bytes(20_000)) }
        let committed = try await repository.commit(files: files)
        await repository.close()
        return committed.snapshot
    }

    /// A snapshot of some of another's files, and the other one removed.
    private func keep(
        _ key: MasterKey, of snapshot: Snapshot, where isKept: (Int) -> Bool
    ) async throws {
        let repository = try await open(key)
        let nodes = try await repository.tree(snapshot.tree)
        let kept = nodes.enumerated().filter { isKept($0.offset) }.map(\.element)
        _ = try await repository.commit(draft(try await repository.save(tree: kept)))
        await repository.close()
        try await backend.remove(FileName(.snapshot, snapshot.id))
    }

    @Test func sealedBlobsAreCopiedAsTheyAre() async throws {
        let key = try await makeRepository(on: backend).masterKey
        let snapshot = try await fill(key, 20, seed: 61)
        let sealed = try await sealedBlobs(key)
        try await keep(key, of: snapshot) { $0 % 2 == 0 }
        let plan = try await prune(key)
        #expect(!plan.repackedPacks.isEmpty && plan.writtenBytes > 200_000)
        #expect(try isSound())
        let after = try await sealedBlobs(key)
        let data = after.filter { $0.key.kind == .data }
        #expect(data.count == 10)
        for (blob, bytes) in data { #expect(sealed[blob] == bytes) }
    }

    /// The sealed bytes of every blob in every pack.
    private func sealedBlobs(_ key: MasterKey) async throws -> [BlobKey: ArraySlice<UInt8>] {
        var found: [BlobKey: ArraySlice<UInt8>] = [:]
        for pack in try await backend.list(.data) {
            let bytes = try await backend.read(pack.name, range: nil, copy: 0)
            let blobs = try PackHeader.decode(pack: bytes, sealer: Sealer(key))
            #expect(Set(blobs.map(\.key.kind)).count == 1)
            for blob in blobs {
                let range = Int(blob.offset)..<Int(blob.offset + blob.length)
                #expect(found.updateValue(bytes[range], forKey: blob.key) == nil)
            }
        }
        return found
    }

    @Test func littleWasteIsNotWorthWriting() async throws {
        let key = try await makeRepository(on: backend).masterKey
        let snapshot = try await fill(key, 100, seed: 62)
        try await keep(key, of: snapshot) { $0 != 50 }
        let lazy = try await prune(key)
        #expect(lazy.repackedPacks.isEmpty && lazy.keptUnusedBytes > 19_000)
        let strict = try await prune(key) { $0.maxUnusedPercent = 0 }
        #expect(strict.repackedPacks.count == 1 && strict.keptUnusedBytes == 0)
        #expect(try isSound())
    }

    @Test func packsThatDoNotFitAreLeftAndWholeOnesStillGo() async throws {
        let key = try await makeRepository(on: backend).masterKey
        let gone = try await fill(key, 20, seed: 63)
        let snapshot = try await fill(key, 40, seed: 64)
        try await keep(key, of: snapshot) { $0 % 2 == 0 }
        try await backend.remove(FileName(.snapshot, gone.id))
        let plan = try await prune(key) { $0.room = 0 }
        #expect(plan.repackedPacks.isEmpty && plan.postponedPackCount >= 4)
        #expect(plan.removedPacks.count >= 2 && plan.writtenBytes == 0)
        #expect(try isSound())
        let later = try await prune(key)
        #expect(later.postponedPackCount == 0 && later.repackedPacks.count >= 4)
        #expect(try isSound())
    }

    @Test func tenSmallPacksAreMerged() async throws {
        let key = try await makeRepository(on: backend).masterKey
        for seed in 0..<9 { _ = try await fill(key, 1, seed: UInt64(100 + seed)) }
        #expect(try await prune(key).isEmpty)
        _ = try await fill(key, 1, seed: 109)
        let plan = try await prune(key)
        // Ten packs of a file and ten of a folder become one each.
        #expect(plan.repackedPacks.count == 20)
        #expect(try await backend.list(.data).count == 2)
        #expect(try await backend.list(.index).count == 1)
        #expect(try isSound())
    }

    @Test func blobsThatStandTwiceAreKeptOnce() async throws {
        let key = try await makeRepository(on: backend).masterKey
        _ = try await fill(key, 10, seed: 65)
        let indexes = try await backend.list(.index).map(\.name)
        let aside = try await backend.read(indexes[0], range: nil, copy: 0)
        try await backend.remove(indexes[0])
        let packs = Set(try await backend.list(.data).map(\.name))
        for pack in packs {
            try FileManager.default.moveItem(
                at: backend.root.appendingPathComponent(pack.relativePath),
                to: backend.root.appendingPathComponent("aside-\(pack.id)"))
        }
        _ = try await fill(key, 10, seed: 65)
        for pack in packs {
            try FileManager.default.moveItem(
                at: backend.root.appendingPathComponent("aside-\(pack.id)"),
                to: backend.root.appendingPathComponent(pack.relativePath))
        }
        try await backend.write(indexes[0], aside)
        let plan = try await prune(key)
        #expect(plan.removedPacks.count == 2 && plan.repackedPacks.isEmpty)
        _ = try await sealedBlobs(key)
        #expect(try isSound())
    }

    @Test func aPackNamedByNoIndexIsRemoved() async throws {
        let key = try await makeRepository(on: backend).masterKey
        _ = try await fill(key, 3, seed: 66)
        let stray: [UInt8] = [1, 2, 3]
        let name = FileName(.data, .sha256(of: stray))
        try await backend.write(name, stray)
        let plan = try await prune(key)
        #expect(plan.removedPacks.map(\.name) == [name] && plan.repackedPacks.isEmpty)
        #expect(try isSound())
    }

    @Test func newPacksAreFlushedBeforeTheirIndex() async throws {
        let memory = MemoryBackend()
        let key = try await makeRepository(on: memory).masterKey
        var numbers = SeededGenerator(seed: 70)
        let repository = try await openMemoryRepository(memory, key)
        let files = (0..<6).map { ("file-\($0)", numbers.bytes(20_000)) }
        let first = try await repository.commit(files: files)
        _ = try await repository.commit(files: Array(files.prefix(3)))
        await repository.close()
        try await memory.remove(FileName(.snapshot, first.snapshot.id))
        let before = memory.indexesWritten.all
        let pruning = Pruning(backend: memory, masterKey: key, options: PruneOptions())
        let plan = try await pruning.plan()
        #expect(!plan.repackedPacks.isEmpty)
        _ = try await pruning.write(plan)
        let indexes = memory.indexesWritten
        #expect(indexes.all > before && indexes.tooEarly == 0)
    }

    /// Whoever wrote it may have had blobs in it that a snapshot still to come refers to.
    @Test func anUnreadableIndexOfWhatNobodyNeedsStopsAPruneByName() async throws {
        let key = try await makeRepository(on: backend).masterKey
        _ = try await fill(key, 3, seed: 71)
        let needed = Set(try await backend.list(.index).map(\.name))
        let gone = try await fill(key, 3, seed: 72)
        try await backend.remove(FileName(.snapshot, gone.id))
        let index = try #require(
            try await backend.list(.index).map(\.name).first { !needed.contains($0) })
        let bytes = try await backend.read(index, range: nil, copy: 0)
        try await backend.write(index, Array(bytes.dropLast()))
        do {
            _ = try await prune(key)
            Issue.record("a prune was planned")
        } catch let error as RepositoryError {
            #expect(error.code == .damaged && error.detail.contains(index.relativePath))
        }
    }

    @Test(arguments: [FileKind.index, .data, .snapshot])
    func nothingIsPlannedWhileSomethingNeededIsLost(kind: FileKind) async throws {
        let key = try await makeRepository(on: backend).masterKey
        _ = try await fill(key, 12, seed: 67)
        for file in try await backend.list(kind) {
            let bytes = try await backend.read(file.name, range: nil, copy: 0)
            try await backend.write(file.name, Array(bytes.dropLast()))
            await #expect(throws: RepositoryError.self, "\(file.name.relativePath)") {
                _ = try await prune(key)
            }
            try await backend.write(file.name, bytes)
        }
    }

    @Test func aDamagedCopyGivesWayToTheOther() async throws {
        let memory = MemoryBackend(copyCount: 2)
        let key = try await makeRepository(on: memory).masterKey
        var numbers = SeededGenerator(seed: 68)
        let repository = try await openMemoryRepository(memory, key)
        let files = (0..<6).map { ("file-\($0)", numbers.bytes(20_000)) }
        let first = try await repository.commit(files: files)
        let second = try await repository.commit(files: Array(files.prefix(3)))
        await repository.close()
        try await memory.remove(FileName(.snapshot, first.snapshot.id))
        // Each copy is bad in another blob of the data pack.
        let pack = try #require(
            memory.names(.data).first {
                memory.state.withLock { $0.copies[0] }[$0]?.count ?? 0 > 90_000
            })
        memory.change(pack, copy: 0) { $0?[5000] ^= 1 }
        memory.change(pack, copy: 1) { $0?[25_000] ^= 1 }
        let pruning = Pruning(backend: memory, masterKey: key, options: PruneOptions())
        let plan = try await pruning.plan()
        #expect(plan.repackedPacks.contains { $0.name == pack })
        _ = try await pruning.write(plan)
        for file in plan.retired { try await memory.remove(file) }
        let opened = try await openMemoryRepository(memory, key)
        let nodes = try await opened.tree(second.snapshot.tree)
        for (node, file) in zip(nodes, files) {
            #expect(try await opened.read(node.content) == file.1)
        }
    }

    @Test func oursAndResticsPruneFollowEachOther() async throws {
        try #require(Restic.isInstalled)
        try FileManager.default.removeItem(at: backend.root)
        #expect(try restic.run("init", "--repository-version", "2").status == 0)
        let source = folder.url.appendingPathComponent("source")
        try FileManager.default.createDirectory(at: source, withIntermediateDirectories: true)
        var numbers = SeededGenerator(seed: 69)
        for round in 0..<4 {
            for file in 0..<8 where round == 0 || file % 4 == round {
                let bytes = file % 2 == 0 ? numbers.bytes(90_000) : numbers.text(90_000)
                try Data(bytes).write(to: source.appendingPathComponent("f\(file)"))
            }
            #expect(try restic.run("backup", source.path).status == 0)
        }
        let key = try await ResticSnapshotRepository.unlock(
            backend: backend, password: restic.password)
        #expect(try restic.run("forget", "--keep-last", "2").status == 0)
        let plan = try await prune(key) { $0.maxUnusedPercent = 0 }
        #expect(!plan.isEmpty && plan.snapshotCount == 2)
        #expect(try isSound())
        #expect(try restic.run("forget", "--keep-last", "1", "--prune").status == 0)
        #expect(try isSound())
        let target = folder.url.appendingPathComponent("target")
        #expect(try restic.run("restore", "latest", "--target", target.path).status == 0)
        for file in 0..<8 {
            let path = target.path + source.path + "/f\(file)"
            #expect(
                try Data(contentsOf: URL(fileURLWithPath: path))
                    == Data(contentsOf: source.appendingPathComponent("f\(file)")))
        }
        #expect(try await prune(key) { $0.maxUnusedPercent = 0 }.freedBytes == 0)
        #expect(try restic.run("prune").status == 0)
        #expect(try isSound())
    }
}
