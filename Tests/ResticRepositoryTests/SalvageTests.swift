import BackupCore
import Foundation
import ResticFormat
import ResticRepository
import Synchronization
import Testing

/// What may happen to a file on one copy.
private enum Rot: CaseIterable {
    case flip, garbage, zero, truncate, empty, delete

    func apply(_ bytes: [UInt8], _ numbers: inout SeededGenerator) -> [UInt8]? {
        guard !bytes.isEmpty else { return bytes }
        var bytes = bytes
        let place = Int(numbers.next() % UInt64(bytes.count))
        switch self {
        case .flip: bytes[place] ^= 1 << UInt8(numbers.next() % 8)
        case .garbage, .zero:
            for position in place..<min(bytes.count, place + 4096) {
                bytes[position] = self == .zero ? 0 : UInt8(truncatingIfNeeded: numbers.next())
            }
        case .truncate: bytes.removeLast(bytes.count - place)
        case .empty: bytes = []
        case .delete: return nil
        }
        return bytes
    }
}

@Suite struct SalvageTests {
    private let backend = MemoryBackend(copyCount: 2)

    private struct Filled {
        let key: MasterKey
        var snapshots: [ContentID] = []
        var files: [String: [UInt8]] = [:]
    }

    /// Two snapshots over packs of a few blobs each.
    private func fill(seed: UInt64) async throws -> Filled {
        var numbers = SeededGenerator(seed: seed)
        var filled = Filled(key: try await makeRepository(on: backend).masterKey)
        for second in [1, 2] as [Int64] {
            let repository = try await openMemoryRepository(backend, filled.key) {
                $0.packByteCount = 150_000
            }
            var nodes: [TreeNode] = []
            for number in 0..<6 {
                let name = "IMG_\(second)_\(number).jpg"
                let bytes = numbers.bytes(40_000)
                filled.files[name] = bytes
                let saved = try await repository.save(source(bytes))
                nodes.append(
                    .file(
                        EntryName(name), modified: Timestamp(seconds: second),
                        byteCount: saved.byteCount, content: saved.content))
            }
            let tree = try await repository.save(tree: nodes)
            filled.snapshots.append(
                try await repository.commit(draft(tree, seconds: second)).snapshot.id)
            await repository.close()
        }
        return filled
    }

    /// What a reading of every byte of every copy tells.
    private func damaged() -> Set<FileName> {
        let copies = backend.state.withLock { $0.copies }
        func isGood(_ file: FileName, _ bytes: [UInt8]?) -> Bool {
            bytes.map { file == .config || ContentID.sha256(of: $0) == file.id } ?? false
        }
        return Set(copies.flatMap(\.keys)).filter { file in
            !copies.contains { isGood(file, $0[file]) }
        }
    }

    /// Heals as the drives do it: good copies over bad ones, the rescue, and what is of no use
    /// moved aside.
    private func heal(_ key: MasterKey) async throws -> SalvageReport {
        let damaged = damaged()
        backend.state.withLock { state in
            for file in Set(state.copies.flatMap(\.keys)) where !damaged.contains(file) {
                let good = state.copies.compactMap { $0[file] }.first {
                    file == .config || ContentID.sha256(of: $0) == file.id
                }
                for copy in state.copies.indices { state.copies[copy][file] = good }
            }
        }
        let report = try await Salvage(
            backend: backend, masterKey: key, packByteCount: 150_000
        ).run(damaged: damaged)
        for file in report.superseded + report.damaged {
            for copy in 0..<2 { backend.change(file, copy: copy) { $0 = nil } }
        }
        return report
    }

    private func check(_ key: MasterKey) async throws -> StructureReport {
        try await StructureCheck(backend: backend, masterKey: key, readData: true).run()
    }

    /// Damages a blob's bytes in its pack on the copies given.
    private func damage(
        _ blob: ContentID, on copies: [Int], _ key: MasterKey, by offset: Int = 20
    ) throws -> FileName {
        let sealer = Sealer(key)
        for name in backend.names(.data) {
            let bytes = try #require(backend.state.withLock { $0.copies[0][name] })
            // Copy 0 may be damaged already; its header is not.
            let blobs = try PackHeader.decode(pack: bytes, sealer: sealer)
            guard let place = blobs.first(where: { $0.key.id == blob }) else { continue }
            for copy in copies {
                backend.change(name, copy: copy) { $0?[Int(place.offset) + offset] ^= 0x40 }
            }
            return name
        }
        throw FormatError(.malformed, "no pack has the blob")
    }

    private func blob(of file: String, _ filled: Filled) -> ContentID {
        ContentID.sha256(of: filled.files[file] ?? [])
    }

    /// What a rescue replaces is moved aside next: a power cut then must not take both.
    @Test func whatIsRescuedIsDurableAndItsPacksBeforeTheirIndex() async throws {
        let filled = try await fill(seed: 9)
        _ = try damage(blob(of: "IMG_1_0.jpg", filled), on: [0], filled.key)
        _ = try damage(blob(of: "IMG_1_1.jpg", filled), on: [1], filled.key)
        let before = backend.indexesWritten.all
        let report = try await heal(filled.key)
        #expect(!report.rebuiltPacks.isEmpty)
        let indexes = backend.indexesWritten
        #expect(indexes.all > before && indexes.tooEarly == 0)
        let log = backend.state.withLock { $0.log }
        let lastWrite = try #require(log.lastIndex { $0.hasPrefix("write") })
        #expect(log[lastWrite...].contains("flush"))
    }

    @Test func packBadOnBothCopiesIsRebuiltFromTheGoodBlobsOfBoth() async throws {
        let filled = try await fill(seed: 1)
        let first = try damage(blob(of: "IMG_1_0.jpg", filled), on: [0], filled.key)
        let second = try damage(blob(of: "IMG_1_1.jpg", filled), on: [1], filled.key)
        try #require(first == second)
        let report = try await heal(filled.key)
        #expect(report.lostBlobs.isEmpty)
        #expect(report.rebuiltPacks.count == 1 && report.damaged == [first])
        #expect(try await check(filled.key).findings == [])
        for copy in 0..<2 {
            #expect(!backend.names(.data, copy: copy).contains(first))
            #expect(backend.names(.data, copy: copy).contains(report.rebuiltPacks[0]))
        }
        try await expectRestores(filled)
    }

    private func expectRestores(
        _ filled: Filled, without lost: Set<String> = []
    ) async throws {
        let repository = try await openMemoryRepository(backend, filled.key)
        for snapshot in try await repository.snapshots() {
            for node in try await repository.tree(snapshot.tree) {
                let name = String(decoding: node.name.bytes, as: UTF8.self)
                guard !lost.contains(name) else { continue }
                #expect(try await repository.read(node.content) == filled.files[name])
            }
        }
    }

    @Test func blobBadOnBothIsNoLongerIndexedSoThatItIsStoredAgain() async throws {
        let filled = try await fill(seed: 2)
        let lost = blob(of: "IMG_2_3.jpg", filled)
        _ = try damage(lost, on: [0, 1], filled.key)
        let report = try await heal(filled.key)
        #expect(report.lostBlobs == [BlobKey(.data, lost)])
        let found = try await check(filled.key)
        let named = found.findings.compactMap { finding -> [EntryPath]? in
            if case .lostBlob(let blob) = finding { blob.paths } else { nil }
        }
        #expect(
            found.damagedFiles == [] && named.map { $0.map(\.description) } == [["/IMG_2_3.jpg"]])
        let repository = try await openMemoryRepository(backend, filled.key)
        #expect(await repository.holds([lost]) == false)
        let concerned = try await repository.snapshots(needing: report.lostBlobs)
        #expect(concerned.map(\.id) == [filled.snapshots[1]])
        // The phone still has it: the next backup stores it, and the old snapshot is whole again.
        let bytes = try #require(filled.files["IMG_2_3.jpg"])
        let saved = try await repository.save(source(bytes))
        #expect(saved.addedBytes == 40_000)
        _ = try await repository.commit(draft(repository.snapshots()[0].tree, seconds: 3))
        await repository.close()
        #expect(try await check(filled.key).findings == [])
        try await expectRestores(filled)
    }

    @Test func indexBadOnBothIsRebuiltFromHeadersOfPacks() async throws {
        let filled = try await fill(seed: 3)
        for name in backend.names(.index) {
            for copy in 0..<2 { backend.change(name, copy: copy) { $0?[70] ^= 1 } }
        }
        let report = try await heal(filled.key)
        #expect(report.adoptedPacks.count == backend.names(.data).count)
        #expect(report.rebuiltPacks == [] && report.newIndexes.count == 1)
        #expect(try await check(filled.key).findings == [])
        try await expectRestores(filled)
    }

    @Test func packAndItsIndexBadOnBothAreReadByThePacksOwnHeader() async throws {
        let filled = try await fill(seed: 4)
        for name in backend.names(.index) {
            for copy in 0..<2 { backend.change(name, copy: copy) { $0 = nil } }
        }
        _ = try damage(blob(of: "IMG_1_0.jpg", filled), on: [0], filled.key)
        _ = try damage(blob(of: "IMG_1_1.jpg", filled), on: [1], filled.key)
        let report = try await heal(filled.key)
        #expect(report.lostBlobs.isEmpty && report.rebuiltPacks.count == 1)
        #expect(try await check(filled.key).findings == [])
        try await expectRestores(filled)
    }

    @Test func folderLostOnBothNamesItsSnapshotAndComesBackWithTheSameContent() async throws {
        let filled = try await fill(seed: 5)
        let before = try await openMemoryRepository(backend, filled.key)
        let tree = try await before.snapshots()[0].tree
        let nodes = try await before.tree(tree)
        _ = try damage(tree, on: [0, 1], filled.key)
        let report = try await heal(filled.key)
        #expect(report.lostBlobs == [BlobKey(.tree, tree)])
        let repository = try await openMemoryRepository(backend, filled.key)
        let concerned = try await repository.snapshots(needing: report.lostBlobs)
        #expect(concerned.map(\.id) == [filled.snapshots[0]])
        #expect(try await repository.save(tree: nodes) == tree)
        try await repository.checkpoint()
        await repository.close()
        #expect(try await check(filled.key).findings == [])
    }

    @Test func packStoredAgainElsewhereIsForgottenWithoutANewOne() async throws {
        let filled = try await fill(seed: 6)
        let blob = blob(of: "IMG_1_0.jpg", filled)
        let pack = try damage(blob, on: [], filled.key)
        let old = backend.state.withLock { $0.copies }
        for copy in 0..<2 { backend.change(pack, copy: copy) { $0 = nil } }
        let repository = try await openMemoryRepository(backend, filled.key)
        for (name, bytes) in filled.files.sorted(by: { $0.key < $1.key }) {
            let saved = try await repository.save(source(bytes))
            #expect(!name.isEmpty && saved.byteCount == 40_000)
        }
        try await repository.checkpoint()
        await repository.close()
        let report = try await heal(filled.key)
        #expect(report.rebuiltPacks == [] && report.lostBlobs == [])
        #expect(report.superseded.count == 1)
        #expect(try await check(filled.key).findings == [])
        #expect(old[0][pack] != nil)
    }

    @Test func snapshotLostOnBothIsNamed() async throws {
        let filled = try await fill(seed: 7)
        let name = FileName(.snapshot, filled.snapshots[0])
        for copy in 0..<2 { backend.change(name, copy: copy) { $0?[0] ^= 1 } }
        let report = try await heal(filled.key)
        #expect(report.lostSnapshots == [name])
        #expect(try await check(filled.key).findings == [])
    }

    @Test func wholeRepositoryIsLeftAsItIs() async throws {
        let filled = try await fill(seed: 8)
        let before = backend.state.withLock { $0.copies }
        #expect(try await heal(filled.key).isEmpty)
        #expect(backend.state.withLock { $0.copies } == before)
    }

    @Test func rescueCutShortAnywhereGoesOnAndLeavesNothingTwice() async throws {
        for writes in 0..<2 {
            let filled = try await fill(seed: 9)
            _ = try damage(blob(of: "IMG_1_0.jpg", filled), on: [0], filled.key)
            _ = try damage(blob(of: "IMG_1_1.jpg", filled), on: [1], filled.key)
            let damaged = damaged()
            backend.state.withLock { $0.writesLeft = writes }
            await #expect(throws: RepositoryError.self) {
                try await Salvage(backend: backend, masterKey: filled.key).run(damaged: damaged)
            }
            backend.state.withLock { $0.writesLeft = nil }
            // And after everything was written, before anything was moved aside.
            _ = try await Salvage(backend: backend, masterKey: filled.key).run(damaged: damaged)
            let report = try await heal(filled.key)
            #expect(report.rebuiltPacks == [] && report.newIndexes == [])
            let found = try await check(filled.key).findings
            #expect(found == [])
            try await expectRestores(filled)
            backend.state.withLock { $0.copies = [[:], [:]] }
        }
    }

    @Test func whateverRotsOnBothEveryGoodBlobIsSaved() async throws {
        let filled = try await fill(seed: 10)
        let whole = backend.state.withLock { $0.copies }
        for seed in 0..<60 as Range<UInt64> {
            var numbers = SeededGenerator(seed: seed)
            let packs = backend.names(.data)
            for _ in 0..<3 {
                let pack = packs[Int(numbers.next() % UInt64(packs.count))]
                for copy in 0..<2 {
                    let rot = Rot.allCases.randomElement(using: &numbers) ?? .flip
                    backend.change(pack, copy: copy) { bytes in
                        bytes = bytes.flatMap { rot.apply($0, &numbers) }
                    }
                }
            }
            let saveable = try saveable(filled.key, whole: whole[0])
            let report = try await heal(filled.key)
            let found = try await check(filled.key)
            #expect(found.damagedFiles == [], "seed \(seed)")
            let repository = try await openMemoryRepository(backend, filled.key)
            for key in saveable {
                let isHeld =
                    key.kind == .data
                    ? await repository.holds([key.id]) : await repository.holds(tree: key.id)
                #expect(isHeld, "seed \(seed): \(key.id.short) was good somewhere")
                #expect(!report.lostBlobs.contains(key), "seed \(seed)")
            }
            await repository.close()
            backend.state.withLock { $0.copies = whole }
        }
    }

    /// The blobs whose sealed bytes are as they were in some copy.
    private func saveable(
        _ key: MasterKey, whole: [FileName: [UInt8]]
    ) throws -> Set<BlobKey> {
        var found: Set<BlobKey> = []
        let copies = backend.state.withLock { $0.copies }
        for (name, bytes) in whole where name.kind == .data {
            for blob in try PackHeader.decode(pack: bytes, sealer: Sealer(key)) {
                let range = Int(blob.offset)..<Int(blob.offset) + Int(blob.length)
                let isGood = copies.contains { copy in
                    guard let rotten = copy[name], rotten.count >= range.upperBound else {
                        return false
                    }
                    return rotten[range] == bytes[range]
                }
                if isGood { found.insert(blob.key) }
            }
        }
        return found
    }

    @Test(.enabled(if: Restic.isInstalled))
    func resticFindsARescuedRepositoryWhole() async throws {
        let filled = try await fill(seed: 11)
        _ = try damage(blob(of: "IMG_1_0.jpg", filled), on: [0], filled.key)
        _ = try damage(blob(of: "IMG_1_1.jpg", filled), on: [1], filled.key)
        let index = try #require(backend.names(.index).last)
        for copy in 0..<2 { backend.change(index, copy: copy) { $0?[50] ^= 2 } }
        _ = try await heal(filled.key)
        let folder = try TemporaryFolder()
        let plain = try DirectoryBackend(folder.url)
        for (name, bytes) in backend.state.withLock({ $0.copies[1] }) {
            try await plain.write(name, bytes)
        }
        let result = try Restic(repository: folder.url).run("check", "--read-data")
        #expect(result.status == 0, "\(result.output)")
        #expect(!result.output.contains("contained in several indexes"), "\(result.output)")
    }
}
