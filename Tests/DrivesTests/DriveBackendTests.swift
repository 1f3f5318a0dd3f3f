import BackupCore
import Drives
import Glibc
import ResticFormat
import Synchronization
import Testing

@Suite struct DriveBackendTests: ~Copyable {
    let folder = TestFolder()
    deinit { folder.remove() }

    @Test func writtenFilesAreListedAndRead() async throws {
        let drive = try await DrivePair.enrol(folder.folder("a"))
        let backend = drive.repository(DrivePair.owner)
        try await DrivePair.initialise(backend)
        var numbers = SeededNumbers(seed: 1)
        for kind in [FileKind.data, .index, .snapshot, .lock] {
            let bytes = numbers.bytes(9_000_000 / (kind == .data ? 1 : 1000))
            let file = DrivePair.file(kind, bytes)
            try await backend.write(file, bytes)
            #expect(
                try await backend.list(kind) == [
                    StoredFile(name: file, byteCount: UInt64(bytes.count))
                ])
            #expect(try await backend.read(file, range: nil, copy: 0) == bytes)
            #expect(
                try await backend.read(file, range: 100..<300, copy: 0) == Array(bytes[100..<300]))
        }
        #expect(await backend.receipts().map(\.state) == [.written])
        try await backend.flush()
        #expect(await backend.receipts().map(\.state) == [.durable])
        #expect(try await backend.read(.config, range: nil, copy: 0) == DrivePair.config)
        #expect(try await backend.list(.config).count == 1)
    }

    @Test func missingAndShortFilesAreToldApart() async throws {
        let drive = try await DrivePair.enrol(folder.folder("a"))
        let backend = drive.repository(DrivePair.owner)
        try await DrivePair.initialise(backend)
        let bytes: [UInt8] = [1, 2, 3]
        let file = DrivePair.file(.index, bytes)
        let missing = await #expect(throws: BackendError.self) {
            try await backend.read(file, range: nil, copy: 0)
        }
        #expect(missing?.code == .noSuchFile)
        try await backend.write(file, bytes)
        let short = await #expect(throws: BackendError.self) {
            try await backend.read(file, range: 0..<4, copy: 0)
        }
        #expect(short?.code == .damaged)
    }

    @Test func nothingIsWrittenWithoutARepository() async throws {
        let path = folder.folder("a")
        let drive = try await DrivePair.enrol(path)
        let backend = drive.repository(DrivePair.owner)
        let before = PlainFile.tree(path)
        await #expect(throws: BackendError.self) {
            try await backend.write(DrivePair.file(.data, [1]), [1])
        }
        #expect(PlainFile.tree(path) == before)
    }

    @Test func goodFileUnderTheNameStaysAndABadOneIsReplaced() async throws {
        let path = folder.folder("a")
        let drive = try await DrivePair.enrol(path)
        let backend = drive.repository(DrivePair.owner)
        try await DrivePair.initialise(backend)
        let bytes = Array("pack".utf8)
        let file = DrivePair.file(.data, bytes)
        try await backend.write(file, bytes)
        try await backend.write(file, bytes)
        let stored = "\(DrivePair.repositoryPath(path))/\(file.relativePath)"
        PlainFile.write(stored, [9, 9])
        try await backend.write(file, bytes)
        try await backend.flush()
        #expect(PlainFile.read(stored) == bytes)
        let aside = PlainFile.tree("\(path)/holdfast/quarantine")
        #expect(aside.values.map { $0 } == [[9, 9]])
    }

    @Test func onlyLocksAreRemoved() async throws {
        let drive = try await DrivePair.enrol(folder.folder("a"))
        let backend = drive.repository(DrivePair.owner)
        try await DrivePair.initialise(backend)
        let lock = DrivePair.file(.lock, [1])
        try await backend.write(lock, [1])
        try await backend.remove(lock)
        try await backend.remove(lock)
        try await backend.flush()
        #expect(try await backend.list(.lock).isEmpty)
        let index = DrivePair.file(.index, [2])
        try await backend.write(index, [2])
        await #expect(throws: BackendError.self) { try await backend.remove(index) }
        #expect(try await backend.list(.index).count == 1)
    }

    @Test func repositoryWhoseConfigWasLostTakesLocksOnly() async throws {
        let path = folder.folder("a")
        let backend = try await DrivePair.enrol(path).repository(DrivePair.owner)
        try await DrivePair.initialise(backend)
        #expect(Shell.run("rm", DrivePair.repositoryPath(path) + "/config") == 0)
        let lock = DrivePair.file(.lock, [1])
        try await backend.write(lock, [1])
        #expect(try await backend.list(.lock).map(\.name) == [lock])
        try await backend.remove(lock)
        let refused = await #expect(throws: BackendError.self) {
            try await backend.write(DrivePair.file(.index, [2]), [2])
        }
        #expect(refused?.code == .damaged)
    }

    @Test func anotherConfigIsNeverReplaced() async throws {
        let drive = try await DrivePair.enrol(folder.folder("a"))
        let backend = drive.repository(DrivePair.owner)
        try await DrivePair.initialise(backend)
        try await DrivePair.initialise(backend)
        let error = await #expect(throws: BackendError.self) {
            try await backend.initialise(config: [1], keys: [])
        }
        #expect(error?.code == .wrongDrive)
        #expect(try await backend.read(.config, range: nil, copy: 0) == DrivePair.config)
    }

    @Test(arguments: ["removed", "renamed", "emptied", "replaced"])
    func driveThatGoesAwayIsAbsentAndNothingIsMadeInItsPlace(how: String) async throws {
        let path = folder.folder("a")
        let drive = try await DrivePair.enrol(path)
        let backend = drive.repository(DrivePair.owner)
        try await DrivePair.initialise(backend)
        try await backend.write(DrivePair.file(.data, [1]), [1])
        switch how {
        case "removed": Shell.run("rm", "-rf", "\(path)/holdfast")
        case "renamed": Shell.run("mv", path, "\(path)-elsewhere")
        case "emptied": Shell.run("sh", "-c", "rm -rf '\(path)'/holdfast/*")
        default:
            Shell.run("mv", path, "\(path)-elsewhere")
            _ = folder.folder("a")
        }
        let before = PlainFile.tree(folder.path)
        let writing = await #expect(throws: BackendError.self) {
            try await backend.write(DrivePair.file(.data, [2]), [2])
        }
        #expect(writing?.code == .absent)
        await #expect(throws: BackendError.self) { try await backend.flush() }
        let listing = await #expect(throws: BackendError.self) {
            try await backend.list(.snapshot)
        }
        #expect(listing?.code == .absent)
        #expect(PlainFile.tree(folder.path) == before)
    }

    @Test func initialisationCutShortAnywhereIsStartedOver() async throws {
        let counting = NthCall()
        let first = try await Drive.open(
            path: try await DrivePair.enrol(folder.folder("count")).path,
            options: DrivePair.options(fault: counting.hook))
        try await DrivePair.initialise(first.repository(DrivePair.owner))
        let stale = Array("{\"another\":\"key\"}".utf8)
        // Every call of the end, where keys and config are written, and a part of the folders.
        let end = max(1, counting.count - 120)
        for failing in Array(stride(from: 1, to: end, by: 131)) + (end...counting.count) {
            let path = folder.folder("init-\(failing)")
            _ = try await DrivePair.enrol(path)
            let fault = NthCall(failing: failing, isSticky: true)
            do {
                let drive = try await Drive.open(
                    path: path, options: DrivePair.options(fault: fault.hook))
                try await drive.repository(DrivePair.owner).initialise(
                    config: Array("another".utf8), keys: [(.sha256(of: stale), stale)])
            } catch {}
            let drive = try await Drive.open(path: path, options: DrivePair.options())
            let backend = drive.repository(DrivePair.owner)
            try await backend.sweep()
            if try await backend.isInitialised() {
                // The config is the last: what opens it is there before.
                #expect(try await backend.list(.key).count == 1)
                continue
            }
            try await DrivePair.initialise(backend)
            #expect(
                try await backend.list(.key).map(\.name) == [DrivePair.file(.key, DrivePair.key)])
            #expect(DrivePair.isSound(DrivePair.repositoryPath(path)))
        }
    }

    @Test func whatIsSeenAfterASweepIsDurable() async throws {
        let path = folder.folder("a")
        let syncs = Mutex(0)
        var options = DrivePair.options()
        options.observer = { effect in
            if case .syncedFilesystem(_, true) = effect { syncs.withLock { $0 += 1 } }
        }
        try await DrivePair.initialise(
            try await DrivePair.enrol(path).repository(DrivePair.owner))
        let drive = try await Drive.open(path: path, options: options)
        try await drive.repository(DrivePair.owner).sweep()
        #expect(syncs.withLock { $0 } == 1)
    }

    @Test(arguments: [EIO, ENOSPC, EROFS, EMFILE, EINTR], [false, true])
    func failedCallNeverLeavesWrongBytesOrLeftOvers(number: Int32, sticky: Bool) async throws {
        if number == EINTR && sticky { return }
        let path = folder.folder("a")
        try await DrivePair.initialise(
            try await DrivePair.enrol(path).repository(DrivePair.owner))
        let counting = NthCall()
        _ = try await Self.putAll(path, fault: counting.hook, seed: 0)
        for failing in 1...counting.count {
            let fault = NthCall(failing: failing, .error(number), isSticky: sticky)
            // Content of its own, so that each attempt really writes.
            let seed = UInt64(failing) + UInt64(number) << 16
            let wasDone = try await Self.putAll(path, fault: fault.hook, seed: seed)
            let drive = try await Drive.open(path: path, options: DrivePair.options())
            let backend = drive.repository(DrivePair.owner)
            try await backend.sweep()
            #expect(
                DrivePair.isSound(DrivePair.repositoryPath(path)),
                "call \(failing) failed with \(number), sticky \(sticky)")
            for (file, bytes) in Self.files(seed: seed) where wasDone {
                #expect(try await backend.read(file, range: nil, copy: 0) == bytes)
            }
            for kind in [FileKind.data, .index, .snapshot] {
                for file in try await backend.list(kind) {
                    unsafe unlink("\(DrivePair.repositoryPath(path))/\(file.name.relativePath)")
                }
            }
        }
    }

    /// Whether all was written and made durable.
    private static func putAll(
        _ path: String, fault: @escaping DriveFaultHook, seed: UInt64
    ) async throws -> Bool {
        do {
            let drive = try await Drive.open(
                path: path, options: DrivePair.options(fault: fault))
            let backend = drive.repository(DrivePair.owner)
            for (file, bytes) in files(seed: seed) { try await backend.write(file, bytes) }
            try await backend.flush()
            return true
        } catch {
            return false
        }
    }

    private static func files(seed: UInt64) -> [(FileName, [UInt8])] {
        var numbers = SeededNumbers(seed: seed)
        return [FileKind.data, .index, .snapshot].map { kind in
            let bytes = numbers.bytes(5000)
            return (DrivePair.file(kind, bytes), bytes)
        }
    }

    @Test func bytesAreDurableBeforeTheNameAndTheNameAfterTheFlush() async throws {
        let path = folder.folder("a")
        try await DrivePair.initialise(
            try await DrivePair.enrol(path).repository(DrivePair.owner))
        let calls = Mutex<[DriveCall]>([])
        let drive = try await Drive.open(
            path: path,
            options: DrivePair.options(fault: { call in
                calls.withLock { $0.append(call) }
                return nil
            }))
        let backend = drive.repository(DrivePair.owner)
        calls.withLock { $0 = [] }
        try await backend.write(DrivePair.file(.index, [1]), [1])
        let order: [DriveCall] = [
            .create, .allocate, .write, .sync, .changeMode, .close, .rename,
        ]
        #expect(calls.withLock { $0 }.filter(order.contains) == order)
        calls.withLock { $0 = [] }
        try await backend.flush()
        #expect(calls.withLock { $0 }.filter { $0 == .sync } == [.sync])
        var raw = stat()
        let stored =
            DrivePair.repositoryPath(path) + "/"
            + DrivePair.file(.index, [1]).relativePath
        #expect(unsafe lstat(stored, &raw) == 0)
        #expect(raw.st_mode & 0o7777 == 0o400)
    }

    @Test func failedSyncIsNotRepeatedOnTheSameFile() async throws {
        let path = folder.folder("a")
        try await DrivePair.initialise(
            try await DrivePair.enrol(path).repository(DrivePair.owner))
        let calls = Mutex<[DriveCall]>([])
        let drive = try await Drive.open(
            path: path,
            options: DrivePair.options(fault: { call in
                calls.withLock { calls in
                    calls.append(call)
                    return calls.filter { $0 == .sync }.count == 1 && call == .sync
                        ? .error(EIO) : nil
                }
            }))
        try await drive.repository(DrivePair.owner).write(DrivePair.file(.index, [1]), [1])
        let order = calls.withLock { $0 }.filter { [.create, .sync, .unlink].contains($0) }
        #expect(order == [.create, .sync, .unlink, .create, .sync])
    }

    @Test func errorOfCloseLeadsToANewFile() async throws {
        let path = folder.folder("a")
        try await DrivePair.initialise(
            try await DrivePair.enrol(path).repository(DrivePair.owner))
        let fault = NthCall(failing: 1, kinds: [.close])
        let creations = NthCall(kinds: [.create])
        let drive = try await Drive.open(
            path: path,
            options: DrivePair.options(fault: { creations.hook($0) ?? fault.hook($0) }))
        try await drive.repository(DrivePair.owner).write(DrivePair.file(.index, [1]), [1])
        #expect(fault.didFail && creations.count == 2)
        #expect(DrivePair.isSound(DrivePair.repositoryPath(path)))
    }

    @Test func shortAndInterruptedWritesAreContinued() async throws {
        let path = folder.folder("a")
        try await DrivePair.initialise(
            try await DrivePair.enrol(path).repository(DrivePair.owner))
        let turns = NthCall()
        let hook: DriveFaultHook = { call in
            guard call == .write || call == .read else { return nil }
            _ = turns.hook(call)
            return turns.count.isMultiple(of: 3) ? .error(EINTR) : .short(700)
        }
        let drive = try await Drive.open(path: path, options: DrivePair.options(fault: hook))
        let backend = drive.repository(DrivePair.owner)
        var numbers = SeededNumbers(seed: 7)
        let bytes = numbers.bytes(100_000)
        let file = DrivePair.file(.data, bytes)
        try await backend.write(file, bytes)
        try await backend.flush()
        #expect(try await backend.read(file, range: nil, copy: 0) == bytes)
    }
}
