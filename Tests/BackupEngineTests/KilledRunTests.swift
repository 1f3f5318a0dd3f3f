import BackupCore
import TestKit
import Testing

@testable import BackupEngine

/// Runs that end without a snapshot, as a kill or a power cut ends them, and the runs after them.
///
/// A repository that fails in the middle stands for the kill: nothing of the run is saved but what
/// checkpoints and the list hold.
@Suite struct KilledRunTests {
    private let list = MemoryReadList()

    /// A run with a checkpoint after every file, which saves `saves` things before it ends.
    @discardableResult
    private func run(
        _ number: Int, of world: World, endingAfter saves: Int? = nil,
        interval: Duration = .zero, _ change: (inout BackupRequest) -> Void = { _ in }
    ) async -> BackupReport {
        var request = World.request(number)
        request.checkpointInterval = interval
        change(&request)
        list.begin(request.run)
        await world.repository.fail(after: saves)
        var services = world.services()
        services.readList = list
        return await BackupRun(request, services: services, repository: world.repository)
            .run(world.phone.session())
    }

    private func snapshots(_ world: World) async throws -> [Snapshot] {
        try await world.repository.snapshots()
    }

    @Test(arguments: 0...14) func nextRunReadsOnlyWhatWasNotListed(saves: Int) async throws {
        let world = World.filled(files: 12)
        let killed = await run(1, of: world, endingAfter: saves)
        #expect(killed.exitCode == .noDrive && killed.snapshots.isEmpty)
        let listed = list.paths
        _ = world.phone.takeOpened()

        let next = await run(2, of: world)
        #expect(next.exitCode == .done, "\(next.messages)")
        let opened = world.phone.takeOpened()
        #expect(opened.count == 12 - listed.count, "\(opened)")
        #expect(try await world.newestFiles() == world.phone.allFiles())
        #expect(list.paths.isEmpty)
        let all = try await snapshots(world)
        guard !listed.isEmpty else {
            #expect(all.count == 1)
            return
        }
        #expect(all.map(\.isPartial) == [true, false])
        #expect(all[0].run == RunID(trusted: "run-1") && all[1].run == RunID(trusted: "run-2"))
        #expect(all[0].time < all[1].time)
        var kept = try await world.repository.files(of: all[0].tree)
        let notes = kept.removeValue(forKey: "/holdfast.json") ?? []
        #expect(Set(kept.keys) == listed)
        #expect(kept.allSatisfy { world.phone.allFiles()[$0.key] == $0.value })
        #expect(SnapshotNotes(decoding: notes)?.storages.map(\.folder) == ["Internal"])
        #expect(world.events.notices.contains("run_continued"))
    }

    @Test func killOfARunWithAParentLosesNothingOfTheParent() async throws {
        let world = World.filled(files: 8)
        await run(1, of: world)
        for index in 0..<6 { world.phone.put("Internal/New/\(index).jpg", [UInt8(index), 1, 2]) }
        // Eight folders that are as they were come first.
        await run(2, of: world, endingAfter: 12)
        let listed = list.paths
        #expect((1...5).contains(listed.count))
        _ = world.phone.takeOpened()
        let next = await run(3, of: world)
        #expect(next.exitCode == .done)
        #expect(world.phone.takeOpened().count == 6 - listed.count)
        #expect(try await world.newestFiles() == world.phone.allFiles())
        let all = try await snapshots(world)
        #expect(all.map(\.isPartial) == [false, true, false])
        #expect(all[1].draft.parent == all[0].id)
    }

    @Test func killedTwiceTheSecondListStandsOnTheFirst() async throws {
        let world = World.filled(files: 12)
        await run(1, of: world, endingAfter: 4)
        let first = list.paths
        // The conversion saves trees and the notes before the reading begins.
        await run(2, of: world, endingAfter: 12)
        let second = list.paths
        #expect(!first.isEmpty && !second.isEmpty && first.isDisjoint(with: second))
        _ = world.phone.takeOpened()
        let next = await run(3, of: world)
        #expect(next.exitCode == .done)
        #expect(world.phone.takeOpened().count == 12 - first.count - second.count)
        let partial = try await snapshots(world)[1]
        #expect(partial.isPartial && partial.run == RunID(trusted: "run-2"))
        let kept = Set(try await world.repository.files(of: partial.tree).keys)
        #expect(kept.subtracting(["/holdfast.json"]) == first.union(second))
        #expect(try await world.newestFiles() == world.phone.allFiles())
    }

    @Test func fileThatChangedSinceItWasListedIsReadAgain() async throws {
        let world = World.filled(files: 12)
        await run(1, of: world, endingAfter: 8)
        let changed = try #require(list.paths.min())
        world.phone.put(String(changed.dropFirst()), [7, 7, 7], modified: 1_650_000_000)
        _ = world.phone.takeOpened()
        await run(2, of: world)
        #expect(world.phone.takeOpened().contains { changed.hasSuffix($0) })
        #expect(try await world.newestFiles() == world.phone.allFiles())
    }

    @Test func listedFileWhoseContentIsGoneIsReadAgain() async throws {
        let world = World.filled(files: 12)
        await run(1, of: world, endingAfter: 8)
        let lost = try #require(list.paths.min())
        let content = try #require(world.phone.allFiles()[lost])
        await world.repository.lose(testHash(Array(content.prefix(MemoryRepository.cut))))
        _ = world.phone.takeOpened()
        let next = await run(2, of: world)
        #expect(next.exitCode == .done)
        let partial = try await snapshots(world)[0]
        #expect(partial.isPartial)
        #expect(try await world.repository.files(of: partial.tree)[lost] == nil)
        #expect(try await world.newestFiles() == world.phone.allFiles())
    }

    @Test(arguments: 0...12) func crashWhileAListBecomesASnapshotIsHarmless(
        saves: Int
    ) async throws {
        let world = World.filled(files: 12)
        await run(1, of: world, endingAfter: 8)
        let listed = list.paths
        // The first few saves are the partial snapshot's trees, notes and commit.
        await run(2, of: world, endingAfter: saves)
        _ = world.phone.takeOpened()
        let again = list.paths.subtracting(listed)
        let next = await run(3, of: world)
        #expect(next.exitCode == .done)
        #expect(world.phone.takeOpened().count == 12 - listed.count - again.count)
        #expect(try await world.newestFiles() == world.phone.allFiles())
        let ofFirst = try await snapshots(world).filter { $0.run == RunID(trusted: "run-1") }
        #expect(ofFirst.count == 1)
    }

    @Test func listThatOutlivedItsSnapshotMakesNoSecondOne() async throws {
        let world = World.filled(files: 6)
        list.setForgets(false)
        await run(1, of: world)
        #expect(!list.paths.isEmpty)
        list.setForgets(true)
        await run(2, of: world)
        #expect(try await snapshots(world).map(\.isPartial) == [false, false])
        #expect(list.paths.isEmpty)
    }

    @Test func damagedPartialBeneathAListIsLeftOut() async throws {
        let world = World.filled(files: 12)
        await run(1, of: world, endingAfter: 4)
        await run(2, of: world, endingAfter: 12)
        let partial = try await snapshots(world)[0]
        await world.repository.lose(tree: partial.tree)
        let listed = list.paths
        _ = world.phone.takeOpened()
        let next = await run(3, of: world)
        #expect(next.exitCode == .done)
        #expect(world.phone.takeOpened().count == 12 - listed.count)
        #expect(try await world.newestFiles() == world.phone.allFiles())
    }

    @Test func fileWhereAFolderIsListedNowIsNoObstacle() async throws {
        let world = World()
        world.phone.put("Internal/A/thing", [1])
        world.phone.put("Internal/B/rest", [2])
        await run(1, of: world, endingAfter: 2)
        #expect(list.paths == ["/Internal/A/thing"])
        world.phone.remove("Internal/A/thing")
        world.phone.put("Internal/A/thing/inside", [3])
        world.phone.put("Internal/A/thing/second", [4])
        await run(2, of: world, endingAfter: 7)
        let next = await run(3, of: world)
        #expect(next.exitCode == .done, "\(next.messages)")
        #expect(try await world.newestFiles() == world.phone.allFiles())
    }

    @Test func largeFileDoesNotHoldBackTheListOfThoseBeforeIt() async throws {
        let world = World()
        for index in 0..<4 { world.phone.put("Internal/DCIM/\(index).jpg", [UInt8(index)]) }
        world.phone.put("Internal/DCIM/9.mp4", [UInt8](repeating: 9, count: 200_000))
        let clock = world.clock
        // Two listings and four photos, then the film; its reading outlasts the interval.
        world.phone.onCall { if $0 == 7 { clock.advance(by: .seconds(301)) } }
        await run(1, of: world, endingAfter: 4, interval: .seconds(300))
        #expect(list.paths.count == 4)
    }

    @Test func nothingOfAPhoneThatBreaksTheRulesIsListedAfterwards() async throws {
        let world = World.filled(files: 12)
        world.phone.faults.breaks = (
            15, DeviceError(.protocolViolation, "The phone answered with a frame of 4 GiB")
        )
        let report = await run(1, of: world)
        #expect(report.exitCode == .phone)
        #expect(list.paths.isEmpty)
    }

    @Test func checkpointsComeAtTheIntervalAndWhenMuchWaits() async throws {
        let world = World()
        var services = world.services()
        services.readList = list
        let checkpoints = Checkpoints(
            CaptureParts(
                request: World.request(), services: services, repository: world.repository,
                capture: .media))
        await checkpoints.begin(
            notes: SnapshotNotes(
                PhoneAttributes(
                    identity: "i", name: "n", manufacturer: "m", model: "m", osVersion: "1",
                    batteryPercent: nil, notes: []), family: .android, capture: .media))
        func file(_ number: Int) -> TreeNode {
            .file(EntryName("\(number)"), modified: .zero, byteCount: 0, content: [])
        }
        await checkpoints.add(file(0), in: EntryPath(text: "/Internal"))
        world.clock.advance(by: .seconds(299))
        try await checkpoints.saveWhenDue()
        #expect(list.paths.isEmpty)
        world.clock.advance(by: .seconds(1))
        try await checkpoints.saveWhenDue()
        #expect(list.paths == ["/Internal/0"])
        for number in 1...20_000 { await checkpoints.add(file(number), in: EntryPath(text: "/X")) }
        try await checkpoints.saveWhenDue()
        #expect(list.paths.count == 20_001)
    }
}
