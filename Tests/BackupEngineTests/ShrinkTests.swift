import BackupCore
import BackupEngine
import TestKit
import Testing

@Suite struct ShrinkTests {
    /// 80 files of equal size: a quarter is 20.
    private func world() async -> World {
        let world = World()
        for index in 0..<80 {
            world.phone.put("Internal/DCIM/\(index).jpg", [UInt8](repeating: 1, count: 100 + index))
        }
        await world.backup()
        return world
    }

    @Test(arguments: [
        (19, ExitCode.done), (20, .done), (21, .held), (79, .held), (80, .held),
    ])
    func moreThanAQuarterGoneIsHeld(gone: Int, exit: ExitCode) async throws {
        let world = await world()
        // The smallest go, so that the files decide and not the bytes.
        for index in 0..<gone { world.phone.remove("Internal/DCIM/\(index).jpg") }
        let report = await world.backup()
        #expect(report.exitCode == exit)
        #expect(report.files.removed == (exit == .done ? gone : 0))
        #expect(try await world.newestFiles().count == (exit == .done ? 80 - gone : 80))
    }

    @Test func fewFilesMayGoHoweverLargeTheirShare() async throws {
        let world = World.filled(files: 16)
        await world.backup()
        for index in 0..<15 where index % 4 != 0 {
            let folder = ["", "Pictures/Screenshots", "Download", "Music/Own/Deep"][index % 4]
            world.phone.remove("Internal/\(folder)/file\(index).jpg")
        }
        let report = await world.backup()
        #expect(report.exitCode == .done)
        #expect(report.files.removed == 11)
    }

    @Test func aQuarterOfTheBytesIsHeldToo() async throws {
        let world = World()
        for index in 0..<200 {
            let size = index < 21 ? 3000 : 10
            world.phone.put("Internal/\(index)", [UInt8](repeating: UInt8(index), count: size))
        }
        await world.backup()
        for index in 0..<21 { world.phone.remove("Internal/\(index)") }
        #expect(await world.backup().exitCode == .held)
    }

    @Test func filesThatAreEmptiedCountAsGone() async throws {
        let world = await world()
        for index in 0..<60 {
            world.phone.put("Internal/DCIM/\(index).jpg", [], modified: 1_700_000_000)
        }
        #expect(await world.backup().exitCode == .held)
    }

    @Test func aPhoneThatListsNothingIsHeldHoweverFewFilesItHad() async throws {
        let world = World()
        world.phone.put("Internal/DCIM/a.jpg", [1])
        await world.backup()
        world.phone.remove("Internal/DCIM/a.jpg")
        let report = await world.backup()
        #expect(report.exitCode == .held)
        #expect(report.verdict(enrolledDrives: 2) == .held)
        #expect(report.messages.first?.contains("--accept-shrink") == true)
        #expect(try await world.newestFiles() == ["/Internal/DCIM/a.jpg": [1]])
        #expect(await world.backup { $0.acceptsShrink = true }.exitCode == .done)
        #expect(try await world.newestFiles().isEmpty)
    }

    @Test func whatIsNewIsSavedWhileHeldAndNotReadAgainAfterwards() async throws {
        let world = await world()
        for index in 0..<40 { world.phone.remove("Internal/DCIM/\(index).jpg") }
        world.phone.put("Internal/DCIM/new.jpg", [5, 5])
        let held = await world.backup()
        #expect(held.exitCode == .held)
        #expect(held.files.new == 1)
        #expect(try await world.newestFiles().count == 81)
        _ = world.phone.takeOpened()
        let accepted = await world.backup { $0.acceptsShrink = true }
        #expect(world.phone.takeOpened().isEmpty)
        #expect(accepted.files.removed == 40)
        #expect(try await world.newestFiles() == world.phone.allFiles())
    }

    @Test func theLimitsAreConfigurable() async throws {
        let world = await world()
        for index in 0..<9 { world.phone.remove("Internal/DCIM/\(index).jpg") }
        let strict = await world.backup { $0.shrinkLimits = .init(percent: 10, leastFiles: 5) }
        #expect(strict.exitCode == .held)
        let lax = await world.backup { $0.shrinkLimits = .init(percent: 12, leastFiles: 5) }
        #expect(lax.exitCode == .done)
    }

    @Test func theMeasureIsTheLastCompleteSnapshotAndNotAPartialOne() async throws {
        let world = await world()
        world.phone.put("Internal/DCIM/new1.jpg", [1])
        world.phone.put("Internal/DCIM/new2.jpg", [1])
        world.phone.faults.unplugAtCalls = [4]
        world.phone.faults.returnAfterTries = nil
        #expect(await world.backup().exitCode == .partial)
        for index in 0..<30 { world.phone.remove("Internal/DCIM/\(index).jpg") }
        world.phone.faults = PhoneFaults()
        #expect(await world.backup().exitCode == .held)
        #expect(try await world.newestFiles().count == 82)
    }
}
