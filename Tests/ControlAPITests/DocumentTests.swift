import BackupCore
import ControlAPI
import Testing

@Suite struct DocumentTests {
    private func keys(_ json: JSONValue) -> [String] {
        json.objectMembers?.map(\.key) ?? []
    }

    @Test func phonesHaveTheKeysOthersRelyOn() {
        let phone = PhoneDocument(
            id: nil, owner: nil, family: .android, name: nil, model: nil, osVersion: nil,
            bay: nil, state: "away", message: "")
        #expect(
            keys(phone.json) == [
                "id", "owner", "family", "name", "model", "os_version", "bay", "state", "message",
            ])
        #expect(phone.json["bay"] == .null)
    }

    @Test func snapshotsHaveTheKeysOthersRelyOn() throws {
        let drive = try #require(DriveID(rawValue: "a"))
        let owner = try #require(OwnerID(rawValue: "o"))
        let snapshot = SnapshotDocument(
            id: ContentID(words: (1, 2, 3, 4)), time: .zero, utcOffsetSeconds: 0, owner: owner,
            phone: nil, phoneName: nil, capture: .media, isComplete: true, files: 3, bytes: 9,
            copies: [CopyDocument(drive: drive, state: "durable")])
        #expect(
            keys(snapshot.json) == [
                "id", "time", "owner", "phone", "phone_name", "capture", "complete", "files",
                "bytes", "copies",
            ])
        #expect(
            snapshot.json["copies"]?.line == #"[{"drive":"a","state":"durable"}]"#)
    }

    @Test func drivesHaveTheKeysOthersRelyOn() throws {
        let id = try #require(DriveID(rawValue: "a"))
        let drive = DriveDocument(
            id: id, name: "A", path: "/a", state: "ready", message: "", freeBytes: 1,
            totalBytes: 2, lastVerified: nil, sameDeviceAs: [])
        #expect(
            keys(drive.json).starts(with: [
                "id", "name", "path", "state", "free_bytes", "total_bytes", "last_verified",
                "unverified_files", "damaged_files",
            ]))
        #expect(drive.json["last_verified"] == .null)
    }

    @Test func entriesThatAreNotUTF8AreGivenEscapedAndSaySo() {
        let name = EntryName(bytes: [0x61, 0xFF])
        let node = TreeNode.file(name, modified: .zero, byteCount: 5, content: [])
        let json = EntryDocument(path: EntryPath([name]), node: node).json
        #expect(json["path"]?.text == #"/a\xff"#)
        #expect(json["path_escaped"] == .bool(true))
        #expect(json["mtime"]?.text == "1970-01-01T00:00:00Z")
        #expect(json["type"]?.text == "file" && json["size"] == .unsigned(5))
    }

    @Test func theSummaryHasTheKeysOthersRelyOnAndTheWorstCode() {
        var summary = RunSummary(
            verdict: .partial, outcomes: [.notEveryDrive, .partial], message: "m")
        summary.duration = .milliseconds(1500)
        #expect(
            keys(summary.json) == [
                "message_type", "verdict", "exit_code", "outcomes", "snapshots", "files", "bytes",
                "copies", "duration_seconds", "message",
            ])
        #expect(summary.json["exit_code"] == .integer(21))
        #expect(summary.json["outcomes"]?.line == "[21,20]")
        #expect(
            summary.json["files"]?.objectMembers?.map(\.key) == [
                "new", "changed", "unchanged", "removed", "skipped",
            ])
        #expect(summary.json["bytes"]?.objectMembers?.map(\.key) == ["read", "added", "stored"])
        #expect(summary.json["duration_seconds"] == .number(1.5))
    }

    @Test func eventsNameTheirKind() {
        let status = RunLine.json(.progress(RunProgress(phase: .reading, filesTotal: 4)))
        #expect(status["message_type"]?.text == "status")
        #expect(status["files_total"] == .integer(4) && status["bytes_total"] == .null)
        let event = RunLine.json(.notice(RunNotice(code: "skipped", message: "x")))
        #expect(event["message_type"]?.text == "event" && event["path"] == .null)
    }
}
