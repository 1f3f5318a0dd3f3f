import BackupCore
import BackupEngine
import Synchronization
import TestKit
import Testing

@Suite struct RestoreRunTests {
    private func restore(
        _ world: World, _ target: any RestoreTarget, paths: [String] = [], tree: ContentID? = nil
    ) async throws -> RestoreReport {
        let newest = try await world.repository.snapshots().last?.tree
        let request = RestoreRequest(
            run: RunID(trusted: "r"), tree: try #require(tree ?? newest),
            paths: paths.map { EntryPath(text: $0) })
        return await RestoreRun(
            request, repository: world.repository, target: target, clock: world.clock,
            events: world.events.sink
        ).run()
    }

    @Test func everythingComesBackWithItsDates() async throws {
        let world = World.filled(files: 25)
        await world.backup()
        let target = RecordingTarget()
        let report = try await restore(world, target)
        #expect(report.exitCode == .done)
        var files = await target.files
        #expect(files.removeValue(forKey: "/holdfast.json") != nil)
        #expect(files.mapValues(\.bytes) == world.phone.allFiles())
        let node = try #require(try await world.node("Internal/DCIM/Camera/file0.jpg"))
        #expect(files["/Internal/DCIM/Camera/file0.jpg"]?.modified == node.modified)
        let folder = try #require(try await world.node("Internal/DCIM"))
        #expect(await target.directories["/Internal/DCIM"] == .some(folder.modified))
        #expect(report.files == 26)
        let last = try #require(world.events.progress.last)
        #expect(last.filesDone == 26)
        #expect(last.filesTotal == 26)
        #expect(last.bytesDone == report.bytes)
    }

    @Test func onlyTheChosenPathsComeBackUnderTheirFullPaths() async throws {
        let world = World.filled(files: 20)
        await world.backup()
        let target = RecordingTarget()
        let report = try await restore(
            world, target,
            paths: ["Internal/Music", "Internal/Music/Own", "Internal/Download/file2.jpg"])
        #expect(report.exitCode == .done)
        let expected = world.phone.allFiles().filter {
            $0.key.hasPrefix("/Internal/Music/") || $0.key == "/Internal/Download/file2.jpg"
        }
        #expect(await target.files.mapValues(\.bytes) == expected)
        #expect(report.files == expected.count)
    }

    @Test func foldersAboveTheChosenOnesGetTheirDates() async throws {
        let world = World.filled(files: 20)
        await world.backup()
        let target = RecordingTarget()
        _ = try await restore(world, target, paths: ["Internal/Music/Own"])
        for path in ["Internal", "Internal/Music"] {
            let node = try #require(try await world.node(path))
            #expect(await target.directories["/" + path] == .some(node.modified))
        }
    }

    @Test func aChosenPathCannotLeadOutOfTheTarget() async throws {
        let world = World()
        let leaf = try await world.repository.save(SnapshotRepositoryConformance.source(of: [6]))
        let inner = try await world.repository.save(tree: [
            .file("x", modified: .zero, byteCount: 1, content: leaf.content)
        ])
        let tree = try await world.repository.save(tree: [
            .directory("..", modified: .zero, subtree: inner)
        ])
        let target = RecordingTarget()
        let report = try await restore(world, target, paths: ["../x"], tree: tree)
        #expect(report.exitCode == .notAllRestored)
        #expect(await target.paths.isEmpty)
    }

    @Test(arguments: ["nowhere", "Internal/DCIM/Cam", "Internal/Download/file2.jpg/x"])
    func aPathThatIsNotThereWritesNothing(path: String) async throws {
        let world = World.filled(files: 20)
        await world.backup()
        let target = RecordingTarget()
        let report = try await restore(world, target, paths: ["Internal/Music", path])
        #expect(report.exitCode == .notFound)
        #expect(await target.paths.isEmpty)
    }

    @Test func oneLostBlobCostsOneFile() async throws {
        let world = World.filled(files: 12)
        await world.backup()
        let node = try #require(try await world.node("Internal/Download/file2.jpg"))
        await world.repository.lose(try #require(node.content.last))
        let target = RecordingTarget()
        let report = try await restore(world, target)
        #expect(report.exitCode == .notAllRestored)
        #expect(report.failed.map { $0.path.description } == ["/Internal/Download/file2.jpg"])
        #expect(await target.files.count == 12)
    }

    @Test func aLostTreeCostsItsFolder() async throws {
        let world = World.filled(files: 12)
        await world.backup()
        let node = try #require(try await world.node("Internal/DCIM/Camera"))
        await world.repository.lose(tree: try #require(node.subtree))
        let target = RecordingTarget()
        let report = try await restore(world, target)
        #expect(report.exitCode == .notAllRestored)
        #expect(report.failed.map { $0.path.description } == ["/Internal/DCIM/Camera"])
        #expect(await target.files.count == 10)
    }

    @Test func whatTheTargetRefusesIsNamedAndTheRestIsRestored() async throws {
        let world = World.filled(files: 12)
        await world.backup()
        let target = RecordingTarget(failing: [
            "/Internal/Download": RestoreError(.impossibleName, "It cannot be made"),
            "/Internal/DCIM/Camera/file0.jpg": RestoreError(.exists, "It exists already"),
        ])
        let report = try await restore(world, target)
        #expect(report.exitCode == .notAllRestored)
        #expect(report.failedCount == 2)
        #expect(await target.files.count == 13 - 3 - 1)
    }

    @Test(arguments: [RestoreError.Code.full, .unusable])
    func aTargetThatIsFullEndsTheRestore(code: RestoreError.Code) async throws {
        let world = World.filled(files: 12)
        await world.backup()
        let target = RecordingTarget(failing: [
            "/Internal/DCIM/Camera/file4.jpg": RestoreError(code, "No space is left")
        ])
        let report = try await restore(world, target)
        #expect(report.exitCode == .notAllRestored)
        #expect(report.messages.first?.contains("No space is left") == true)
        #expect(report.files == 1)
        // Only what was on its way together with the file that failed may still have come.
        #expect(await target.files.count <= 1 + 3)
    }

    @Test func hostileNamesNeverReachTheTarget() async throws {
        let world = World()
        let leaf = try await world.repository.save(
            SnapshotRepositoryConformance.source(of: [6]))
        let names = ["../x", "a/b", "..", ".", "", "nul\0", "good"].map { EntryName($0) }
        let nodes = names.map {
            TreeNode.file($0, modified: .zero, byteCount: 1, content: leaf.content)
        }
        var link = nodes[0]
        link.name = "link"
        link.kind = .symbolicLink(target: Array("/etc/passwd".utf8))
        var pipe = link
        pipe.name = "pipe"
        pipe.kind = .other("fifo\u{1B}")
        let inner = try await world.repository.save(tree: nodes + [link, pipe])
        let tree = try await world.repository.save(tree: [
            .directory("..", modified: .zero, subtree: inner),
            .directory("ok", modified: .zero, subtree: inner),
        ])
        let target = RecordingTarget()
        let report = try await restore(world, target, tree: tree)
        #expect(report.exitCode == .notAllRestored)
        #expect(await target.files.keys.sorted() == ["/ok/good"])
        let asked = await target.paths
        #expect(asked.allSatisfy { $0.names.allSatisfy { $0.isTreeName } })
        #expect(report.failedCount == 1 + 6 + 2)
        #expect(report.failed.allSatisfy { !$0.reason.contains("\u{1B}") })
    }

    @Test func aCancelledRestoreEndsAtOnce() async throws {
        let world = World.filled(files: 12)
        await world.backup()
        let tree = try #require(try await world.repository.snapshots().last?.tree)
        let target = RecordingTarget()
        let run = RestoreRun(
            RestoreRequest(run: RunID(trusted: "r"), tree: tree), repository: world.repository,
            target: target, clock: world.clock, events: world.events.sink)
        let task = Task { await run.run() }
        task.cancel()
        #expect(await task.value.exitCode == .interrupted)
        #expect(await target.files.count < 13)
    }

    @Test func aWalkShowsFoldersBeforeTheirEntries() async throws {
        let world = World.filled(files: 8)
        await world.backup()
        let tree = try #require(try await world.repository.snapshots().last?.tree)
        var paths: [String] = []
        for try await element in TreeWalk(tree, in: world.repository) {
            paths.append(element.path.description)
        }
        #expect(paths.count == 8 + 9 + 1)
        for path in paths {
            let parent = EntryPath(text: path).parent
            guard parent != .root else { continue }
            let before = paths.prefix { $0 != path }
            #expect(before.contains(parent.description))
        }
    }

    @Test func aTreeTooDeepIsAnErrorAndNoCrash() async throws {
        let world = World()
        var tree = try await world.repository.save(tree: [])
        for _ in 0...TreeWalk.depthLimit {
            tree = try await world.repository.save(tree: [
                .directory("d", modified: .zero, subtree: tree)
            ])
        }
        let walk = TreeWalk(tree, in: world.repository)
        await #expect(throws: RepositoryError.self) { for try await _ in walk {} }
        let report = try await restore(world, RecordingTarget(), tree: tree)
        #expect(report.exitCode == .notAllRestored)
    }
}
