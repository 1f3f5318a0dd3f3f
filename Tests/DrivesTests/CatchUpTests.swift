import BackupCore
import Drives
import Glibc
import ResticFormat
import Synchronization
import Testing

/// Drives in folders with the same owner's repository, and what is done to them.
struct CopySet {
    let folder = TestFolder()

    static let validConfig: ConfigJudge = { $0 == DrivePair.config }

    func path(_ name: String) -> String { "\(folder.path)/\(name)" }
    func repository(_ name: String) -> String { DrivePair.repositoryPath(path(name)) }

    func enrol(_ names: String...) async throws {
        for name in names { _ = try await DrivePair.enrol(folder.folder(name)) }
    }

    func initialise(_ names: String...) async throws {
        for name in names { try await DrivePair.initialise(try await backend(name)) }
    }

    func backend(
        _ name: String, fault: DriveFaultHook? = nil, observer: DriveObserver? = nil
    ) async throws -> DriveBackend {
        var options = DrivePair.options(fault: fault)
        options.observer = observer
        return try await Drive.open(path: path(name), options: options).repository(
            DrivePair.owner)
    }

    /// A run on the drives named: two packs, an index and a snapshot, all of a seed.
    @discardableResult
    func write(_ seed: UInt64, to names: String...) async throws -> [FileName] {
        var numbers = SeededNumbers(seed: seed)
        var files: [FileName] = []
        for kind in [FileKind.data, .data, .index, .snapshot] {
            let bytes = numbers.bytes(kind == .data ? 6000 : 700)
            let file = DrivePair.file(kind, bytes)
            files.append(file)
            for name in names { try await backend(name).write(file, bytes) }
        }
        return files
    }

    func areEqual(_ names: String...) -> Bool {
        let trees = names.map { PlainFile.tree(repository($0)) }
        return trees.dropFirst().allSatisfy { $0 == trees[0] }
    }
}

@Suite struct CatchUpTests: ~Copyable {
    let copies = CopySet()
    deinit { copies.folder.remove() }

    private func catchUp(_ names: String...) async throws -> CatchUpReport {
        var backends: [DriveBackend] = []
        for name in names { backends.append(try await copies.backend(name)) }
        return await CatchUp(backends, validConfig: CopySet.validConfig).run()
    }

    @Test func runsOnOneDriveEachConverge() async throws {
        try await copies.enrol("a", "b")
        try await copies.initialise("a", "b")
        try await copies.write(1, to: "a", "b")
        try await copies.write(2, to: "a")
        try await copies.write(3, to: "b")
        let report = try await catchUp("a", "b")
        #expect(report.behind.isEmpty && report.skipped.isEmpty)
        #expect(report.copied.values.map(\.files) == [4, 4])
        #expect(copies.areEqual("a", "b"))
        #expect(PlainFile.tree(copies.repository("a")).values.compactMap { $0 }.count == 14)
        let again = try await catchUp("a", "b")
        #expect(again.copied.isEmpty)
    }

    @Test func newDriveGetsTheWholeRepository() async throws {
        try await copies.enrol("a", "b", "c")
        try await copies.initialise("a")
        try await copies.write(1, to: "a")
        let report = try await catchUp("a", "b", "c")
        #expect(report.behind.isEmpty)
        #expect(copies.areEqual("a", "b", "c"))
        #expect(try await copies.backend("b").isInitialised())
    }

    @Test func keysOfAnInterruptedInitialisationDoNotSpread() async throws {
        try await copies.enrol("a", "b")
        try await copies.initialise("a")
        Shell.run("mkdir", "-p", copies.repository("b") + "/keys")
        let stale = Array("{\"another\":\"key\"}".utf8)
        let file = DrivePair.file(.key, stale)
        PlainFile.write(copies.repository("b") + "/keys/\(file.id)", stale)
        #expect(try await copies.backend("b").isInitialised() == false)
        let report = try await catchUp("a", "b")
        #expect(report.behind.isEmpty)
        #expect(copies.areEqual("a", "b"))
        #expect(try await copies.backend("a").list(.key).count == 1)
    }

    @Test func damagedSourceIsSkippedAndNamed() async throws {
        try await copies.enrol("a", "b")
        try await copies.initialise("a", "b")
        let files = try await copies.write(1, to: "a")
        PlainFile.write("\(copies.repository("a"))/\(files[0].relativePath)", [1, 2, 3])
        let report = try await catchUp("a", "b")
        #expect(report.skipped.map(\.file) == [files[0]])
        #expect(report.skipped.map(\.hasGoodCopy) == [false])
        #expect(report.behind.isEmpty)
        #expect(PlainFile.read("\(copies.repository("b"))/\(files[0].relativePath)") == nil)
        #expect(DrivePair.isSound(copies.repository("b")))
        #expect(try await copies.backend("b").list(.snapshot).count == 1)
    }

    @Test func driveThatLacksWhatCannotBeReadNowIsBehind() async throws {
        try await copies.enrol("a", "b")
        try await copies.initialise("a", "b")
        try await copies.write(1, to: "a")
        var behindCount = 0
        for failing in 1...30 {
            Shell.run(
                "rm", "-rf", copies.repository("b") + "/data", copies.repository("b") + "/index")
            let fault = NthCall(failing: failing, .error(EIO), kinds: [.read])
            guard let a = try? await copies.backend("a", fault: fault.hook) else { continue }
            let b = try await copies.backend("b")
            let report = await CatchUp([a, b], validConfig: CopySet.validConfig).run()
            if report.behind.isEmpty {
                #expect(try await b.list(.data).count == 2, "read \(failing)")
                #expect(try await b.list(.index).count == 1, "read \(failing)")
            } else if report.behind[b.drive.id] != nil {
                behindCount += 1
            }
        }
        #expect(behindCount > 0)
    }

    @Test func ofTwoSizesTheGoodOneWins() async throws {
        try await copies.enrol("a", "b")
        try await copies.initialise("a", "b")
        let files = try await copies.write(1, to: "a", "b")
        // One cut short, one grown, on different drives.
        Shell.run("truncate", "-s", "100", "\(copies.repository("a"))/\(files[0].relativePath)")
        Shell.run("truncate", "-s", "9000", "\(copies.repository("b"))/\(files[2].relativePath)")
        let report = try await catchUp("a", "b")
        #expect(Set(report.repaired.map(\.file)) == [files[0], files[2]])
        #expect(copies.areEqual("a", "b"))
        #expect(DrivePair.isSound(copies.repository("a")))
    }

    @Test func driveWithAnAlteredConfigStaysBehindAndIsNotTouched() async throws {
        try await copies.enrol("a", "b")
        try await copies.initialise("a", "b")
        try await copies.write(1, to: "a")
        PlainFile.write(copies.repository("b") + "/config", [1, 2, 3])
        let before = PlainFile.tree(copies.path("b"))
        let report = try await catchUp("a", "b")
        #expect(report.behind.values.map(\.code) == [.damaged])
        #expect(PlainFile.tree(copies.path("b")) == before)
    }

    @Test func missingConfigIsCopied() async throws {
        try await copies.enrol("a", "b")
        try await copies.initialise("a", "b")
        try await copies.write(1, to: "a", "b")
        Shell.run("rm", "-f", copies.repository("b") + "/config")
        let report = try await catchUp("a", "b")
        #expect(report.behind.isEmpty)
        #expect(copies.areEqual("a", "b"))
    }

    @Test func tombstonedFilesDoNotComeBack() async throws {
        try await copies.enrol("a", "b")
        try await copies.initialise("a", "b")
        let files = try await copies.write(1, to: "a")
        let drive = try await copies.backend("b").drive
        try await drive.journal.append(
            .tombstone(files[3], owner: DrivePair.owner), at: Timestamp(seconds: 1))
        _ = try await catchUp("a", "b")
        #expect(try await copies.backend("b").list(.snapshot).isEmpty)
        #expect(try await copies.backend("b").list(.data).count == 2)
    }

    @Test(arguments: [false, true])
    func catchUpCutShortAnywhereLeavesNothingWrongAndCompletes(failsOnTarget: Bool) async throws {
        try await copies.enrol("a", "b")
        try await copies.initialise("a", "b")
        try await copies.write(1, to: "a", "b")
        let files = try await copies.write(2, to: "a")
        let kinds = failsOnTarget ? NthCall.changes : [.read, .open]
        let counting = NthCall(kinds: kinds)
        _ = await CatchUp(
            [
                try await copies.backend("a", fault: failsOnTarget ? nil : counting.hook),
                try await copies.backend("b", fault: failsOnTarget ? counting.hook : nil),
            ], validConfig: CopySet.validConfig
        ).run()
        #expect(copies.areEqual("a", "b"))
        for failing in stride(
            from: 1, through: counting.count, by: max(1, counting.count / 25))
        {
            for file in files {
                unsafe unlink("\(copies.repository("b"))/\(file.relativePath)")
            }
            let fault = NthCall(
                failing: failing, .error(failing % 2 == 0 ? EIO : ENOSPC), isSticky: true,
                kinds: kinds)
            do {
                _ = await CatchUp(
                    [
                        try await copies.backend("a", fault: failsOnTarget ? nil : fault.hook),
                        try await copies.backend("b", fault: failsOnTarget ? fault.hook : nil),
                    ], validConfig: CopySet.validConfig
                ).run()
            } catch {}
            try await copies.backend("b").sweep()
            #expect(DrivePair.isSound(copies.repository("b")), "call \(failing)")
            // A snapshot never stands there without what it was written after.
            let b = try await copies.backend("b")
            if try await b.list(.snapshot).count == 2 {
                #expect(try await b.list(.data).count == 4)
                #expect(try await b.list(.index).count == 2)
            }
            _ = try await catchUp("a", "b")
            #expect(copies.areEqual("a", "b"), "after call \(failing)")
        }
    }

    @Test func driveThatFailsIsNotTriedWithEveryFile() async throws {
        try await copies.enrol("a", "b")
        try await copies.initialise("a", "b")
        for seed in 1...20 { try await copies.write(UInt64(seed), to: "a") }
        let calls = Mutex(0)
        let b = try await copies.backend("b") { call in
            guard call == .write else { return nil }
            calls.withLock { $0 += 1 }
            return .error(EIO)
        }
        let report = await CatchUp(
            [try await copies.backend("a"), b], validConfig: CopySet.validConfig
        ).run()
        #expect(report.behind.count == 1)
        // One file of 40 packs, with its second attempt.
        #expect((1...4).contains(calls.withLock { $0 }))
    }

    @Test func cancelledCatchUpSaysSo() async throws {
        try await copies.enrol("a", "b")
        try await copies.initialise("a", "b")
        try await copies.write(1, to: "a")
        let backends = [try await copies.backend("a"), try await copies.backend("b")]
        let run = Task {
            while !Task.isCancelled { await Task.yield() }
            return await CatchUp(backends, validConfig: CopySet.validConfig).run()
        }
        run.cancel()
        let report = await run.value
        #expect(report.wasCancelled)
        #expect(try await copies.backend("b").list(.data).isEmpty)
    }
}
