import BackupCore
import Drives
import Glibc
import ResticFormat
import Synchronization
import Testing

@Suite struct FolderTargetTests: ~Copyable {
    let folder = TestFolder()
    deinit { folder.remove() }

    private var target: String { folder.path + "/target" }

    /// A source that gives `pieces` and notes that it was closed.
    private static func source(
        _ pieces: [[UInt8]], failing: RepositoryError? = nil, closed: Flag = Flag()
    ) -> ByteSource<RepositoryError> {
        let rest = Pieces(pieces)
        return ByteSource { () throws(RepositoryError) in
            if let piece = rest.next() { return piece }
            if let failing { throw failing }
            return nil
        } close: {
            closed.set()
        }
    }

    private final class Pieces: Sendable {
        private let rest: Mutex<[[UInt8]]>
        init(_ pieces: [[UInt8]]) { rest = Mutex(pieces) }
        func next() -> [UInt8]? { rest.withLock { $0.isEmpty ? nil : $0.removeFirst() } }
    }

    final class Flag: Sendable {
        private let value = Mutex(0)
        func set() { value.withLock { $0 += 1 } }
        var count: Int { value.withLock { $0 } }
    }

    private func write(
        _ path: EntryPath, _ bytes: [UInt8], to target: FolderTarget, mode: UInt32? = nil
    ) async throws(RestoreError) {
        try await target.writeFile(
            path, byteCount: UInt64(bytes.count), modified: Timestamp(seconds: 1_600_000_000),
            mode: mode, from: Self.source(bytes.isEmpty ? [] : [bytes]))
    }

    private func code(
        _ body: () async throws(RestoreError) -> Void
    ) async -> RestoreError.Code? {
        do throws(RestoreError) {
            try await body()
            return nil
        } catch {
            return error.code
        }
    }

    private func status(_ path: String) -> stat {
        var raw = stat()
        unsafe lstat(path, &raw)
        return raw
    }

    @Test func filesAndFoldersComeBackWithTheirDates() async throws {
        let restore = try await FolderTarget.open(path: target + "/made/too")
        let camera = EntryPath(text: "Internal/DCIM/Camera")
        let names: [EntryName] = [
            "IMG.jpg", "caf\u{E9}.txt", "cafe\u{301}.txt", "Case", "case", "\u{202E}gpj.exe",
            EntryName(bytes: [0x01, 0xFF, 0x0A]),
            EntryName(bytes: [UInt8](repeating: 0x61, count: 255)),
        ]
        for name in names {
            try await restore.writeFile(
                camera.appending(name), byteCount: 5,
                modified: Timestamp(seconds: 1_500_000_000, nanoseconds: 123_456_789),
                mode: 0o4755, from: Self.source([[1, 2], [3, 4, 5]]))
        }
        try await restore.finishDirectory(
            camera, modified: Timestamp(seconds: -5), mode: 0x8000_01C0)
        try await restore.finish()
        let made = PlainFile.tree(target + "/made/too")
        // Swift's strings take the composed and the decomposed é for the same key.
        #expect(made.count == 3 + names.count - 1)
        for name in ["caf\u{E9}.txt", "cafe\u{301}.txt"] {
            #expect(PlainFile.read(target + "/made/too/Internal/DCIM/Camera/" + name) != nil)
        }
        #expect(made.values.compactMap { $0 }.allSatisfy { $0 == [1, 2, 3, 4, 5] })
        let file = status(target + "/made/too/Internal/DCIM/Camera/IMG.jpg")
        #expect(file.st_mtim.tv_sec == 1_500_000_000 && file.st_mtim.tv_nsec == 123_456_789)
        #expect(file.st_mode & 0o7777 == 0o755)
        let made3 = status(target + "/made/too/Internal/DCIM/Camera")
        #expect(made3.st_mtim.tv_sec == -5 && made3.st_mode & 0o7777 == 0o700)
    }

    @Test(
        arguments: [[0x2E, 0x2E], [0x2E], [], [0x61, 0x2F, 0x62], [0x61, 0, 0x62]] as [[UInt8]])
    func impossibleNamesAreRefused(name: [UInt8]) async throws {
        let restore = try await FolderTarget.open(path: target)
        let before = PlainFile.tree(folder.path)
        for path in [
            EntryPath([EntryName(bytes: name)]), EntryPath(["x", EntryName(bytes: name)]),
            EntryPath([EntryName(bytes: name), "x"]),
        ] {
            let closed = Flag()
            let file = await code { () throws(RestoreError) in
                try await restore.writeFile(
                    path, byteCount: 1, modified: .zero, mode: nil,
                    from: Self.source([[1]], closed: closed))
            }
            #expect(file == .impossibleName)
            #expect(closed.count == 1)
            let made = await code { () throws(RestoreError) in
                try await restore.makeDirectory(path)
            }
            #expect(made == .impossibleName)
        }
        #expect(PlainFile.tree(folder.path) == before)
    }

    @Test func namesThatAreTooLongAreRefusedAlone() async throws {
        let restore = try await FolderTarget.open(path: target)
        let long = EntryName(bytes: [UInt8](repeating: 0x61, count: 256))
        let refused = await code { () throws(RestoreError) in
            try await write(EntryPath([long]), [1], to: restore)
        }
        #expect(refused == .impossibleName)
        // Deeper than any path that a single call takes.
        let name = EntryName(bytes: [UInt8](repeating: 0x62, count: 250))
        let deep = EntryPath(Array(repeating: name, count: 40))
        try await write(deep.appending("x"), [1], to: restore)
    }

    @Test func existingFilesStayUnlessOverwritingWasAsked() async throws {
        let path = EntryPath(text: "a/b")
        try await write(path, [1], to: try await FolderTarget.open(path: target))
        let again = try await FolderTarget.open(path: target)
        #expect(
            await code { () throws(RestoreError) in try await write(path, [2], to: again) }
                == .exists)
        #expect(PlainFile.read(target + "/a/b") == [1])
        let over = try await FolderTarget.open(path: target, overwrite: true)
        try await write(path, [3], to: over)
        #expect(PlainFile.read(target + "/a/b") == [3])
        // A folder is never replaced by a file, nor a file by a folder.
        #expect(
            await code { () throws(RestoreError) in
                try await write(EntryPath(text: "a"), [2], to: over)
            } == .exists)
        #expect(
            await code { () throws(RestoreError) in try await over.makeDirectory(path) } == .exists)
        #expect(PlainFile.tree(target).keys.sorted() == ["/a", "/a/b"])
    }

    @Test(arguments: [false, true])
    func twoEqualNamesAreNeverOneFile(overwrite: Bool) async throws {
        let restore = try await FolderTarget.open(path: target, overwrite: overwrite)
        let path = EntryPath(text: "a/b")
        try await write(path, [1], to: restore)
        #expect(
            await code { () throws(RestoreError) in try await write(path, [2], to: restore) }
                == .exists)
        #expect(PlainFile.read(target + "/a/b") == [1])
    }

    /// Files are written on two threads: the look at a name and the taking of it are one step.
    @Test func twoEqualNamesAtOnceAreNeverOneFile() async throws {
        let restore = try await FolderTarget.open(path: target, overwrite: true) { call in
            if call == .rename { usleep(50_000) }
            return nil
        }
        let path = EntryPath(text: "a/b")
        let codes = await withTaskGroup(of: RestoreError.Code?.self) { group in
            for byte in [UInt8(1), 2] {
                group.addTask {
                    do throws(RestoreError) {
                        try await restore.writeFile(
                            path, byteCount: 1, modified: .zero, mode: nil,
                            from: Self.source([[byte]]))
                        return nil
                    } catch {
                        return error.code
                    }
                }
            }
            return await group.reduce(into: []) { $0.append($1) }
        }
        #expect(codes.count { $0 == nil } == 1)
        #expect(codes.contains(.exists))
        #expect(PlainFile.tree(target).keys.sorted() == ["/a", "/a/b"])
    }

    @Test func twoFoldersThatAreOneOnTheTargetAreToldApart() async throws {
        // As on a filesystem that ignores case: two names, one folder.
        let (upper, lower) = (folder.folder("target") + "/DCIM", target + "/dcim")
        unsafe mkdir(upper, 0o700)
        unsafe mkdir(lower, 0o700)
        guard Shell.run("mount", "--bind", upper, lower) == 0 else {
            print("not tried: nothing may be mounted here")
            return
        }
        defer { Shell.run("umount", "-l", lower) }
        let restore = try await FolderTarget.open(path: target, overwrite: true)
        try await write(EntryPath(text: "DCIM/a"), [1], to: restore)
        #expect(
            await code { () throws(RestoreError) in
                try await write(EntryPath(text: "dcim/b"), [2], to: restore)
            } == .exists)
        #expect(PlainFile.tree(upper) == ["/a": [1]])
    }

    @Test(arguments: [false, true])
    func plantedLinksAreNeverFollowed(overwrite: Bool) async throws {
        let outside = folder.folder("outside")
        PlainFile.write(outside + "/kept", [7])
        _ = folder.folder("target")
        unsafe symlink(outside, target + "/DCIM")
        unsafe symlink(outside + "/kept", target + "/file")
        unsafe symlink(outside + "/new", target + "/dangling")
        let before = PlainFile.tree(outside)
        let restore = try await FolderTarget.open(path: target, overwrite: overwrite)
        for path in ["DCIM/x", "DCIM/kept"] {
            #expect(
                await code { () throws(RestoreError) in
                    try await write(EntryPath(text: path), [1], to: restore)
                } == .exists)
        }
        #expect(
            await code { () throws(RestoreError) in
                try await restore.makeDirectory(EntryPath(text: "DCIM"))
            } == .exists)
        #expect(
            await code { () throws(RestoreError) in
                try await restore.finishDirectory(
                    EntryPath(text: "DCIM"), modified: .zero, mode: 0o777)
            } == .exists)
        for path in ["file", "dangling"] {
            let result = await code { () throws(RestoreError) in
                try await write(EntryPath(text: path), [1], to: restore)
            }
            #expect(result == (overwrite ? nil : .exists))
            if overwrite { #expect(PlainFile.read("\(target)/\(path)") == [1]) }
        }
        #expect(PlainFile.tree(outside) == before)
    }

    @Test func failingOrWrongSourceLeavesNothing() async throws {
        let restore = try await FolderTarget.open(path: target)
        let failure = RepositoryError(.damaged, "a blob is damaged")
        for (pieces, failing) in [
            ([[1, 2]], failure), ([[1, 2]], nil), ([[1, 2], [3, 4]], nil),
        ] as [([[UInt8]], RepositoryError?)] {
            let closed = Flag()
            let result = await code { () throws(RestoreError) in
                try await restore.writeFile(
                    EntryPath(text: "x"), byteCount: 3, modified: .zero, mode: nil,
                    from: Self.source(pieces, failing: failing, closed: closed))
            }
            #expect(result == .source && closed.count == 1)
        }
        #expect(PlainFile.tree(target).isEmpty)
    }

    @Test func fullTargetEndsTheRestore() async throws {
        let mount = folder.folder("target")
        guard Shell.run("mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", mount) == 0 else {
            print("not tried: no filesystem may be mounted here")
            return
        }
        defer { Shell.run("umount", "-l", mount) }
        let restore = try await FolderTarget.open(path: target)
        var numbers = SeededNumbers(seed: 1)
        let bytes = numbers.bytes(2 << 20)
        let result = await code { () throws(RestoreError) in
            try await write(EntryPath(text: "x"), bytes, to: restore)
        }
        #expect(result == .full)
        #expect(PlainFile.tree(target).isEmpty)
    }

    @Test func failedCallAnywhereLeavesWholeFilesOnly() async throws {
        let counting = NthCall()
        try await restoreSome(to: target + "/count", fault: counting.hook)
        for failing in 1...counting.count {
            let path = "\(target)/\(failing)"
            let fault = NthCall(failing: failing, .error(failing % 2 == 0 ? EIO : ENOSPC))
            let result = await code { () throws(RestoreError) in
                try await restoreSome(to: path, fault: fault.hook)
            }
            let files = PlainFile.tree(path).values.compactMap { $0 }
            let temporary = PlainFile.tree(path).keys.filter { $0.contains("holdfast-tmp") }
            // A temporary file may only stay when removing it was what failed.
            #expect(files.allSatisfy { $0 == [1, 2, 3] } && temporary.isEmpty)
            #expect((result != nil) == fault.didFail, "call \(failing)")
        }
    }

    private func restoreSome(
        to path: String, fault: @escaping DriveFaultHook
    ) async throws(RestoreError) {
        let restore = try await FolderTarget.open(path: path, fault: fault)
        try await restore.makeDirectory(EntryPath(text: "a"))
        try await write(EntryPath(text: "a/x"), [1, 2, 3], to: restore)
        try await write(EntryPath(text: "b/y"), [1, 2, 3], to: restore, mode: 0o644)
        try await restore.finishDirectory(EntryPath(text: "a"), modified: .zero, mode: 0o700)
        try await restore.finish()
    }

    @Test func existingFileAsTargetIsUnusable() async throws {
        PlainFile.write(folder.path + "/file", [1])
        await #expect(throws: RestoreError.self) {
            try await FolderTarget.open(path: folder.path + "/file")
        }
        await #expect(throws: RestoreError.self) {
            try await FolderTarget.open(path: folder.path + "/file/below")
        }
    }
}
