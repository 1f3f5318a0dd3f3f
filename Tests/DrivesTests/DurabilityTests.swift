import BackupCore
import Drives
import Glibc
import ResticFormat
import Synchronization
import Testing

/// What is durable when a call comes back, and what is never called durable after a failure.
@Suite struct DurabilityTests: ~Copyable {
    let copies = CopySet()
    deinit { copies.folder.remove() }

    private func stored(_ file: FileName) -> String {
        "\(copies.repository("a"))/\(file.relativePath)"
    }

    private func prepare() async throws {
        try await copies.enrol("a")
        try await copies.initialise("a")
    }

    @Test func aNewDriveAndItsRepositoryAreDurable() async throws {
        let changes = UnsyncedFolders()
        var options = DrivePair.options()
        options.observer = changes.observer
        let drive = try await Drive.enrol(
            path: copies.folder.folder("a"), set: DrivePair.set, options: options)
        #expect(changes.count > 0 && changes.left == [])
        try await DrivePair.initialise(drive.repository(DrivePair.owner))
        #expect(changes.left == [])
    }

    @Test func everythingBeforeAFlushIsDurableAfterIt() async throws {
        try await prepare()
        let file = DrivePair.file(.data, [1, 2])
        // Somebody removed the folder it belongs in.
        Shell.run("rmdir", "\(copies.repository("a"))/data/\(file.id.hex.prefix(2))")
        let changes = UnsyncedFolders()
        let copy = try await copies.backend("a", observer: changes.observer)
        try await copy.write(file, [1, 2])
        try await copy.flush()
        #expect(changes.count > 0 && changes.left == [])
        // What is bad gives way to what is good.
        PlainFile.write(stored(file), [9])
        try await copy.write(file, [1, 2])
        try await copy.flush()
        #expect(changes.left == [])
        let lock = DrivePair.file(.lock, [3])
        try await copy.write(lock, [3])
        try await copy.flush()
        try await copy.remove(lock)
        try await copy.flush()
        #expect(changes.left == [])
    }

    @Test(arguments: [false, true])
    func aFileThatIsLostAfterWritingFailsTheFlush(isThere: Bool) async throws {
        try await prepare()
        let copy = try await copies.backend("a")
        let file = DrivePair.file(.index, [1, 2])
        try await copy.write(file, [1, 2])
        if isThere { PlainFile.write(stored(file), [1]) } else { unsafe unlink(stored(file)) }
        await #expect(throws: BackendError.self) { try await copy.flush() }
    }

    @Test func aFlushThatFailedNeverSucceedsLater() async throws {
        try await prepare()
        let isBroken = Mutex(false)
        let copy = try await copies.backend(
            "a",
            fault: { call in
                call == .sync && isBroken.withLock { $0 } ? .error(EIO) : nil
            })
        try await copy.write(DrivePair.file(.index, [1]), [1])
        isBroken.withLock { $0 = true }
        await #expect(throws: BackendError.self) { try await copy.flush() }
        isBroken.withLock { $0 = false }
        await #expect(throws: BackendError.self) { try await copy.flush() }
        let state = await copy.receipts()[0].state
        #expect(!state.isDurable && state != .written)
    }

    @Test func packsLeaveTheReserveFree() async throws {
        try await prepare()
        var options = DrivePair.options()
        options.reserveBytes = .max
        let drive = try await Drive.open(path: copies.path("a"), options: options)
        let copy = drive.repository(DrivePair.owner)
        let error = await #expect(throws: BackendError.self) {
            try await copy.write(DrivePair.file(.data, [1]), [1])
        }
        #expect(error?.code == .full)
        try await copy.write(DrivePair.file(.index, [2]), [2])
    }

    @Test func aNewDriveGetsWhatIsNeededFirst() async throws {
        try await copies.enrol("a", "b")
        try await copies.initialise("a")
        try await copies.write(1, to: "a")
        let kinds = Mutex<[Substring]>([])
        let repository = copies.repository("b")
        let observer: DriveObserver = { effect in
            guard case .renamed(_, _, _, let folder) = effect else { return }
            let path = UnsyncedFolders.path(folder)
            guard path.hasPrefix(repository) else { return }
            let kind = path.dropFirst(repository.count).split(separator: "/").first ?? "config"
            kinds.withLock { if $0.last != kind { $0.append(kind) } }
        }
        let both = [
            try await copies.backend("a"), try await copies.backend("b", observer: observer),
        ]
        let report = await CatchUp(both, validConfig: CopySet.validConfig).run()
        #expect(report.behind.isEmpty)
        #expect(kinds.withLock { $0 } == ["keys", "config", "data", "index", "snapshots"])
    }

    @Test func whatCatchUpCopiedIsDurable() async throws {
        try await copies.enrol("a", "b")
        try await copies.initialise("a", "b")
        try await copies.write(1, to: "a")
        let changes = UnsyncedFolders()
        let both = [
            try await copies.backend("a"),
            try await copies.backend("b", observer: changes.observer),
        ]
        let report = await CatchUp(both, validConfig: CopySet.validConfig).run()
        #expect(report.copied.values.map(\.files) == [4])
        #expect(changes.count > 0 && changes.left == [])
    }

    @Test func aDriveThatCannotBeListedTakesNoPart() async throws {
        try await copies.enrol("a", "b")
        try await copies.initialise("a", "b")
        try await copies.write(1, to: "a")
        let isBroken = Mutex(false)
        let broken = try await copies.backend(
            "b",
            fault: { call in
                call == .list && isBroken.withLock { $0 } ? .error(EIO) : nil
            })
        isBroken.withLock { $0 = true }
        let report = await CatchUp(
            [try await copies.backend("a"), broken], validConfig: CopySet.validConfig
        ).run()
        #expect(report.behind.keys.map { $0 } == [broken.drive.id])
        #expect(report.copied.isEmpty)
    }
}
