import BackupCore
import BackupEngine
import TestKit
import Testing

/// Storages keep their folders although phones rename, renumber and lose them.
@Suite struct StorageTests {
    @Test func aRenamedStorageIsKnownByItsVolumeIdentifier() async throws {
        let world = World([ScriptedStorage("Internal shared storage", volume: "v1")])
        world.phone.put("Internal shared storage/DCIM/a.jpg", [1])
        await world.backup()
        _ = world.phone.takeOpened()
        world.phone.change { storages in
            storages[0].name = "Interner Speicher"
            storages[0].totalBytes = 1
        }
        let report = await world.backup()
        #expect(report.exitCode == .done)
        #expect(world.phone.takeOpened().isEmpty)
        #expect(try await world.newestFiles() == ["/Internal shared storage/DCIM/a.jpg": [1]])
        #expect(try await world.newestNotes().contains("Interner Speicher"))
    }

    @Test func aRenamedStorageIsKnownByItsTypeAndCapacity() async throws {
        let world = World([ScriptedStorage("Internal"), ScriptedStorage("SD", type: 4)])
        world.phone.put("Internal/a", [1])
        world.phone.put("SD/b", [2])
        await world.backup()
        world.phone.change { storages in
            storages[0].name = "Speicher"
            storages[1].name = "Karte"
            storages.reverse()
        }
        let report = await world.backup()
        #expect(report.exitCode == .done)
        #expect(report.files.unchanged == 2)
        #expect(try await world.newestFiles() == ["/Internal/a": [1], "/SD/b": [2]])
    }

    @Test func anUnknownCapacityIsKnownByName() async throws {
        let world = World([ScriptedStorage("Internal", totalBytes: 0)])
        world.phone.put("Internal/a", [1])
        await world.backup()
        world.phone.change { $0[0].totalBytes = 99 }
        #expect(await world.backup().files.unchanged == 1)
    }

    @Test func twoStoragesOfOneNameHaveAFolderEach() async throws {
        let world = World([
            ScriptedStorage("Storage", volume: "x"),
            ScriptedStorage("Storage", volume: "y", type: 4),
        ])
        world.phone.change { storages in
            for (index, content) in [[1], [2]].enumerated() {
                storages[index].entries = [
                    ScriptedEntry(
                        name: "a", kind: .file(content.map { UInt8($0) }), modified: .zero)
                ]
            }
        }
        await world.backup()
        let files: [String: [UInt8]] = ["/Storage/a": [1], "/Storage (2)/a": [2]]
        #expect(try await world.newestFiles() == files)
        world.phone.change { $0.reverse() }
        #expect(await world.backup().files.unchanged == 2)
        #expect(try await world.newestFiles() == files)
    }

    @Test(arguments: ["holdfast.json", "a/b", "..", ""])
    func aHostileStorageNameIsOnlyAName(name: String) async throws {
        let world = World([ScriptedStorage(EntryName(name))])
        world.phone.change { storages in
            storages[0].entries = [
                ScriptedEntry(name: "x", kind: .file([7]), modified: Timestamp(seconds: 5))
            ]
        }
        let first = await world.backup()
        #expect(first.exitCode == .done)
        #expect(try await world.newestFiles().count == 1)
        #expect(try await world.newestNotes().hasPrefix("{\"format\":1,"))
        let second = await world.backup()
        #expect(second.files.unchanged == 1)
        #expect(second.snapshots.first?.snapshot.tree == first.snapshots.first?.snapshot.tree)
    }

    @Test func aCardTakenOutIsAQuestionAndItsFilesStay() async throws {
        let world = World([ScriptedStorage("Internal"), ScriptedStorage("SD", type: 4)])
        world.phone.put("Internal/a", [1])
        world.phone.put("SD/b", [2])
        await world.backup()
        world.phone.change { $0.removeLast() }
        world.phone.put("Internal/c", [3])
        let held = await world.backup()
        #expect(held.exitCode == .held)
        #expect(held.snapshots.first?.snapshot.isPartial == true)
        #expect(held.messages.first?.contains("SD") == true)
        let all: [String: [UInt8]] = ["/Internal/a": [1], "/Internal/c": [3], "/SD/b": [2]]
        #expect(try await world.newestFiles() == all)
        let again = await world.backup()
        #expect(again.exitCode == .held, "the question stays until it is answered")
        #expect(try await world.newestFiles() == all)
        let accepted = await world.backup { $0.acceptsShrink = true }
        #expect(accepted.exitCode == .done)
        #expect(accepted.files.removed == 1)
        #expect(try await world.newestFiles() == ["/Internal/a": [1], "/Internal/c": [3]])
        #expect(await world.backup().exitCode == .done)
    }

    @Test func aCardThatShowsLaterIsWaitedFor() async throws {
        let card = ScriptedStorage("SD", type: 4)
        let world = World([ScriptedStorage("Internal"), card])
        world.phone.put("Internal/a", [1])
        world.phone.put("SD/b", [2])
        await world.backup()
        let full = Held<ScriptedStorage>()
        world.phone.change { storages in full.value = storages.removeLast() }
        let clock = TurningClock(world.clock) {
            world.phone.change { storages in
                if storages.count == 1, let card = full.value { storages.append(card) }
            }
        }
        var services = world.services()
        services.clock = clock
        let run = BackupRun(World.request(), services: services, repository: world.repository)
        let report = await run.run(world.phone.session())
        #expect(report.exitCode == .done)
        #expect(report.files.unchanged == 2)
    }
}
