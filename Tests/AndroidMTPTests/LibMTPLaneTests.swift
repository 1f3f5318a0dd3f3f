import BackupCore
import DeviceTestKit
import DeviceWorker
import Foundation
import SimulatedPhones
import Testing

/// The lane against a simulated phone at USB level: the real libmtp, in the real worker.
@Suite(.serialized) struct LibMTPLaneTests {
    // MARK: Presence and attributes

    @Test func phoneOnTheBusIsDetected() async throws {
        let simulated = try SimulatedSession(script: #"{"entries":[]}"#)
        let found = try await simulated.detected()
        #expect(found.unsuitable == nil)
        guard case .usb(_, _, let vendor, let product) = found.address else {
            Issue.record("no USB address")
            return
        }
        #expect(vendor == 0x18D1 && product == 0x4EE1)
    }

    @Test func vendorClassPhoneIsDetectedByItsString() async throws {
        var options = PhoneOptions()
        options.identity.hasVendorClass = true
        let simulated = try SimulatedSession(script: #"{"entries":[]}"#, options: options)
        let found = try await simulated.detected()
        #expect(found.unsuitable == nil)
    }

    @Test func debuggingPhoneIsUnsuitable() async throws {
        var options = PhoneOptions()
        options.identity.functions = .debugging
        let simulated = try SimulatedSession(script: #"{"entries":[]}"#, options: options)
        let found = try await simulated.detected()
        #expect(found.unsuitable?.contains("File transfer") == true)
        #expect(await deviceError { try await simulated.open() }?.code == .unsuitable)
    }

    @Test func attributesAreThePhones() async throws {
        var options = PhoneOptions()
        options.friendlyName = "Zoë's 📱"
        options.identity.serial = "R58M12"
        let simulated = try SimulatedSession(script: #"{"entries":[]}"#, options: options)
        let (session, _) = try await simulated.open()
        let attributes = try await session.attributes()
        #expect(attributes.identity == "R58M12\nPixel 7")
        #expect(attributes.name == "Zoë's 📱")
        #expect(attributes.manufacturer == "Google")
        #expect(attributes.batteryPercent == 80)
        #expect(attributes.notes.contains("lane: libmtp 1.1.20"))
        await session.close()
    }

    @Test func phoneUnknownToLibMTPWorksToo() async throws {
        var options = PhoneOptions()
        options.identity.vendor = 0x1234
        options.identity.product = 0x5678
        let simulated = try SimulatedSession(
            script:
                #"{"entries":[{"name":"big","bytes":10,"announced":5000000000},{"name":"s","bytes":7}]}"#,
            options: options)
        let (session, media) = try await simulated.open()
        let sizes = try await media.list(media.firstRoot()).entries.map(\.byteCount)
        #expect(Set(sizes) == [5_000_000_000, 7])
        #expect(try await session.attributes().notes.count == 2)
        await session.close()
    }

    // MARK: Storages

    @Test func lockedPhoneHasNoStorageUntilItIsUnlocked() async throws {
        var options = PhoneOptions()
        options.startsLocked = true
        let simulated = try SimulatedSession(
            script: #"{"entries":[{"name":"a","bytes":1}]}"#, options: options)
        let (session, media) = try await simulated.open()
        #expect(try await media.storages() == [])
        #expect(try await media.storages() == [])
        simulated.phone.perform(.unlock)
        let storages = try await media.storages()
        #expect(storages.map(\.name) == ["Internal shared storage"])
        #expect(try await media.list(media.firstRoot()).entries.count == 1)
        simulated.phone.perform(.lock)
        #expect(try await media.storages() == [])
        await session.close()
    }

    @Test func folderOfAPhoneThatWasLockedIsAWaitAndNoEmptyFolder() async throws {
        let simulated = try SimulatedSession(script: #"{"entries":[{"name":"a","bytes":1}]}"#)
        let (session, media) = try await simulated.open()
        let root = try await media.firstRoot()
        simulated.phone.perform(.lock)
        let error = await deviceError { try await media.list(root) }
        #expect(error?.code == .waitingForUser)
        await session.close()
    }

    /// The phone numbers its files anew, and libmtp would answer from memory.
    @Test func storageThatWentAndCameBackNeedsANewSession() async throws {
        let simulated = try SimulatedSession(
            script:
                #"{"entries":[{"name":"d","children":[{"name":"a","bytes":1}]},{"name":"b","bytes":2}]}"#
        )
        let (session, media) = try await simulated.open()
        let before = try await media.walk(media.firstRoot())
        simulated.phone.perform(.lock)
        simulated.phone.perform(.unlock)
        let root = try await media.firstRoot()
        #expect(await deviceError { try await media.list(root) }?.code == .gone)
        await session.close()
        let (next, again) = try await simulated.open()
        #expect(try await Set(again.walk(again.firstRoot()).keys) == Set(before.keys))
        await next.close()
    }

    // MARK: Listing and reading

    @Test func folderWithUnicodeNamesIsListedAndReadAsItIs() async throws {
        let folder = temporaryFolder()
        defer { try? FileManager.default.removeItem(atPath: folder) }  // Harmless when left.
        let expected = try makeFolder(folder)
        let simulated = try SimulatedSession([
            SimulatedPhones.PhoneStorage(
                name: "Internal shared storage", content: FolderContent(path: folder))
        ])
        let (session, media) = try await simulated.open()
        let found = try await media.walk(media.firstRoot())
        #expect(found.filter { !$0.value.isFolder }.count == expected.count)
        for (path, content) in expected {
            let entry = try #require(found[path], "\(path)")
            #expect(entry.byteCount == UInt64(content.count))
            #expect(entry.modified == Timestamp(seconds: 1_600_000_000))
            let bytes = try await allBytes(try await media.read(entry))
            #expect(bytes == content, "\(path)")
        }
        await session.close()
    }

    /// 300 files in folders with names of several scripts; sizes around packets and buffers.
    private func makeFolder(_ root: String) throws -> [String: [UInt8]] {
        let folders = ["/DCIM/Camera", "/Grüße", "/照片 2024", "/Ελληνικά/😀", "/e\u{301}té"]
        let sizes = [0, 1, 11, 499, 500, 501, 512, 1000, 16_372, 16_384, 70_000]
        var files: [String: [UInt8]] = [:]
        for (index, folder) in folders.enumerated() {
            try FileManager.default.createDirectory(
                atPath: root + folder, withIntermediateDirectories: true)
            for number in 0..<60 {
                let path = "\(folder)/Bild \(number) ß\(index).jpg"
                let size = sizes[(number + index) % sizes.count]
                let content = (0..<size).map { UInt8(truncatingIfNeeded: $0 &* 7 &+ number) }
                #expect(
                    FileManager.default.createFile(atPath: root + path, contents: Data(content)))
                try FileManager.default.setAttributes(
                    [.modificationDate: Date(timeIntervalSince1970: 1_600_000_000)],
                    ofItemAtPath: root + path)
                files[path] = content
            }
        }
        return files
    }

    @Test func emptyFolderIsEmpty() async throws {
        let simulated = try SimulatedSession(script: #"{"entries":[{"name":"d","children":[]}]}"#)
        let (session, media) = try await simulated.open()
        let entries = try await media.list(media.firstRoot()).entries
        #expect(try await media.list(entries[0].folder) == FolderListing([]))
        await session.close()
    }

    @Test func sizeBeyondFourGibibytesIsKept() async throws {
        let simulated = try SimulatedSession(
            script: #"{"entries":[{"name":"film","bytes":5,"announced":9000000000}]}"#)
        let (session, media) = try await simulated.open()
        #expect(try await media.list(media.firstRoot()).entries.first?.byteCount == 9_000_000_000)
        await session.close()
    }

    @Test func refusedDetailsOfOneObjectCostNoOther() async throws {
        let simulated = try SimulatedSession(
            script: """
                {"entries":[{"name":"d","children":[
                 {"name":"a","bytes":9,"copies":12,"numbered":true},
                 {"name":"bad","bytes":9,"infoResponse":8194}]},
                 {"name":"good","children":[{"name":"b","bytes":3}]}]}
                """)
        let (session, media) = try await simulated.open()
        let root = try await media.list(media.firstRoot())
        #expect(root.isWhole)
        let listing = try await media.list(root.entries[0].folder)
        #expect(listing.entries.count == 12)
        #expect(listing.undescribedCount == 1)
        #expect(try await media.list(root.entries[1].folder).isWhole)
        await session.close()
    }

    @Test func folderOfWhichNothingIsDescribedIsUnreadable() async throws {
        let simulated = try SimulatedSession(
            script: """
                {"entries":[{"name":"d","children":[{"name":"bad","bytes":9,"infoResponse":8194}]}]}
                """)
        let (session, media) = try await simulated.open()
        let root = try await media.list(media.firstRoot())
        let error = await deviceError { try await media.list(root.entries[0].folder) }
        #expect(error?.code == .unreadable)
        await session.close()
    }

    @Test(arguments: [0x2002, 0x200F, 0x2019])
    func refusedListingIsUnreadableAndNotEmpty(code: Int) async throws {
        let simulated = try SimulatedSession(
            script: """
                {"entries":[{"name":"d","listResponse":\(code),"children":[{"name":"a","bytes":9}]},
                 {"name":"e","children":[]}]}
                """)
        let (session, media) = try await simulated.open()
        let root = try await media.list(media.firstRoot()).entries
        let error = await deviceError { try await media.list(root[0].folder) }
        #expect(error?.code == .unreadable)
        #expect(error?.nativeCode == code)
        #expect(try await media.list(root[1].folder) == FolderListing([]))
        await session.close()
    }

    @Test func refusedFileIsUnreadableAndTheSessionGoesOn() async throws {
        let simulated = try SimulatedSession(
            script: """
                {"entries":[{"name":"bad","bytes":9000,"readResponse":8194},{"name":"ok","bytes":9000}]}
                """)
        let (session, media) = try await simulated.open()
        let entries = try await media.list(media.firstRoot()).entries
        let error = await deviceError { try await allBytes(try await media.read(entries[0])) }
        #expect(error?.code == .unreadable)
        #expect(try await allBytes(try await media.read(entries[1])).count == 9000)
        await session.close()
    }

    @Test(arguments: [(5_000, 100_000), (100_000, 99_999), (100_600, 100_000), (512, 500), (0, 1)])
    func contentOfAnotherSizeIsWrong(real: Int, announced: Int) async throws {
        let simulated = try SimulatedSession(
            script: """
                {"entries":[{"name":"bad","bytes":\(real),"announced":\(announced)},
                 {"name":"ok","bytes":70000}]}
                """)
        let (session, media) = try await simulated.open()
        let entries = try await media.list(media.firstRoot()).entries
        let error = await deviceError { try await allBytes(try await media.read(entries[0])) }
        #expect(error?.code == .wrongSize)
        #expect(try await allBytes(try await media.read(entries[1])).count == 70_000)
        await session.close()
    }

    @Test func dataPhaseThatEndsEarlyIsWrongSize() async throws {
        let simulated = try SimulatedSession(
            script:
                #"{"entries":[{"name":"cut","bytes":100000,"endAfter":5000},{"name":"ok","bytes":9}]}"#
        )
        let (session, media) = try await simulated.open()
        let entries = try await media.list(media.firstRoot()).entries
        let error = await deviceError { try await allBytes(try await media.read(entries[0])) }
        #expect(error?.code == .wrongSize)
        #expect(try await allBytes(try await media.read(entries[1])).count == 9)
        await session.close()
    }

    @Test func closingAFileHalfWayCancelsTheTransfer() async throws {
        let simulated = try SimulatedSession(
            script: #"{"entries":[{"name":"big","bytes":50000000},{"name":"ok","bytes":900}]}"#)
        let (session, media) = try await simulated.open()
        let entries = try await media.list(media.firstRoot()).entries
        let source = try await media.read(entries[0])
        #expect(try await source.next()?.isEmpty == false)
        await source.close()
        #expect(try await allBytes(try await media.read(entries[1])).count == 900)
        #expect(simulated.phone.status.bytesMoved < 50_000_000)
        await session.close()
    }

    // MARK: Losing the phone

    @Test(arguments: [1_000, 100_000, 3_000_000])
    func unplugWithinAFileIsGone(after count: UInt64) async throws {
        let simulated = try SimulatedSession(
            script: #"{"entries":[{"name":"big","bytes":5000000}]}"#)
        let (session, media) = try await simulated.open()
        let entries = try await media.list(media.firstRoot()).entries
        simulated.phone.perform(.unplugAfter(count))
        let error = await deviceError { try await allBytes(try await media.read(entries[0])) }
        #expect(error?.code == .gone)
        #expect(await deviceError { try await media.storages() }?.code == .gone)
        await session.close()
    }

    /// Every listing that is cut off anywhere must be an error, never a shorter list.
    @Test(arguments: 0..<16) func unplugWithinAListingIsNeverAShortList(step: UInt64) async throws {
        let script = #"{"entries":[{"name":"n","bytes":5,"copies":25,"numbered":true}]}"#
        let whole = try SimulatedSession(script: script)
        let (first, all) = try await whole.open()
        let root = try await all.firstRoot()
        let before = whole.phone.status.bytesMoved
        #expect(try await all.list(root).entries.count == 25)
        let moved = whole.phone.status.bytesMoved - before
        await first.close()

        let cut = try SimulatedSession(script: script)
        let (session, media) = try await cut.open()
        _ = try await media.firstRoot()
        cut.phone.perform(.unplugAfter(moved * step / 16))
        #expect(await deviceError { try await media.list(root) }?.code == .gone)
        await session.close()
    }

    @Test func superSpeedPhoneIsReadWhole() async throws {
        var options = PhoneOptions()
        options.identity.isSuperSpeed = true
        let simulated = try SimulatedSession(
            script: """
                {"entries":[{"name":"a","bytes":1012},{"name":"b","bytes":1024},
                 {"name":"c","bytes":16384},{"name":"d","bytes":3000000}]}
                """, options: options)
        let (session, media) = try await simulated.open()
        for entry in try await media.list(media.firstRoot()).entries {
            let bytes = try await allBytes(try await media.read(entry))
            #expect(UInt64(bytes.count) == entry.byteCount)
        }
        await session.close()
    }

    @Test func hostileNamesPassAsBytes() async throws {
        let simulated = try SimulatedSession(
            script: """
                {"entries":[{"name":"../x","bytes":1},{"name":"a/b","bytes":1},
                 {"name":"\\u0007\\u202e","bytes":1},{"name":"é","bytes":1},
                 {"name":"e\\u0301","bytes":1},{"name":"same","bytes":1},{"name":"same","bytes":1},
                 {"name":"x","repeated":254,"bytes":1}]}
                """)
        let (session, media) = try await simulated.open()
        let names = try await media.list(media.firstRoot()).entries.map(\.name)
        let expected: Set<EntryName> = [
            "../x", "a/b", "\u{7}\u{202E}", "\u{E9}", "e\u{301}", "same",
            EntryName(bytes: [UInt8](repeating: 0x78, count: 254)),
        ]
        #expect(names.count == 8)
        #expect(Set(names) == expected)
        await session.close()
    }

    @Test func secondClientIsToldThatThePhoneIsBusy() async throws {
        let simulated = try SimulatedSession(script: #"{"entries":[]}"#)
        let (session, media) = try await simulated.open()
        #expect(await deviceError { try await simulated.open() }?.code == .busy)
        #expect(try await media.storages().count == 1)
        await session.close()
    }

    @Test func frozenPhoneTimesOut() async throws {
        let clock = StandingClock()
        let simulated = try SimulatedSession(script: #"{"entries":[]}"#, clock: clock)
        let (session, media) = try await simulated.open()
        simulated.phone.perform(.freeze)
        async let result = deviceError { try await media.storages() }
        await clock.untilSomebodySleeps()
        clock.advance(.seconds(31))
        #expect(await result?.code == .timedOut)
        simulated.phone.perform(.thaw)
        await session.close()
    }

    @Test func phoneThatIsFrozenWhenOpenedTimesOut() async throws {
        let clock = StandingClock()
        let simulated = try SimulatedSession(script: #"{"entries":[]}"#, clock: clock)
        let phone = try await simulated.detected()
        simulated.phone.perform(.freeze)
        async let result = deviceError { try await simulated.family.open(phone) }
        await clock.untilSomebodySleeps()
        clock.advance(.seconds(91))
        #expect(await result?.code == .timedOut)
    }

    @Test func phoneThatLeftTheBusIsGone() async throws {
        let simulated = try SimulatedSession(script: #"{"entries":[]}"#)
        let phone = try await simulated.detected()
        simulated.phone.perform(.unplug)
        #expect(await deviceError { try await simulated.family.open(phone) }?.code == .gone)
        #expect(try await simulated.family.detect() == [])
        simulated.phone.perform(.replug)
        let (session, media) = try await simulated.open()
        #expect(try await media.storages().count == 1)
        await session.close()
    }

    @Test func phoneCanBeOpenedAgainAfterAKilledWorker() async throws {
        var options = PhoneOptions()
        options.keepsSessionOfDeadHost = true
        let simulated = try SimulatedSession(
            script: #"{"entries":[{"name":"a","bytes":9000000}]}"#, options: options)
        do {
            let (session, media) = try await simulated.open()
            let source = try await media.read(try await media.list(media.firstRoot()).entries[0])
            _ = try await source.next()
            // Neither is closed: the worker is killed with its session.
            _ = session
        }
        let (session, media) = try await simulated.open()
        let bytes = try await allBytes(
            try await media.read(try await media.list(media.firstRoot()).entries[0]))
        #expect(bytes.count == 9_000_000)
        await session.close()
    }
}
