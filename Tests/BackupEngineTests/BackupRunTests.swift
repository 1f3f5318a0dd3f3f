import BackupCore
import BackupEngine
import TestKit
import Testing

@Suite struct BackupRunTests {
    @Test func aFirstBackupHoldsEveryFile() async throws {
        let world = World.filled(files: 40)
        let report = await world.backup()
        #expect(report.exitCode == .done)
        #expect(report.files.new == 40)
        #expect(try await world.newestFiles() == world.phone.allFiles())
        let bytes = world.phone.allFiles().values.reduce(0) { $0 + $1.count }
        #expect(report.bytesRead == UInt64(bytes))
        #expect(report.verdict(enrolledDrives: 2) == .safe)
        #expect(report.verdict(enrolledDrives: 3) == .oneDrive)
        let snapshot = try #require(report.snapshots.first?.snapshot)
        #expect(snapshot.phone?.rawValue == "android-1")
        #expect(snapshot.capture == .media)
        #expect(!snapshot.isPartial)
        #expect(snapshot.draft.paths == ["/android-1/media"])
        #expect(snapshot.draft.parent == nil)
    }

    @Test func anUnchangedPhoneIsNotReadAndKeepsItsTree() async throws {
        let world = World.filled(files: 30)
        let first = await world.backup()
        let before = await world.repository.statistics()
        _ = world.phone.takeOpened()
        let second = await world.backup()
        #expect(second.exitCode == .done)
        #expect(world.phone.takeOpened().isEmpty)
        #expect(second.bytesRead == 0)
        #expect(second.files.unchanged == 30)
        #expect(second.snapshots.first?.snapshot.tree == first.snapshots.first?.snapshot.tree)
        #expect(second.snapshots.first?.snapshot.draft.parent == first.snapshots.first?.snapshot.id)
        #expect(await world.repository.statistics() == before)
    }

    @Test func photosThatAreOnlyInTheCloudAreSaidAndAskedForOnlyWhenSomethingChanged() async throws
    {
        let world = World.filled(files: 5)
        world.phone.setOnlyInCloud(12)
        let first = await world.backup()
        #expect(first.onlyInCloud == 12)
        #expect(
            first.messages.last
                == "12 photos and videos exist only in iCloud and cannot be copied.")
        #expect(first.exitCode == .done)
        world.phone.setOnlyInCloud(99)
        let second = await world.backup()
        #expect(second.onlyInCloud == 12)
        #expect(second.snapshots.first?.snapshot.tree == first.snapshots.first?.snapshot.tree)
        #expect(world.phone.cloudQuestions == 1)
        world.phone.put("Internal/DCIM/Camera/new.jpg", [1, 2, 3])
        #expect(await world.backup().onlyInCloud == 99)
    }

    @Test func oneNewPhotoIsTheOnlyOneRead() async throws {
        let world = World.filled(files: 30)
        await world.backup()
        _ = world.phone.takeOpened()
        world.phone.put("Internal/DCIM/Camera/new.jpg", [1, 2, 3])
        let report = await world.backup()
        #expect(world.phone.takeOpened() == ["/Internal/DCIM/Camera/new.jpg"])
        #expect(report.files.new == 1)
        #expect(report.files.unchanged == 30)
        #expect(try await world.newestFiles() == world.phone.allFiles())
    }

    @Test func changedAndRemovedFilesAreCounted() async throws {
        let world = World.filled(files: 30)
        await world.backup()
        world.phone.put("Internal/Download/file2.jpg", [9], modified: 1_650_000_000)
        world.phone.remove("Internal/DCIM/Camera/file0.jpg")
        let report = await world.backup()
        #expect(report.exitCode == .done)
        #expect(report.files.changed == 1)
        #expect(report.files.removed == 1)
        #expect(report.files.unchanged == 28)
        #expect(try await world.newestFiles() == world.phone.allFiles())
    }

    @Test(arguments: [3600, -7200, 26 * 3600])
    func aWholeHourShiftOfAllDatesIsNoChange(shift: Int64) async throws {
        let world = World.filled(files: 12)
        let first = await world.backup()
        _ = world.phone.takeOpened()
        world.phone.change { storages in
            for index in storages.indices { Self.shift(&storages[index].entries, by: shift) }
        }
        let second = await world.backup()
        #expect(world.phone.takeOpened().isEmpty)
        #expect(second.files.unchanged == 12)
        #expect(second.snapshots.first?.snapshot.tree == first.snapshots.first?.snapshot.tree)
    }

    @Test func aShiftThatIsNoWholeHourIsAChange() async throws {
        let world = World.filled(files: 4)
        await world.backup()
        world.phone.change { Self.shift(&$0[0].entries, by: 1801) }
        let report = await world.backup()
        #expect(report.files.changed == 4)
    }

    @Test func rereadingReadsAllAndFindsSilentChanges() async throws {
        let world = World.filled(files: 10)
        let first = await world.backup()
        let same = await world.backup { $0.readsAll = true }
        #expect(same.bytesRead == first.bytesRead)
        #expect(same.files.unchanged == 10)
        #expect(same.snapshots.first?.snapshot.tree == first.snapshots.first?.snapshot.tree)
        world.phone.change { storages in
            Self.edit(&storages[0].entries) { content in content.map { $0 ^ 0xFF } }
        }
        #expect(await world.backup().files.unchanged == 10)
        #expect(await world.backup { $0.readsAll = true }.files.changed == 10)
        #expect(try await world.newestFiles() == world.phone.allFiles())
    }

    @Test func aFileWhoseBlobIsLostIsReadAgain() async throws {
        let world = World.filled(files: 8)
        await world.backup()
        let lost = try #require(try await world.node("Internal/Download/file2.jpg"))
        await world.repository.lose(try #require(lost.content.first))
        _ = world.phone.takeOpened()
        let report = await world.backup()
        #expect(world.phone.takeOpened() == ["/Internal/Download/file2.jpg"])
        #expect(report.exitCode == .done)
        #expect(try await world.newestFiles() == world.phone.allFiles())
    }

    @Test func aLostParentTreeOnlyCostsReading() async throws {
        let world = World.filled(files: 8)
        await world.backup()
        let folder = try #require(try await world.node("Internal/DCIM"))
        await world.repository.lose(tree: try #require(folder.subtree))
        let report = await world.backup()
        #expect(report.exitCode == .done)
        #expect(world.events.notices.contains("parent_damaged"))
        #expect(try await world.newestFiles() == world.phone.allFiles())
    }

    @Test func theCameraIsReadFirst() async throws {
        let world = World()
        for folder in ["Alarms", "Download", "Movies", "DCIM", "Zoo", "Pictures", "Documents"] {
            world.phone.put("Internal/\(folder)/x", [1])
        }
        await world.backup()
        let order = world.phone.takeOpened().compactMap { EntryPath(text: $0).names[1].description }
        #expect(
            order == ["DCIM", "Pictures", "Movies", "Documents", "Download", "Alarms", "Zoo"])
    }

    @Test func trashedAndPendingFilesStayOut() async throws {
        let world = World()
        world.phone.put("Internal/DCIM/.trashed-17-a.jpg", [1])
        world.phone.put("Internal/DCIM/.pending-17-b.jpg", [1])
        world.phone.put("Internal/DCIM/.nomedia", [])
        let report = await world.backup()
        #expect(report.exitCode == .done)
        #expect(report.files.skipped == 0)
        #expect(try await world.newestFiles() == ["/Internal/DCIM/.nomedia": []])
        #expect(try await world.newestNotes().contains("\".trashed-*\""))
    }

    @Test func aClockThatFellBackStillGivesNewerSnapshots() async throws {
        let world = World.filled(files: 3)
        await world.backup()
        world.clock.set(.zero)
        await world.backup()
        let times = try await world.repository.snapshots().map(\.time.seconds)
        #expect(times[1] == times[0] + 1)
    }

    @Test func progressNamesTotalsAndReachesThem() async throws {
        let world = World.filled(files: 9)
        let report = await world.backup()
        let reading = world.events.progress.filter { $0.phase == .reading }
        #expect(reading.last?.filesDone == 9)
        #expect(reading.last?.filesTotal == 9)
        #expect(reading.last?.bytesDone == report.bytesRead)
        #expect(reading.last?.bytesTotal == report.bytesRead)
        #expect(reading.count <= 9 + 1 + Int(report.bytesRead >> 20))
    }

    private static func shift(_ entries: inout [ScriptedEntry], by seconds: Int64) {
        for index in entries.indices {
            entries[index].modified = Timestamp(
                seconds: entries[index].modified.seconds + seconds)
            if case .folder(var children) = entries[index].kind {
                shift(&children, by: seconds)
                entries[index].children = children
            }
        }
    }

    private static func edit(_ entries: inout [ScriptedEntry], _ change: ([UInt8]) -> [UInt8]) {
        for index in entries.indices {
            switch entries[index].kind {
            case .file(let content): entries[index].kind = .file(change(content))
            case .folder(var children):
                edit(&children, change)
                entries[index].children = children
            case .loop: break
            }
        }
    }
}
