import BackupCore
import Drives
import Glibc
import ResticFormat
import Testing

@Suite struct JournalTests: ~Copyable {
    let folder = TestFolder()
    deinit { folder.remove() }

    private func drive(fault: DriveFaultHook? = nil) async throws -> Drive {
        try await Drive.open(path: folder.path + "/a", options: DrivePair.options(fault: fault))
    }

    private func path(_ number: Int) -> String {
        let digits = String(number)
        return folder.path + "/a/holdfast/journal/"
            + String(repeating: "0", count: 10 - digits.count) + digits + ".json"
    }

    private func fill(_ count: UInt64) async throws {
        _ = try await DrivePair.enrol(folder.folder("a"))
        let journal = try await drive().journal
        for number in 1...count {
            try await journal.append(
                .audit(
                    .heal, run: RunID(trusted: "run-\(number)"), owner: DrivePair.owner,
                    files: Int(number), damaged: 0, repaired: 0, lost: 0, readData: true),
                at: Timestamp(seconds: Int64(number)))
        }
    }

    @Test func recordsComeBackInOrder() async throws {
        try await fill(3)
        let drive = try await drive()
        let snapshot = ContentID.sha256(of: [1])
        try await drive.journal.append(
            .committed(
                owner: DrivePair.owner, snapshot: snapshot, phone: PhoneID(trusted: "android-1"),
                capture: .media, run: RunID(trusted: "run-9"), isComplete: true),
            at: Timestamp(seconds: 1_700_000_000))
        try await drive.journal.append(
            .run(
                RunID(trusted: "run-9"), owner: nil, verdict: .safe, exitCode: .done,
                counts: [("files", 7)]), at: Timestamp(seconds: 1_700_000_001))
        let reading = try await drive.journal.read()
        #expect(reading.damage.isEmpty)
        #expect(reading.entries.map(\.number) == [1, 2, 3, 4, 5])
        #expect(reading.entries.map(\.record.kind) == ["heal", "heal", "heal", "committed", "run"])
        #expect(reading.entries[1].record.count("files") == 2)
        #expect(reading.entries[3].record.text("snapshot") == snapshot.hex)
        #expect(reading.entries[3].time == Timestamp(seconds: 1_700_000_000))
        #expect(reading.entries[4].record.count("files") == 7)
    }

    @Test func recordIsOneJSONLineWithTheHashOfTheOneBefore() async throws {
        try await fill(2)
        let first = try #require(PlainFile.read(path(1)))
        let second = String(decoding: try #require(PlainFile.read(path(2))), as: UTF8.self)
        let hash = ContentID.sha256(of: first)
        #expect(
            second
                == "{\"number\":2,\"previous\":\"\(hash)\",\"time\":2,\"kind\":\"heal\","
                + "\"run\":\"run-2\",\"owner\":\"owner-1\",\"files\":2,\"damaged\":0,"
                + "\"repaired\":0,\"lost\":0,\"read_data\":1}\n")
    }

    @Test func changedRecordShowsAndHidesNothingElse() async throws {
        try await fill(4)
        let changed = String(decoding: try #require(PlainFile.read(path(2))), as: UTF8.self)
            .replacing("\"files\":2", with: "\"files\":9")
        PlainFile.write(path(2), Array(changed.utf8))
        let reading = try await drive().journal.read()
        #expect(reading.entries.map(\.number) == [1, 2, 3, 4])
        #expect(reading.damage == [.brokenChain(3)])
    }

    @Test func garbledAndMissingRecordsAreReported() async throws {
        try await fill(5)
        PlainFile.write(path(2), [0xFF, 0x00])
        unsafe unlink(path(4))
        let reading = try await drive().journal.read()
        #expect(reading.entries.map(\.number) == [1, 3, 5])
        // The third follows the second as it was before it was garbled.
        #expect(reading.damage == [.garbled(2), .brokenChain(3), .missing(4)])
        let number = try await drive().journal.append(
            .enrolled(set: DrivePair.set), at: Timestamp(seconds: 9))
        #expect(number == 6)
    }

    @Test func appendsAtTheSameTimeKeepTheChain() async throws {
        try await fill(1)
        let drives = [try await drive(), try await drive()]
        try await withThrowingTaskGroup(of: Void.self) { group in
            for number in 0..<20 {
                let journal = drives[number % 2].journal
                group.addTask {
                    try await journal.append(
                        .enrolled(set: DrivePair.set), at: Timestamp(seconds: 5))
                }
            }
            try await group.waitForAll()
        }
        let reading = try await drive().journal.read()
        #expect(reading.entries.count == 21 && reading.damage.isEmpty)
    }

    @Test func anAppendWaitsForAnotherProgramsAppend() async throws {
        try await fill(1)
        let descriptor = unsafe open(
            folder.path + "/a/holdfast/journal", O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        try #require(descriptor >= 0)
        defer { close(descriptor) }
        #expect(flock(descriptor, LOCK_EX) == 0)
        let journal = try await drive().journal
        let append = Task {
            try await journal.append(.enrolled(set: DrivePair.set), at: Timestamp(seconds: 5))
        }
        try await Task.sleep(for: .milliseconds(200))
        #expect(PlainFile.read(path(2)) == nil)
        #expect(flock(descriptor, LOCK_UN) == 0)
        #expect(try await append.value == 2)
        #expect(PlainFile.read(path(2)) != nil)
    }

    @Test(arguments: [DriveCall.write, .sync, .close, .rename])
    func aRecordIsWrittenAnewAfterOneError(call: DriveCall) async throws {
        try await fill(1)
        let fault = NthCall(failing: 1, kinds: [call])
        try await drive(fault: fault.hook).journal.append(
            .enrolled(set: DrivePair.set), at: .zero)
        #expect(fault.didFail)
        let reading = try await drive().journal.read()
        #expect(reading.entries.count == 2 && reading.damage.isEmpty)
        let names = PlainFile.tree(folder.path + "/a/holdfast/journal").keys
        #expect(names.allSatisfy { $0.hasSuffix(".json") })
    }

    @Test func appendCutShortAnywhereLeavesAWholeJournal() async throws {
        try await fill(1)
        let counting = NthCall()
        try await drive(fault: counting.hook).journal.append(
            .enrolled(set: DrivePair.set), at: .zero)
        for failing in 1...counting.count {
            let fault = NthCall(failing: failing, .error(ENOSPC), isSticky: true)
            await #expect(throws: BackendError.self) {
                try await drive(fault: fault.hook).journal.append(
                    .enrolled(set: DrivePair.set), at: .zero)
            }
            try await drive().journal.append(.enrolled(set: DrivePair.set), at: .zero)
            #expect(try await drive().journal.read().damage.isEmpty)
            let names = PlainFile.tree(folder.path + "/a/holdfast/journal").keys
            #expect(names.allSatisfy { $0.hasSuffix(".json") })
        }
    }

    @Test func hostileTextsAreNotHandedOut() async throws {
        try await fill(1)
        let line =
            "{\"number\":2,\"previous\":\"\",\"time\":1,\"kind\":\"run\",\"owner\":\"../../etc\"}"
        PlainFile.write(path(2), Array(line.utf8))
        let reading = try await drive().journal.read()
        #expect(reading.entries.last?.record.text("owner") == nil)
        #expect(reading.damage == [.brokenChain(2)])
    }
}
