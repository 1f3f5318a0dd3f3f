import BackupCore
import Drives
import Glibc
import ResticFormat
import Testing

/// What may happen to a file on a drive.
enum Rot: String, CaseIterable {
    case flip, garbage, truncate, empty, delete, grow, swap, link, folder

    func apply(to path: String, other: String, _ numbers: inout SeededNumbers) {
        guard var bytes = PlainFile.read(path) else { return }
        switch self {
        case .flip:
            bytes[Int(numbers.next() % UInt64(bytes.count))] ^= 1 << UInt8(numbers.next() % 8)
            PlainFile.write(path, bytes)
        case .garbage: PlainFile.write(path, numbers.bytes(bytes.count))
        case .truncate: PlainFile.write(path, Array(bytes.dropLast(1)))
        case .empty: PlainFile.write(path, [])
        case .delete: unsafe unlink(path)
        case .grow: PlainFile.write(path, bytes + [0])
        case .swap: PlainFile.write(path, PlainFile.read(other) ?? [])
        case .link:
            unsafe unlink(path)
            unsafe symlink(other, path)
        case .folder:
            unsafe unlink(path)
            unsafe mkdir(path, 0o700)
        }
    }
}

@Suite struct HealTests: ~Copyable {
    let copies = CopySet()
    deinit { copies.folder.remove() }

    private func backends(_ names: String...) async throws -> [DriveBackend] {
        var backends: [DriveBackend] = []
        for name in names { backends.append(try await copies.backend(name)) }
        return backends
    }

    private func prepare() async throws -> [FileName] {
        try await copies.enrol("a", "b")
        try await copies.initialise("a", "b")
        return try await copies.write(1, to: "a", "b") + copies.write(2, to: "a", "b")
            + [.config, DrivePair.file(.key, DrivePair.key)]
    }

    @Test func wholeCopiesHaveNoFindings() async throws {
        _ = try await prepare()
        for readData in [false, true] {
            let report = await CopyAudit(
                try await backends("a", "b"), validConfig: CopySet.validConfig
            ).run(readData: readData)
            #expect(report.isWhole)
            #expect(report.fileCount == 10)
        }
    }

    @Test(arguments: Rot.allCases)
    func rotIsFoundAndHealedToTheSameBytes(rot: Rot) async throws {
        let files = try await prepare()
        let whole = PlainFile.tree(copies.repository("a"))
        let seed = UInt64(Rot.allCases.firstIndex(of: rot) ?? 0)
        var numbers = SeededNumbers(seed: seed)
        for (position, file) in files.enumerated() {
            let drive = numbers.next() % 2 == 0 ? "a" : "b"
            let path = "\(copies.repository(drive))/\(file.relativePath)"
            let other = files[(position + 1) % files.count]
            rot.apply(
                to: path, other: "\(copies.repository(drive))/\(other.relativePath)", &numbers)
            let audit = await CopyAudit(
                try await backends("a", "b"), validConfig: CopySet.validConfig
            ).run(readData: true)
            #expect(audit.findings.map(\.file) == [file], "seed \(seed), \(rot), \(file)")
            #expect(audit.findings.map(\.hasGoodCopy) == [true])
            let heal = await Heal(
                try await backends("a", "b"), validConfig: CopySet.validConfig
            ).run()
            #expect(heal.isWhole && heal.repaired.map(\.file) == [file])
            #expect(PlainFile.tree(copies.repository("a")) == whole)
            #expect(PlainFile.tree(copies.repository("b")) == whole)
        }
    }

    @Test func lossesAndWrongSizesShowWithoutReading() async throws {
        let files = try await prepare()
        unsafe unlink("\(copies.repository("a"))/\(files[0].relativePath)")
        Shell.run("truncate", "-s", "10", "\(copies.repository("b"))/\(files[1].relativePath)")
        PlainFile.write(copies.repository("b") + "/config", [7])
        let report = await CopyAudit(
            try await backends("a", "b"), validConfig: CopySet.validConfig
        ).run(readData: false)
        #expect(Set(report.findings.map(\.file)) == [files[0], files[1], .config])
        let problems = Dictionary(
            uniqueKeysWithValues: report.findings.map { ($0.file, $0.problem) })
        #expect(problems[files[0]] == .missing)
        #expect(problems[files[1]] == .wrongSize)
        #expect(problems[.config] == .wrongHash)
    }

    @Test func whatIsBadEverywhereIsLostAndNothingIsDeleted() async throws {
        let files = try await prepare()
        for drive in ["a", "b"] {
            PlainFile.write("\(copies.repository(drive))/\(files[0].relativePath)", [1, 2])
        }
        let before = PlainFile.tree(copies.folder.path)
        let heal = await Heal(
            try await backends("a", "b"), validConfig: CopySet.validConfig
        ).run()
        #expect(!heal.isWhole && heal.lost.count == 2)
        #expect(heal.lost.allSatisfy { !$0.hasGoodCopy })
        #expect(PlainFile.tree(copies.folder.path) == before)
    }

    @Test func badFilesAreKeptInQuarantine() async throws {
        let files = try await prepare()
        PlainFile.write("\(copies.repository("a"))/\(files[0].relativePath)", [5, 5, 5])
        _ = await Heal(try await backends("a", "b"), validConfig: CopySet.validConfig).run()
        let aside = PlainFile.tree(copies.path("a") + "/holdfast/quarantine")
        #expect(aside.values.map { $0 } == [[5, 5, 5]])
    }

    @Test func whatReplacesIsReadBackBeforeAnythingIsMovedAside() async throws {
        let files = try await prepare()
        let both = try await backends("a", "b")
        let (pack, index) = (files[0], files[2])
        let before = PlainFile.tree(copies.folder.path)
        PlainFile.write("\(copies.repository("b"))/\(files[1].relativePath)", [1])
        await #expect(throws: BackendError.self) {
            try await both.setAside(
                [index], [pack], for: [files[1]], at: Timestamp(seconds: 9))
        }
        for drive in ["a", "b"] {
            let path = "/\(drive)/holdfast/repositories/\(DrivePair.owner)/\(pack.relativePath)"
            #expect(PlainFile.tree(copies.folder.path)[path] == before[path])
        }
    }

    @Test func filesSetAsideLieInQuarantineOfEveryDriveAndDoNotComeBack() async throws {
        let files = try await prepare()
        let both = try await backends("a", "b")
        let (pack, index) = (files[0], files[2])
        let bytes = try #require(
            PlainFile.read("\(copies.repository("a"))/\(pack.relativePath)"))
        // One drive lost one of them altogether.
        unsafe unlink("\(copies.repository("b"))/\(index.relativePath)")
        try await both.setAside([index], [pack], for: [files[1]], at: Timestamp(seconds: 9))
        for (drive, count) in [("a", 2), ("b", 1)] {
            let aside = PlainFile.tree(copies.path(drive) + "/holdfast/quarantine")
            #expect(aside.count == count)
            #expect(aside.values.contains { $0 == bytes })
            let there = PlainFile.tree(copies.repository(drive)).keys
            #expect(!there.contains("/" + pack.relativePath))
            #expect(!there.contains("/" + index.relativePath))
        }
        // A drive that was away still has the index: nobody lacks it, and nobody is given it.
        let old = DrivePair.file(.index, Array("an old index".utf8))
        try await copies.backend("b").write(old, Array("an old index".utf8))
        try await both[0].drive.journal.append(
            .tombstone(old, owner: DrivePair.owner), at: Timestamp(seconds: 10))
        let heal = await Heal(
            try await backends("a", "b"), validConfig: CopySet.validConfig
        ).run()
        #expect(heal.isWhole && heal.repaired.isEmpty)
        #expect(heal.audit.retired == [index, old])
        #expect(PlainFile.tree(copies.repository("a"))["/" + old.relativePath] == nil)
    }

    @Test func filesSetAsideStayAsideAfterAPowerCut() async throws {
        let files = try await prepare()
        let changes = UnsyncedFolders()
        let copy = try await copies.backend("a", observer: changes.observer)
        try await [copy].setAside([files[2]], [files[0]], for: [], at: Timestamp(seconds: 9))
        #expect(changes.count > 0 && changes.left.isEmpty)
    }

    @Test func aRunKnowsWhatItStored() async throws {
        let files = try await prepare()
        let backend = try await copies.backend("a")
        #expect(backend.storedFiles.isEmpty)
        let bytes = Array("a snapshot".utf8)
        let file = DrivePair.file(.snapshot, bytes)
        try await backend.write(file, bytes)
        try await backend.write(DrivePair.file(.lock, bytes), bytes)
        #expect(backend.storedFiles == [file])
        #expect(try await backend.allFiles() == Set(files).union([file]))
        #expect(await backend.readBack(file, validConfig: { _ in false }) == .good)
        PlainFile.write("\(copies.repository("a"))/\(file.relativePath)", [1, 2, 3])
        #expect(
            await backend.readBack(file, validConfig: { _ in false }) == .bad(.wrongHash))
        unsafe unlink("\(copies.repository("a"))/\(file.relativePath)")
        #expect(await backend.readBack(file, validConfig: { _ in false }) == .gone)
    }

    @Test func readingBackStopsWhereItIsTold() async throws {
        let files = try await prepare().sorted()
        let backend = try await copies.backend("a")
        var left = 3
        var found: [FileName] = []
        await backend.readBack(
            files, validConfig: CopySet.validConfig,
            mayRead: {
                left -= 1
                return left >= 0
            },
            found: { file, result, byteCount in
                #expect(result == .good && byteCount > 0)
                found.append(file)
            })
        #expect(found == Array(files.prefix(3)))
    }

    @Test func lostRepositoryFolderIsMadeAgain() async throws {
        _ = try await prepare()
        Shell.run("rm", "-rf", copies.repository("b"))
        let heal = await Heal(
            try await backends("a", "b"), validConfig: CopySet.validConfig
        ).run()
        #expect(heal.isWhole)
        #expect(copies.areEqual("a", "b"))
    }

    @Test func filesOnOneDriveOnlyAreCopiedBothWays() async throws {
        _ = try await prepare()
        try await copies.write(5, to: "a")
        try await copies.write(6, to: "b")
        let heal = await Heal(
            try await backends("a", "b"), validConfig: CopySet.validConfig
        ).run()
        #expect(heal.isWhole && heal.repaired.count == 8)
        #expect(copies.areEqual("a", "b"))
    }

    @Test func unreadableFileIsReplacedUnread() async throws {
        let files = try await prepare()
        // Reads of drive b fail while it is audited, as those of a bad sector do.
        let reads = NthCall()
        let backend = try await copies.backend(
            "b",
            fault: { call in
                guard call == .read else { return nil }
                _ = reads.hook(call)
                return (3...4).contains(reads.count) ? .error(EIO) : nil
            })
        let heal = await Heal(
            [try await copies.backend("a"), backend], validConfig: CopySet.validConfig
        ).run()
        #expect(heal.isWhole)
        #expect(heal.repaired.contains { $0.problem == .unreadable })
        #expect(copies.areEqual("a", "b"))
        #expect(!files.isEmpty)
    }

    @Test func fileThatReadsBackWrongIsNotRepaired() async throws {
        let files = try await prepare()
        let path = "\(copies.repository("b"))/\(files[0].relativePath)"
        unsafe unlink(path)
        // A medium that loses what it was given, as soon as the name is there.
        let backend = try await copies.backend(
            "b",
            fault: { call in
                if call == .sync, let bytes = PlainFile.read(path) {
                    PlainFile.write(path, [UInt8](repeating: 0, count: bytes.count))
                }
                return nil
            })
        let heal = await Heal(
            [try await copies.backend("a"), backend], validConfig: CopySet.validConfig
        ).run()
        #expect(!heal.isWhole && heal.repaired.isEmpty)
        #expect(heal.lost.map(\.file) == [files[0]])
    }

    @Test func absentDriveIsNamedAndTheRestStaysAsItIs() async throws {
        _ = try await prepare()
        let both = try await backends("a", "b")
        Shell.run("mv", copies.path("b"), copies.path("elsewhere"))
        let report = await CopyAudit(both, validConfig: CopySet.validConfig).run(readData: true)
        #expect(report.behind.values.map(\.code) == [.absent])
        #expect(report.findings.isEmpty && !report.isWhole)
    }

    @Test func healCutShortAnywhereLosesNothingAndCompletes() async throws {
        let files = try await prepare()
        let whole = PlainFile.tree(copies.repository("a"))
        var numbers = SeededNumbers(seed: 77)
        func damage() {
            for file in [files[0], files[2], files[3], files[8]] {
                let path = "\(copies.repository("b"))/\(file.relativePath)"
                Rot.flip.apply(to: path, other: path, &numbers)
            }
        }
        damage()
        let counting = NthCall(kinds: NthCall.changes)
        _ = await Heal(
            [
                try await copies.backend("a"),
                try await copies.backend("b", fault: counting.hook),
            ], validConfig: CopySet.validConfig
        ).run()
        #expect(PlainFile.tree(copies.repository("b")) == whole)
        for failing in stride(from: 1, through: counting.count, by: max(1, counting.count / 15)) {
            damage()
            let fault = NthCall(
                failing: failing, isSticky: failing % 2 == 0, kinds: NthCall.changes)
            do {
                _ = await Heal(
                    [
                        try await copies.backend("a"),
                        try await copies.backend("b", fault: fault.hook),
                    ], validConfig: CopySet.validConfig
                ).run()
            } catch {}
            #expect(PlainFile.tree(copies.repository("a")) == whole)
            try await copies.backend("b").sweep()
            let heal = await Heal(
                try await backends("a", "b"), validConfig: CopySet.validConfig
            ).run()
            #expect(heal.isWhole, "after call \(failing), seed 77")
            #expect(PlainFile.tree(copies.repository("b")) == whole)
        }
    }
}
