import BackupCore
import Drives
import Glibc
import ResticFormat
import Testing

@Suite struct KeyRetirementTests: ~Copyable {
    let copies = CopySet()
    deinit { copies.folder.remove() }

    private static let old: ContentID = .sha256(of: DrivePair.key)
    private static let fresh: [UInt8] = Array("{\"a\":\"new key\"}".utf8)
    private static let new: ContentID = .sha256(of: fresh)
    private static let now = Timestamp(seconds: 1_800_000_000)

    /// Drives with an old key file on each and a new one on those named.
    private func prepare(newOn names: String...) async throws {
        try await copies.enrol("a", "b")
        try await copies.initialise("a", "b")
        try await copies.write(1, to: "a", "b")
        for name in names { try await copies.backend(name).addKey(Self.new, Self.fresh) }
    }

    private func retire(_ name: String, fault: DriveFaultHook? = nil) async throws {
        try await copies.backend(name, fault: fault).retireKeys(
            [Self.old], keeping: [Self.new], at: Self.now)
    }

    private func keys(_ name: String) -> Set<String> {
        Set(
            PlainFile.tree(copies.repository(name) + "/keys").keys.map { String($0.dropFirst()) })
    }

    @Test func aKeyThatWasRetiredIsNotBroughtBackByTheOtherDrive() async throws {
        try await prepare(newOn: "a", "b")
        try await retire("a")
        #expect(keys("a") == [Self.new.hex])
        let both = [try await copies.backend("a"), try await copies.backend("b")]
        let report = await CatchUp(both, validConfig: CopySet.validConfig).run()
        #expect(report.copied.isEmpty && report.behind.isEmpty)
        #expect(await CopyAudit(both, validConfig: CopySet.validConfig).run(readData: true).isWhole)
        #expect(await Heal(both, validConfig: CopySet.validConfig).run().isWhole)
        #expect(keys("a") == [Self.new.hex])
        try await retire("b")
        #expect(copies.areEqual("a", "b"))
        #expect(await CopyAudit(both, validConfig: CopySet.validConfig).run(readData: true).isWhole)
    }

    @Test func aKeyThatWasRetiredStaysAwayAfterAPowerCut() async throws {
        try await prepare(newOn: "a", "b")
        let changes = UnsyncedFolders()
        let copy = try await copies.backend("a", observer: changes.observer)
        try await copy.retireKeys([Self.old], keeping: [Self.new], at: Self.now)
        #expect(changes.count > 0 && changes.left.isEmpty)
    }

    @Test func withoutTheNewKeyTheOldOneStays() async throws {
        try await prepare(newOn: "b")
        await #expect(throws: BackendError.self) { try await retire("a") }
        #expect(keys("a") == [Self.old.hex])
        // One that is there and rotten is none.
        PlainFile.write(copies.repository("b") + "/keys/" + Self.new.hex, [1, 2, 3])
        await #expect(throws: BackendError.self) { try await retire("b") }
        #expect(keys("b") == [Self.old.hex, Self.new.hex])
        let backend = try await copies.backend("b")
        #expect(try await backend.drive.journal.tombstones(of: DrivePair.owner).isEmpty)
        await #expect(throws: BackendError.self) {
            try await backend.retireKeys([Self.old], keeping: [], at: Self.now)
        }
        await #expect(throws: BackendError.self) {
            try await backend.retireKeys([Self.old], keeping: [Self.old], at: Self.now)
        }
    }

    @Test func whatHealingMovedAsideOfAnOldKeyGoesToo() async throws {
        try await prepare(newOn: "a")
        let quarantine = copies.path("a") + "/holdfast/quarantine"
        let names = [
            "\(DrivePair.owner)-keys-\(Self.old.hex)-1",
            "\(DrivePair.owner)-keys-\(Self.old.hex)-2",
            "\(DrivePair.owner)-keys-\(Self.new.hex)-1",
            "\(DrivePair.owner)2-keys-\(Self.old.hex)-1",
            "\(DrivePair.owner)-snapshots-\(Self.old.hex)-1",
        ]
        for name in names { PlainFile.write("\(quarantine)/\(name)", [7]) }
        try await retire("a")
        #expect(Set(PlainFile.tree(quarantine).keys) == Set(names.dropFirst(2).map { "/" + $0 }))
    }

    @Test func tombstonesThatWouldLeaveNoKeyAreNotBelieved() async throws {
        try await prepare(newOn: "a", "b")
        let backend = try await copies.backend("a")
        let journal = backend.drive.journal
        for key in [Self.old, Self.new] {
            try await journal.append(
                .tombstone(FileName(.key, key), owner: DrivePair.owner), at: Self.now)
        }
        #expect(await DriveBackend.retiredKeys(on: [backend]).isEmpty)
    }

    /// Fails each call in turn: the new key is always there, whole, and a repetition ends it.
    @Test(arguments: [EIO, ENOSPC]) func atEveryFailingCallAWorkingKeyStays(
        number: Int32
    ) async throws {
        try await copies.enrol("a")
        try await copies.initialise("a")
        try await copies.backend("a").addKey(Self.new, Self.fresh)
        var failed = 0
        for call in 1... {
            let fault = NthCall(failing: call, .error(number))
            PlainFile.write(copies.repository("a") + "/keys/" + Self.old.hex, DrivePair.key)
            do {
                try await retire("a", fault: fault.hook)
            } catch {
                failed += 1
            }
            let there = PlainFile.read(copies.repository("a") + "/keys/" + Self.new.hex)
            #expect(there == Self.fresh, "call \(call)")
            let reading = try await copies.backend("a").drive.journal
            let isBuried = try await reading.tombstones(of: DrivePair.owner).contains(
                FileName(.key, Self.old))
            #expect(isBuried || keys("a").contains(Self.old.hex), "call \(call)")
            try await retire("a")
            #expect(keys("a") == [Self.new.hex], "call \(call)")
            if !fault.didFail { break }
        }
        #expect(failed > 10)
    }
}
