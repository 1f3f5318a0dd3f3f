import BackupCore
import Drives
import Glibc
import ResticFormat
import Testing

@Suite struct RetirementTests: ~Copyable {
    let copies = CopySet()
    deinit { copies.folder.remove() }

    private let now = Timestamp(seconds: 1_800_000_000)

    /// A drive with two runs' files; gives the first run's.
    private func prepare() async throws -> [FileName] {
        try await copies.enrol("a")
        try await copies.initialise("a")
        let files = try await copies.write(1, to: "a")
        try await copies.write(2, to: "a")
        return files
    }

    private func isThere(_ file: FileName) -> Bool {
        PlainFile.read("\(copies.repository("a"))/\(file.relativePath)") != nil
    }

    private func tombstones() async throws -> Set<FileName> {
        try await copies.backend("a").drive.journal.tombstones(of: DrivePair.owner)
    }

    @Test func retiredFilesAreGoneAndNamed() async throws {
        let files = try await prepare()
        try await copies.backend("a").retire(files, at: now)
        #expect(files.allSatisfy { !isThere($0) })
        #expect(try await tombstones() == Set(files))
        let backend = try await copies.backend("a")
        for kind in [FileKind.data, .index, .snapshot] {
            #expect(try await backend.list(kind).count == (kind == .data ? 2 : 1))
        }
        let reading = try await backend.drive.journal.read()
        #expect(reading.damage.isEmpty)
        // One record for each kind.
        #expect(reading.entries.map(\.record.kind) == ["tombstones", "tombstones", "tombstones"])
    }

    @Test func retiringAgainAddsNoRecordAndIsFine() async throws {
        let files = try await prepare()
        try await copies.backend("a").retire(files, at: now)
        try await copies.backend("a").retire(files, at: now)
        let reading = try await copies.backend("a").drive.journal.read()
        #expect(reading.entries.count == 3)
    }

    @Test func oneRecordNamesFiveHundredFilesAndNoMore() async throws {
        _ = try await prepare()
        let files = (0..<501).map {
            FileName(.data, .sha256(of: [UInt8($0 % 256), UInt8($0 / 256)]))
        }
        let backend = try await copies.backend("a")
        try await backend.retire(files, at: now)
        let reading = try await backend.drive.journal.read()
        #expect(reading.entries.map { $0.record.count("count") } == [500, 1])
        #expect(reading.damage.isEmpty)
        #expect(try await tombstones() == Set(files))
    }

    @Test func onlySnapshotsIndexesAndPacksAreRetired() async throws {
        let files = try await prepare()
        let key = FileName(.key, .sha256(of: DrivePair.key))
        for file in [key, .config, FileName(.lock, .sha256(of: [1]))] {
            await #expect(throws: BackendError.self) {
                try await copies.backend("a").retire([files[0], file], at: now)
            }
        }
        #expect(isThere(key) && isThere(files[0]))
        #expect(try await tombstones().isEmpty)
    }

    @Test func singleTombstonesOfEarlierVersionsAreRead() async throws {
        let files = try await prepare()
        let backend = try await copies.backend("a")
        try await backend.drive.journal.append(
            .tombstone(files[3], owner: DrivePair.owner), at: now)
        try await backend.retire([files[3], files[2]], at: now)
        #expect(try await tombstones() == [files[2], files[3]])
        #expect(try await backend.drive.journal.read().entries.count == 2)
        #expect(
            try await backend.drive.journal.tombstones(of: OwnerID(trusted: "owner-2")).isEmpty)
    }

    @Test func garbledIdsNameNothing() async throws {
        _ = try await prepare()
        let id = ContentID.sha256(of: [7])
        let path = copies.path("a") + "/holdfast/journal"
        Shell.run("mkdir", "-p", path)
        let texts = [String(repeating: "g", count: 64) + id.hex, id.hex + "ab", "", "../../config"]
        for (number, text) in texts.enumerated() {
            let line =
                "{\"number\":\(number + 1),\"previous\":\"\",\"time\":1,\"kind\":\"tombstones\","
                + "\"owner\":\"owner-1\",\"file\":\"data\",\"count\":1,\"ids\":\"\(text)\"}\n"
            PlainFile.write("\(path)/000000000\(number + 1).json", Array(line.utf8))
        }
        #expect(try await tombstones() == [FileName(.data, id)])
    }

    @Test func withoutADurableTombstoneNothingIsRemoved() async throws {
        let files = try await prepare()
        let counting = NthCall(kinds: NthCall.changes)
        try await copies.backend("a", fault: counting.hook).bury(files, at: now)
        let tree = PlainFile.tree(copies.repository("a"))
        try await reset()
        for failing in 1...counting.count {
            let fault = NthCall(
                failing: failing, .error(EIO), isSticky: true, kinds: NthCall.changes)
            await #expect(throws: BackendError.self, "call \(failing)") {
                try await copies.backend("a", fault: fault.hook).retire(files, at: now)
            }
            #expect(PlainFile.tree(copies.repository("a")) == tree, "call \(failing)")
            try await reset()
        }
    }

    /// Forgets all tombstones.
    private func reset() async throws {
        Shell.run("find", copies.path("a") + "/holdfast/journal", "-type", "f", "-delete")
    }

    @Test func retiringCutShortAnywhereLeavesNothingThatRefersToNothing() async throws {
        let files = try await prepare()
        let counting = NthCall(kinds: NthCall.changes)
        try await copies.backend("a", fault: counting.hook).retire(files, at: now)
        for failing in 1...counting.count {
            try await copies.write(1, to: "a")
            try await reset()
            let fault = NthCall(
                failing: failing, .error(EIO), isSticky: true, kinds: NthCall.changes)
            await #expect(throws: BackendError.self) {
                try await copies.backend("a", fault: fault.hook).retire(files, at: now)
            }
            let gone = files.filter { !isThere($0) }
            #expect(try await tombstones().isSuperset(of: gone), "call \(failing)")
            // The snapshot goes first and the packs last.
            if isThere(files[3]) { #expect(isThere(files[2]), "call \(failing)") }
            if isThere(files[2]) { #expect(isThere(files[0]) && isThere(files[1])) }
            try await copies.backend("a").retire(files, at: now)
            #expect(files.allSatisfy { !isThere($0) })
        }
    }
}
