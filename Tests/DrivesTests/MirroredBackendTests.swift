import BackupCore
import Drives
import Glibc
import ResticFormat
import Synchronization
import Testing

/// A drive that can be made to fail or hang at will.
final class Switch: Sendable {
    enum Mode: Sendable { case works, fails(Int32), hangs }

    private let mode = Mutex(Mode.works)
    private let hanging = Mutex(0)

    func set(_ new: Mode) { mode.withLock { $0 = new } }
    var isHanging: Bool { hanging.withLock { $0 > 0 } }

    var hook: DriveFaultHook {
        { call in
            guard call == .write || call == .allocate else { return nil }
            switch self.mode.withLock({ $0 }) {
            case .works: return nil
            case .fails(let number): return .error(number)
            case .hangs:
                self.hanging.withLock { $0 += 1 }
                while case .hangs = self.mode.withLock({ $0 }) { usleep(1000) }
                self.hanging.withLock { $0 -= 1 }
                return .error(EIO)
            }
        }
    }
}

@Suite struct MirroredBackendTests: ~Copyable {
    let folder = TestFolder()
    deinit { folder.remove() }

    private func copy(
        _ name: String, fault: DriveFaultHook? = nil, clock: ManualClock = ManualClock()
    ) async throws -> DriveBackend {
        let path = folder.folder(name)
        try await DrivePair.initialise(
            try await DrivePair.enrol(path).repository(DrivePair.owner))
        let drive = try await Drive.open(
            path: path, options: DrivePair.options(fault: fault, clock: clock))
        return drive.repository(DrivePair.owner)
    }

    private static func packs(_ count: Int, seed: UInt64) -> [(FileName, [UInt8])] {
        var numbers = SeededNumbers(seed: seed)
        return (0..<count).map { _ in
            let bytes = numbers.bytes(2000)
            return (DrivePair.file(.data, bytes), bytes)
        }
    }

    @Test func driveWhoseLockIsGoneGetsNothingMoreAndTheOtherGoesOn() async throws {
        let copies = [try await copy("a"), try await copy("b")]
        let isLocked = Mutex(true)
        copies[0].writeOnly { isLocked.withLock { $0 } }
        let mirror = MirroredBackend(copies)
        let packs = Self.packs(4, seed: 5)
        for (file, bytes) in packs[..<2] { try await mirror.write(file, bytes) }
        try await mirror.flush()
        isLocked.withLock { $0 = false }
        for (file, bytes) in packs[2...] { try await mirror.write(file, bytes) }
        try await mirror.flush()
        #expect(try await copies[0].list(.data).count == 2)
        #expect(try await copies[1].list(.data).count == 4)
        #expect(mirror.behind[copies[0].drive.id]?.code == .locked)
        // Giving up needs the lock's own files only.
        let lock = DrivePair.file(.lock, [1, 2])
        try await copies[0].write(lock, [1, 2])
        try await copies[0].remove(lock)
    }

    @Test func everyDriveGetsTheSameFiles() async throws {
        let copies = [try await copy("a"), try await copy("b")]
        let mirror = MirroredBackend(copies)
        for (file, bytes) in Self.packs(20, seed: 3) {
            try await mirror.write(file, bytes)
            // Also while it is still on its way.
            #expect(try await mirror.read(file, range: nil, copy: 1) == bytes)
            #expect(try await mirror.read(file, range: 10..<20, copy: 0) == Array(bytes[10..<20]))
        }
        try await mirror.flush()
        #expect(await mirror.receipts().map(\.state) == [.durable, .durable])
        let trees = ["a", "b"].map {
            PlainFile.tree(DrivePair.repositoryPath(folder.path + "/" + $0))
        }
        #expect(trees[0] == trees[1])
        #expect(trees[0].values.compactMap { $0 }.count == 22)
        #expect(try await mirror.list(.data).count == 20)
    }

    @Test(arguments: [EIO, ENOSPC, EROFS, ENODEV])
    func failingDriveFallsBehindAndTheOtherGoesOn(number: Int32) async throws {
        let broken = Switch()
        let copies = [try await copy("a"), try await copy("b", fault: broken.hook)]
        let mirror = MirroredBackend(copies)
        let packs = Self.packs(12, seed: 4)
        for (file, bytes) in packs.prefix(4) { try await mirror.write(file, bytes) }
        try await mirror.flush()
        broken.set(.fails(number))
        for (file, bytes) in packs.dropFirst(4) { try await mirror.write(file, bytes) }
        try await mirror.flush()
        let receipts = await mirror.receipts()
        #expect(receipts[0].state == .durable)
        guard case .behind(let error) = receipts[1].state else {
            Issue.record("the failing drive is \(receipts[1].state)")
            return
        }
        #expect(error.nativeCode == number && error.drive == copies[1].drive.id)
        #expect(try await mirror.list(.data).count == 12)
        #expect(DrivePair.isSound(DrivePair.repositoryPath(folder.path + "/b")))
    }

    @Test func withoutAnyDriveLeftTheTellingErrorIsThrown() async throws {
        let (a, b) = (Switch(), Switch())
        let mirror = MirroredBackend(
            [try await copy("a", fault: a.hook), try await copy("b", fault: b.hook)],
            behind: [DriveID(trusted: "drive-away"): BackendError(.absent, "away")])
        a.set(.fails(EIO))
        b.set(.fails(ENOSPC))
        let packs = Self.packs(1, seed: 5)
        let error = await #expect(throws: BackendError.self) {
            try await mirror.write(packs[0].0, packs[0].1)
            try await mirror.flush()
        }
        #expect(error?.code == .full)
        #expect(await mirror.receipts().count == 3)
    }

    @Test func stalledDriveFallsBehindAfterItsLimit() async throws {
        let clock = ManualClock()
        let stuck = Switch()
        let copies = [try await copy("a"), try await copy("b", fault: stuck.hook, clock: clock)]
        let mirror = MirroredBackend(copies)
        stuck.set(.hangs)
        let packs = Self.packs(10, seed: 6)
        async let writing: Void = {
            for (file, bytes) in packs { try await mirror.write(file, bytes) }
            try await mirror.flush()
        }()
        // The drive hangs and somebody waits for it: only then may the time go on.
        while !stuck.isHanging || clock.sleepers == 0 { await Task.yield() }
        clock.advance(.seconds(59))
        #expect(await mirror.receipts()[1].state == .written)
        while await mirror.receipts()[1].state == .written {
            clock.advance(.seconds(60))
            await Task.yield()
        }
        try await writing
        let receipts = await mirror.receipts()
        #expect(receipts[0].state == .durable)
        guard case .behind(let error) = receipts[1].state else {
            Issue.record("the hanging drive is \(receipts[1].state)")
            return
        }
        #expect(error.code == .io)
        #expect(try await mirror.list(.data).count == 10)
        stuck.set(.works)
    }

    @Test func queueToASlowDriveIsBounded() async throws {
        let clock = ManualClock()
        let stuck = Switch()
        let mirror = MirroredBackend(
            [try await copy("a", fault: stuck.hook, clock: clock)], queuedFiles: 3)
        stuck.set(.hangs)
        let packs = Self.packs(5, seed: 8)
        let written = Mutex(0)
        async let writing: Void = {
            for (file, bytes) in packs {
                try await mirror.write(file, bytes)
                written.withLock { $0 += 1 }
            }
        }()
        while clock.sleepers == 0 { await Task.yield() }
        #expect(written.withLock { $0 } == 3)
        stuck.set(.works)
        try await writing
        try await mirror.flush()
        #expect(try await mirror.list(.data).count == 5)
    }

    @Test func locksAreRemovedEverywhere() async throws {
        let mirror = MirroredBackend([try await copy("a"), try await copy("b")])
        let lock = DrivePair.file(.lock, [1])
        try await mirror.write(lock, [1])
        try await mirror.remove(lock)
        #expect(try await mirror.list(.lock).isEmpty)
    }

    @Test func listingIsTheUnionAndSkipsADriveThatIsGone() async throws {
        let copies = [try await copy("a"), try await copy("b")]
        for (position, pack) in Self.packs(2, seed: 9).enumerated() {
            try await copies[position].write(pack.0, pack.1)
        }
        let mirror = MirroredBackend(copies)
        #expect(try await mirror.list(.data).count == 2)
        Shell.run("mv", folder.path + "/b", folder.path + "/elsewhere")
        #expect(try await mirror.list(.data).count == 1)
        #expect(mirror.behind.keys.map { $0 } == [copies[1].drive.id])
    }

    @Test func onEveryCopyIsOnlyWhatNoDriveLacks() async throws {
        let copies = [try await copy("a"), try await copy("b")]
        let packs = Self.packs(3, seed: 10)
        for (position, pack) in packs.enumerated() {
            for copy in position == 0 ? copies : [copies[position - 1]] {
                try await copy.write(pack.0, pack.1)
            }
        }
        let mirror = MirroredBackend(copies)
        #expect(try await mirror.listOnEveryCopy(.data).map(\.name) == [packs[0].0])
        Shell.run(
            "truncate", "-s", "7",
            "\(DrivePair.repositoryPath(folder.path + "/b"))/"
                + packs[0].0.relativePath)
        #expect(try await mirror.listOnEveryCopy(.data).map(\.byteCount) == [7])
        // One that takes no part in the writing does not count.
        mirror.drop(copies[1].drive.id, because: BackendError(.locked, "a stranger is there"))
        #expect(try await mirror.listOnEveryCopy(.data).count == 2)
    }

    @Test func fullDriveFallsBehindWithItsFilesWhole() async throws {
        let mount = folder.folder("small")
        guard Shell.run("mount", "-t", "tmpfs", "-o", "size=6m", "tmpfs", mount) == 0 else {
            print("not tried: no filesystem may be mounted here")
            return
        }
        defer { Shell.run("umount", "-l", mount) }
        let copies = [try await copy("a"), try await copy("small")]
        let mirror = MirroredBackend(copies)
        var numbers = SeededNumbers(seed: 10)
        for _ in 0..<12 {
            let bytes = numbers.bytes(1 << 20)
            try await mirror.write(DrivePair.file(.data, bytes), bytes)
        }
        try await mirror.flush()
        guard case .behind(let error) = await mirror.receipts()[1].state else {
            Issue.record("the full drive is not behind")
            return
        }
        #expect(error.code == .full)
        #expect(DrivePair.isSound(DrivePair.repositoryPath(mount)))
        #expect(try await copies[0].list(.data).count == 12)
    }

    @Test func driveThatBecomesReadOnlyFallsBehind() async throws {
        let mount = folder.folder("readonly")
        guard Shell.run("mount", "-t", "tmpfs", "-o", "size=16m", "tmpfs", mount) == 0 else {
            print("not tried: no filesystem may be mounted here")
            return
        }
        defer { Shell.run("umount", "-l", mount) }
        let copies = [try await copy("a"), try await copy("readonly")]
        let mirror = MirroredBackend(copies)
        let packs = Self.packs(4, seed: 12)
        for (file, bytes) in packs.prefix(2) { try await mirror.write(file, bytes) }
        try await mirror.flush()
        #expect(Shell.run("mount", "-o", "remount,ro", mount) == 0)
        for (file, bytes) in packs.dropFirst(2) { try await mirror.write(file, bytes) }
        try await mirror.flush()
        #expect(mirror.behind.mapValues(\.code) == [copies[1].drive.id: .readOnly])
        // What it has can still be read.
        #expect(try await mirror.read(packs[0].0, range: nil, copy: 1) == packs[0].1)
        #expect(try await copies[0].list(.data).count == 4)
    }

    @Test func driveTakenOutInTheMiddleOfAFileIsAbsent() async throws {
        let path = folder.path + "/b"
        let copies = [
            try await copy("a"),
            try await copy(
                "b",
                fault: { call in
                    guard call == .rename else { return nil }
                    Shell.run("mv", path, path + "-elsewhere")
                    return .error(EIO)
                }),
        ]
        let mirror = MirroredBackend(copies)
        let packs = Self.packs(2, seed: 13)
        for (file, bytes) in packs { try await mirror.write(file, bytes) }
        try await mirror.flush()
        #expect(mirror.behind.mapValues(\.code) == [copies[1].drive.id: .absent])
    }

    @Test func unmountedDriveIsAbsentAndItsEmptyFolderStaysEmpty() async throws {
        let mount = folder.folder("mount")
        guard Shell.run("mount", "-t", "tmpfs", "-o", "size=16m", "tmpfs", mount) == 0 else {
            print("not tried: no filesystem may be mounted here")
            return
        }
        let backend = try await copy("mount")
        Shell.run("umount", "-l", mount)
        let error = await #expect(throws: BackendError.self) {
            try await backend.write(DrivePair.file(.data, [1]), [1])
        }
        #expect(error?.code == .absent)
        #expect(PlainFile.tree(mount).isEmpty)
    }
}
