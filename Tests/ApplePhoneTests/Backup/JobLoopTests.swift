import BackupCore
import Synchronization
import Testing

@testable import ApplePhone

/// Every message of DeviceLink, its answer, and what a hostile phone may make of it.
@Suite struct JobLoopTests {
    private let tree = MemoryTree()
    private static let udid = BackupScript.udid

    /// Makes the tree one of a backup that can be continued, so that nothing in it is cleared.
    private func fill() { BackupScript.fill(tree) }

    /// What the host answered to one message, the phone then ending with an error.
    private func answer(
        _ message: PropertyList...
    ) throws -> [PropertyList] {
        let answer = Mutex<[PropertyList]>([])
        let phone = ScriptedBackupPhone { phone in
            _ = try phone.begin()
            try phone.send(.array(message))
            let status = try phone.status()
            answer.withLock { $0 = status }
            try phone.end(1)
        }
        #expect(backUp(phone, tree)?.nativeCode == 1)
        return answer.withLock { $0 }
    }

    private static let nothing: PropertyList = .dictionary([:])
    private static let noText: PropertyList = .string("___EmptyParameterString___")

    @Test func freeSpaceIsWhatTheDrivesHave() throws {
        tree.free = 123_456_789_012
        #expect(
            try answer(.string("DLMessageGetFreeDiskSpace"))
                == [.integer(0), Self.noText, .integer(123_456_789_012)])
    }

    @Test func purgingIsRefusedAndTheLinkStays() throws {
        let status = try answer(
            .string("DLMessagePurgeDiskSpace"), .integer(2 << 30), .integer(1))
        #expect(status[0] == .integer(-1))
        #expect(status[1].text?.isEmpty == false)
        #expect(status[2] == .integer(0))
    }

    @Test func foldersAreListed() throws {
        fill()
        tree["\(Self.udid)/aa/aa01"] = [1, 2, 3]
        let status = try answer(.string("DLContentsOfDirectory"), .string(Self.udid))
        #expect(status[0] == .integer(0))
        #expect(status[2]["aa"]?["DLFileType"] == .string("DLFileTypeDirectory"))
        let file = try answer(
            .string("DLContentsOfDirectory"), .string("\(Self.udid)/aa"))[2]["aa01"]
        #expect(file?["DLFileType"] == .string("DLFileTypeRegular"))
        #expect(file?["DLFileSize"] == .integer(3))
        #expect(file?["DLFileModificationDate"] == .date(1_700_000_000.5 - 978_307_200))
        #expect(
            try answer(.string("DLContentsOfDirectory"), .string("nowhere"))
                == [.integer(0), Self.noText, Self.nothing])
        #expect(
            try answer(.string("DLContentsOfDirectory"), .string("\(Self.udid)/aa/aa01"))[0]
                == .integer(-8))
    }

    @Test func changesAreMadeAndAnswered() throws {
        fill()
        tree["\(Self.udid)/a"] = [1]
        tree["\(Self.udid)/b"] = [2]
        let done = [.integer(0), Self.noText, Self.nothing]
        #expect(
            try answer(
                .string("DLMessageCopyItem"), .string("\(Self.udid)/a"), .string("\(Self.udid)/c"))
                == done)
        #expect(
            try answer(
                .string("DLMessageMoveFiles"),
                .dictionary(["\(Self.udid)/a": .string("\(Self.udid)/b")]), .real(1)) == done)
        #expect(
            try answer(
                .string("DLMessageRemoveFiles"),
                .array([.string("\(Self.udid)/c"), .string("\(Self.udid)/missing")]), .real(1))
                == done)
        #expect(
            try answer(.string("DLMessageCreateDirectory"), .string("\(Self.udid)/d/e"), .real(0))
                == done)
        #expect(tree["\(Self.udid)/b"] == [1])
        #expect(tree["\(Self.udid)/a"] == nil)
        #expect(tree["\(Self.udid)/c"] == nil)
        #expect(tree.folders.contains(EntryPath(text: "Backup/\(Self.udid)/d/e")))
    }

    @Test func whatIsMissingIsToldAsEightByteNumbers() throws {
        let status = try answer(
            .string("DLMessageMoveItems"),
            .dictionary(["\(Self.udid)/no": .string("\(Self.udid)/b")]), .real(1))
        #expect(status == [.integer(-6), .string("No such file or directory"), Self.nothing])
        // Binary lists hold negative numbers in 8 bytes: 0x13 and two's complement.
        let bytes = PropertyList.array([.integer(-6)]).encodeBinary()
        #expect(
            bytes.indices.contains { index in
                bytes[index...].starts(with: [0x13, 255, 255, 255, 255, 255, 255, 255, 250])
            })
    }

    @Test func anUnknownMessageIsRefusedAndTheLinkStays() throws {
        #expect(try answer(.string("DLMessageFromTheFuture"))[0] == .integer(-1))
    }

    @Test func filesGoToThePhoneInSmallBlocks() throws {
        fill()
        let content = (0..<200_000).map { UInt8(truncatingIfNeeded: $0 &* 7) }
        tree["\(Self.udid)/big"] = content
        tree["\(Self.udid)/empty"] = []
        tree["\(Self.udid)/damaged"] = [1]
        tree.unreadable = [EntryPath(text: "Backup/\(Self.udid)/damaged")]
        let received = Mutex<(files: [String: [UInt8]?], largest: Int, status: [PropertyList])?>(
            nil)
        let phone = ScriptedBackupPhone { phone in
            _ = try phone.begin()
            let result = try phone.download(
                ["big", "empty", "missing", "damaged"].map { "\(Self.udid)/\($0)" })
            received.withLock { $0 = result }
            try phone.end(1)
        }
        #expect(backUp(phone, tree)?.nativeCode == 1)
        let result = try #require(received.withLock { $0 })
        #expect(result.files["\(Self.udid)/big"] == .some(content))
        #expect(result.files["\(Self.udid)/empty"] == .some([]))
        #expect(result.largest == 32 << 10)
        #expect(result.status[0] == .integer(-13))
        #expect(result.status[1] == .string("Multi status"))
        let missing = result.status[2]["\(Self.udid)/missing"]
        #expect(missing?["DLFileErrorCode"] == .integer(-6))
        #expect(missing?["DLFileErrorString"] == .string("No such file or directory"))
        #expect(result.status[2]["\(Self.udid)/damaged"]?["DLFileErrorCode"] == .integer(-11))
        #expect(result.status[2].entries?.count == 2)
    }

    @Test func aFileThatThePhoneCannotReadIsKeptOut() throws {
        let phone = ScriptedBackupPhone { phone in
            _ = try phone.begin()
            try BackupScript.backUp(
                phone, BackupScript.files(["aa/1": [1]]) + [("\(Self.udid)/Snapshot/aa/2", nil)])
        }
        #expect(backUp(phone, tree) == nil)
        #expect(tree["\(Self.udid)/aa/1"] == [1])
        #expect(
            tree.dropped[EntryPath(text: "Backup/\(Self.udid)/Snapshot/aa/2")]?
                .contains("Permission denied") == true)
    }

    // MARK: Hostile phones

    static let hostilePaths = [
        "../../etc/passwd", "/etc/passwd", "\(udid)/../../x", "\(udid)/a\0b", "..", ".",
        "\(udid)/./a", String(repeating: "a", count: 300),
        String(repeating: "a/", count: 40) + "a", String(repeating: "x/", count: 3000),
    ]

    @Test(arguments: hostilePaths)
    func aHostilePathEndsTheCapture(path: String) throws {
        for message in [
            [PropertyList.string("DLContentsOfDirectory"), .string(path)],
            [.string("DLMessageCreateDirectory"), .string(path)],
            [.string("DLMessageMoveItems"), .dictionary([path: .string("\(Self.udid)/b")])],
            [.string("DLMessageMoveItems"), .dictionary(["\(Self.udid)/b": .string(path)])],
            [.string("DLMessageRemoveItems"), .array([.string(path)])],
            [.string("DLMessageCopyItem"), .string("\(Self.udid)/b"), .string(path)],
            [.string("DLMessageDownloadFiles"), .array([.string(path)])],
        ] {
            let phone = ScriptedBackupPhone { phone in
                _ = try phone.begin()
                try phone.send(.array(message))
                _ = try phone.receive()
            }
            let tree = MemoryTree()
            let error = backUp(phone, tree)
            #expect(error?.code == .limitExceeded, "\(message)")
            #expect(error?.exitCode == .phoneLimit)
            #expect(error?.explanation.contains("\0") == false)
            #expect(Set(tree.contents.keys).isSubset(of: ["\(Self.udid)/Info.plist"]))
        }
    }

    @Test(arguments: hostilePaths)
    func aHostileUploadEndsTheCapture(path: String) throws {
        let phone = ScriptedBackupPhone { phone in
            _ = try phone.begin()
            try phone.upload([(path, [1, 2, 3])])
        }
        #expect(backUp(phone, tree)?.exitCode == .phoneLimit)
        #expect(Set(tree.contents.keys).isSubset(of: ["\(Self.udid)/Info.plist"]))
    }

    /// Bytes in place of the phone's next message.
    private func error(after bytes: @escaping @Sendable (PhoneEnd) throws -> Void) -> DeviceError? {
        backUp(
            ScriptedBackupPhone { phone in
                _ = try phone.begin()
                try bytes(phone)
                // Whatever is asked for after it never comes.
                _ = try phone.receive()
            }, tree)
    }

    @Test func framesOfFourGibibytesAreRefused() {
        #expect(error { try $0.send(bytes: [255, 255, 255, 255]) }?.code == .limitExceeded)
        #expect(error { try $0.send(bytes: [4, 0, 0, 1]) }?.code == .limitExceeded)
        #expect(error { try $0.send(bytes: [0, 0, 0, 0]) }?.code == .limitExceeded)
        let upload = PropertyList.array([
            .string("DLMessageUploadFiles"), Self.nothing, .real(0), .integer(1),
        ])
        #expect(
            error {
                try $0.send(upload)
                try $0.send(bytes: [255, 255, 255, 255])
            }?.exitCode == .phoneLimit)
        #expect(
            error {
                try $0.send(upload)
                try $0.send(bytes: [0, 0, 39, 16])
            }?.exitCode == .phoneLimit)
        #expect(
            error {
                try $0.send(upload)
                try $0.send(bytes: [0, 0, 0, 1, 65, 0, 0, 0, 1, 65, 255, 255, 255, 255, 0x0C])
            }?.exitCode == .phoneLimit)
        #expect(
            error {
                try $0.send(upload)
                try $0.send(bytes: [0, 0, 0, 1, 65, 0, 0, 0, 1, 65, 0, 0, 0, 1, 0x42])
            }?.code == .protocolViolation)
    }

    @Test func anEndlessListOfFilesIsRefused() throws {
        let phone = ScriptedBackupPhone { phone in
            try phone.send(
                .array([
                    .string("DLMessageUploadFiles"), .dictionary([:]), .real(0), .integer(1),
                ]))
            while true { try phone.uploadOne("\(Self.udid)/Snapshot/aa/same", [], 10) }
        }
        let link = DeviceLink(
            try phone.start(BackupService.name, withEscrowBag: true), now: phone.elapsed,
            idle: {})
        let loop = JobLoop(link: link, tree: tree, phase: .reading, fileLimit: 1000)
        do {
            _ = try loop.run()
            Issue.record("it ended")
        } catch {
            #expect(error.exitCode == .phoneLimit)
        }
        link.disconnect()
    }

    @Test func listBombsAreRefused() {
        // An array of 200 references to an array of 200 references…, five deep.
        var list = PropertyList.array((0..<200).map { _ in .integer(1) })
        for _ in 0..<2 { list = .array((0..<200).map { _ in list }) }
        let bomb = PropertyList.array([.string("DLMessageRemoveItems"), list])
        #expect(error { try $0.send(bomb) }?.exitCode == .phoneLimit)
        var deep = PropertyList.string("x")
        for _ in 0..<60 { deep = .array([deep]) }
        let nested = PropertyList.array([.string("DLMessageRemoveItems"), deep])
        #expect(error { try $0.send(nested) }?.exitCode == .phoneLimit)
    }

    @Test(arguments: [
        PropertyList.string("DLMessageGetFreeDiskSpace"), .array([]), .array([.integer(1)]),
        .array([.string("DLMessageRemoveItems"), .array([.integer(3)])]),
        .array([.string("DLMessageMoveItems"), .array([])]),
        .array([.string("DLMessageCopyItem"), .string("a")]),
        .array([.string("DLContentsOfDirectory")]),
        .array([.string("DLMessageProcessMessage"), .dictionary([:])]),
        .array([.string("DLMessageProcessMessage")]),
    ])
    func messagesWithoutSenseEndTheCapture(message: PropertyList) {
        #expect(error { try $0.send(message) }?.code == .protocolViolation)
    }

    @Test func aPhoneThatLeavesWithoutAWordHasFailed() {
        let bye = PropertyList.array([
            .string("DLMessageDisconnect"), .string("___EmptyParameterString___"),
        ])
        #expect(error { try $0.send(bye) }?.code == .gone)
    }

    @Test(arguments: 0..<9)
    func aLineLostAtEachStepIsAnError(step: Int) throws {
        let phone = ScriptedBackupPhone { phone in
            if step == 0 { return }
            if step == 1 {
                return try phone.send(
                    .array([.string("DLMessageVersionExchange"), .integer(400), .integer(0)]))
            }
            _ = try phone.begin()
            if step == 2 { return }
            if step == 3 { return try phone.send(bytes: [0, 0]) }
            if step == 4 { return try phone.send(bytes: [0, 0, 1, 0, 0x62, 0x70]) }
            try phone.send(
                .array([.string("DLMessageUploadFiles"), .dictionary([:]), .real(0), .integer(1)]))
            if step == 5 { return }
            if step == 6 { return try phone.send(bytes: [0, 0, 0, 1, 65]) }
            let path = "\(Self.udid)/Snapshot/a"
            if step == 7 {
                let name = DeviceLink.length(path.utf8.count) + Array(path.utf8)
                return try phone.send(bytes: name + name + [0, 0, 1, 0, 0x0C, 1, 2, 3])
            }
            try phone.uploadOne(path, [1, 2, 3], 10)
        }
        let error = backUp(phone, tree)
        #expect(error?.code == .gone)
        #expect(error?.exitCode == .phone)
    }
}
